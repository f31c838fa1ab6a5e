"""What to do about a transfer that did not succeed."""

from __future__ import annotations

import pytest

from runner.core.diagnostics.advice import advice
from runner.core.transfer.lookup_verdict import LookupVerdict
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.reasons import Code
from runner.core.transfer.states import STATUSES, Event


@pytest.mark.parametrize(
    "status", [status for status, event in STATUSES.items() if event is not Event.ACCEPTED]
)
def test_every_status_that_is_no_success_has_an_advice_of_its_own(status: str):
    told = advice(Outcome.REJECTED, status, status)
    assert told is not None
    assert told != Outcome.REJECTED.advice
    assert advice(Outcome.REJECTED, None, status) == told  # an older journal keeps no codes


@pytest.mark.parametrize(
    ("outcome", "code", "begin"),
    [
        (Outcome.REJECTED, "transfer_rejected", "the gateway refused it for the reason shown"),
        (Outcome.UNATTEMPTED, Code.NOT_SELECTED, "`--only` or `--limit` left these out"),
        (Outcome.REJECTED, Code.INTERACTION_MISSING, "the gateway has no such interaction"),
        (Outcome.SKIPPED, Code.INTERACTION_ENDED, "it had ended"),
        (Outcome.SKIPPED, Code.ALREADY_THERE, "it was at its destination already"),
        (Outcome.FAILED, Code.LOOK_UP_FAILED, "the REST API did not answer"),
        (Outcome.FAILED, Code.RESOLVED_FAILED, "a person stated that these were not carried out"),
        (Outcome.UNATTEMPTED, Code.PLANNED, "apply sends these"),
        (Outcome.UNATTEMPTED, Code.ALREADY_THERE, "these are there already"),
        (Outcome.UNATTEMPTED, Code.NO_TURN, "the run ended before their turn"),
        (Outcome.REJECTED, Code.OTHER_STATUS, "the gateway refused these"),
        (Outcome.FAILED, None, "all retries were used up"),
    ],
)
def test_the_cause_decides_and_else_the_outcome(outcome: Outcome, code: str | None, begin: str):
    assert (advice(outcome, code) or "").startswith(begin)


def test_what_had_no_turn_is_not_advised_by_a_reply_that_did_not_end_it():
    """Its media did not suit and its fallback had no turn: it is not to get one more."""
    told = advice(Outcome.UNATTEMPTED, Code.NO_TURN, "codec_unsupported")
    assert told == Outcome.UNATTEMPTED.advice


def test_a_persons_word_is_not_advised_by_the_reply_before_it():
    told = advice(Outcome.FAILED, Code.RESOLVED_FAILED, "rate_limited")
    assert told == advice(Outcome.FAILED, Code.RESOLVED_FAILED)


def test_a_doubt_is_looked_up_whatever_its_last_reply_said():
    assert advice(Outcome.IN_DOUBT, "rate_limited", "rate_limited") == Outcome.IN_DOUBT.advice


def test_of_what_is_done_there_is_nothing_to_say():
    assert advice(Outcome.TRANSFERRED, None, "codec_negotiated") is None


@pytest.mark.parametrize(
    "verdict", [v for v in LookupVerdict if v is not LookupVerdict.TRANSFERABLE]
)
def test_what_a_plan_foresees_is_not_said_to_wait_for_its_turn(verdict: LookupVerdict):
    told = advice(Outcome.UNATTEMPTED, verdict.code)
    assert told not in {None, Outcome.UNATTEMPTED.advice}
