"""Deliveries of which the adapter itself says that they certainly did not leave."""

from __future__ import annotations

from runner.core.manifest.model import Limits
from runner.core.transfer.states import Event
from runner.testing.gateway import CARRIED_OUT, Answer
from tests.engine.harness import run_batch

NOT_SENT = Answer(unsent=True, reason="not sent: its turn was more than 1 s ago")
REFUSED = Answer("token_refused", unsent=True, correlation_id="corr-1")


def test_what_did_not_leave_is_sent_again_under_a_new_id_however_often():
    run = run_batch(1, *[NOT_SENT] * 10, CARRIED_OUT)
    assert run.states() == {"k0": "transferred"}
    assert len({frame.message_id for frame in run.frames}) == 11
    assert [entry.event for entry in run.journal.entries].count(Event.WITHDRAWN) == 10


def test_it_is_waited_before_the_next_and_the_pace_stays():
    run = run_batch(1, NOT_SENT, CARRIED_OUT, limits=Limits(rate_per_s=10))
    assert run.times[1] - run.times[0] >= 1
    assert run.ending.figures.throttled == 0


def test_what_was_refused_counts_as_a_try():
    run = run_batch(1, REFUSED)
    assert run.states() == {"k0": "failed"}
    assert len(run.frames) == 4
    told = [entry for entry in run.journal.entries if entry.event == "withdrawn"]
    assert {entry.correlation_id for entry in told} == {"corr-1"}


def test_the_correlation_id_of_an_outcome_is_recorded():
    run = run_batch(1, Answer("transfer_initiated", correlation_id="corr-2"))
    (accepted,) = [entry for entry in run.journal.entries if entry.event == "accepted"]
    assert accepted.correlation_id == "corr-2"
