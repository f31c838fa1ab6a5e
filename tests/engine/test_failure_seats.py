"""`max_failures` is a promise: whatever the gateway answers, one failure too many is the worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.exit_code import ExitCode
from runner.core.manifest.media import MediaMatrix
from runner.core.manifest.model import Limits, Policy, RetryPolicy
from runner.core.manifest.quantity import Share
from runner.core.pacing.circuit_breaker import BreakerPolicy
from runner.core.transfer.doubt_evidence import Baseline, Dedupes, Expires, Promise
from runner.core.transfer.lookup_verdict import Interaction
from runner.engine.rules import Rules
from runner.testing.gateway import CARRIED_OUT, SILENCE, Answer, FakeGateway, Frame
from tests.engine.builders import HD, NARROW, NO_PREFLIGHT, DatedGateway, left_behind, rows
from tests.engine.harness import Run, run_batch

NO = Answer("transfer_rejected", reason="agent gone")
FAILED = {"rejected", "failed"}


def failures(run: Run) -> int:
    return sum(state in FAILED for state in run.states().values())


def test_ten_failures_of_two_hundred_are_eleven_at_the_most_when_the_run_stops():
    run = run_batch(
        200, replace(NO, after_s=2.0), policy=replace(NO_PREFLIGHT, max_failures=Share(0.05))
    )
    assert run.ending.halted is ExitCode.STOPPED
    assert failures(run) == 11
    assert len(run.frames) == 11


@pytest.mark.parametrize("allowed", [0, 1, 5])
def test_no_more_are_under_way_than_may_still_fail_and_one(allowed: int):
    run = run_batch(
        30,
        Answer("transfer_initiated", after_s=1.0),
        policy=replace(NO_PREFLIGHT, max_failures=allowed),
    )
    assert run.ending.halted is None
    assert run.gateway.most_open == allowed + 1


def test_each_failure_leaves_a_seat_less():
    refused = {"i0", "i1", "i2"}
    run = run_batch(
        40,
        script=lambda frame: [
            replace(NO if frame.interaction_id in refused else CARRIED_OUT, after_s=1.0)
        ],
        policy=replace(NO_PREFLIGHT, max_failures=3),
    )
    assert run.ending.halted is None
    last = [frame.at for frame in run.frames][10:]
    assert min(b - a for a, b in pairwise(last)) >= 1.0


def test_a_transfer_that_waits_for_its_retry_keeps_its_seat():
    run = run_batch(
        2,
        script=lambda frame: [
            Answer("rate_limited", retry_after_s=None)
            if frame.interaction_id == "i0" and frame.nth < 3
            else CARRIED_OUT
        ],
        policy=replace(NO_PREFLIGHT, max_failures=0),
    )
    assert [frame.interaction_id for frame in run.frames] == ["i0", "i0", "i0", "i1"]
    assert run.ending.halted is None


def test_a_doubt_gives_its_seat_up():
    run = run_batch(
        3,
        script=lambda frame: [SILENCE if frame.interaction_id == "i0" else CARRIED_OUT],
        policy=replace(NO_PREFLIGHT, max_failures=0),
    )
    assert run.states() == {"k0": "unknown", "k1": "transferred", "k2": "transferred"}


def test_what_a_look_up_refuses_takes_a_seat_too():
    """Look-ups are made ahead of their turns; sixty-four at once may find nothing."""
    missing: dict[str, Interaction | Exception] = {
        f"i{n}": Interaction(f"i{n}", found=False) for n in range(200)
    }
    run = run_batch(
        200,
        gateway=FakeGateway(interactions=missing),
        policy=replace(NO_PREFLIGHT, preflight=True, max_failures=10),
    )
    assert run.ending.halted is ExitCode.STOPPED
    assert failures(run) == 11


def test_a_doubt_of_an_earlier_run_needs_no_seat():
    """It waits for its fence, and its failure is none of this run's."""
    rules = Rules(replace(NO_PREFLIGHT, max_failures=0), Expires(30, 2))
    journal = left_behind(listed=True, baseline=Baseline("active", "genesys://queue/before", None))
    run = run_batch(
        2,
        script=lambda _: [replace(CARRIED_OUT, after_s=9.0)],
        rules=rules,
        journal=journal,
        gateway=DatedGateway(),
    )
    assert set(run.states().values()) == {"transferred"}


def test_without_a_limit_nobody_waits_for_a_seat():
    run = run_batch(100, Answer("transfer_initiated", after_s=1.0), limits=Limits(in_flight=64))
    assert run.gateway.most_open == 64


ANSWERS = st.sampled_from(
    [
        [CARRIED_OUT],
        [NO],
        [Answer("rate_limited")],
        [Answer("rate_limited", retry_after_s=3.0)],
        [Answer("codec_unsupported")],
        [SILENCE],
        [Answer(effect=True)],
        [Answer("pending")],
        [Answer("transfer_rejected", after_s=3.0)],
        [NO, Answer("transfer_initiated", after_s=1.5)],
        [CARRIED_OUT, NO],
    ]
)
PROMISES: st.SearchStrategy[Promise] = st.sampled_from([None, Dedupes(86_400), Expires(5, 1)])
LADDERS: st.SearchStrategy[tuple[MediaMatrix, ...]] = st.sampled_from([(HD,), (HD, NARROW)])


@settings(max_examples=60)
@given(
    st.lists(st.lists(ANSWERS, min_size=1, max_size=4), min_size=1, max_size=24),
    st.integers(0, 4),
    PROMISES,
    LADDERS,
    st.builds(
        lambda preflight, attempts: replace(
            NO_PREFLIGHT, preflight=preflight, retry=RetryPolicy(attempts, 0.5, 5)
        ),
        st.booleans(),
        st.sampled_from([1, 2, 4]),
    ),
)
def test_at_most_one_failure_more_than_allowed_exists_at_the_end(
    scripts: list[list[Sequence[Answer]]],
    allowed: int,
    promise: Promise,
    ladder: tuple[MediaMatrix, ...],
    drawn: Policy,
):
    """For any replies in any order, with retries, fallbacks, doubts and redeliveries."""

    def script(frame: Frame) -> Sequence[Answer]:
        told = scripts[int(frame.interaction_id[1:])]
        return told[min(frame.nth, len(told)) - 1]

    policy = replace(
        drawn,
        max_failures=allowed,
        negotiation_timeout_s=2.0,
        circuit_breaker=BreakerPolicy(failures=1000),
    )
    run = run_batch(
        [replace(row, media=ladder) for row in rows(len(scripts))],
        script=script,
        gateway=DatedGateway(),
        rules=Rules(policy, promise),
    )
    assert failures(run) <= allowed + 1
    assert failures(run) <= allowed or run.ending.halted is ExitCode.STOPPED
