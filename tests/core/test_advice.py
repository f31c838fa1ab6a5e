"""What to do about a transfer that did not succeed."""

from __future__ import annotations

import pytest

from runner.core.advice import NEXT, advice
from runner.core.outcome import Outcome
from runner.core.transfer import STATUSES, Event


@pytest.mark.parametrize(
    "status", [status for status, event in STATUSES.items() if event is not Event.ACCEPTED]
)
def test_every_status_that_is_no_success_has_an_advice_of_its_own(status: str):
    told = advice(Outcome.REJECTED, "in the gateway's own words", status)
    assert told is not None
    assert told != NEXT[Outcome.REJECTED]
    assert advice(Outcome.REJECTED, status) == told  # the reason is the status where none is given


@pytest.mark.parametrize(
    ("outcome", "reason", "begin"),
    [
        (Outcome.UNATTEMPTED, "not selected", "`--only` or `--limit` left these out"),
        (Outcome.REJECTED, "interaction not found", "the gateway knows no such interaction"),
        (Outcome.SKIPPED, "interaction is completed", "it had ended"),
        (Outcome.SKIPPED, "already there", "it was at its destination already"),
        (Outcome.FAILED, "the look-up failed: no answer", "the REST side could not be asked"),
        (Outcome.UNATTEMPTED, "planned: would be sent", "apply sends these"),
        (Outcome.REJECTED, "no such skill group", "the gateway refused these"),
        (Outcome.FAILED, None, "all retries were used up"),
    ],
)
def test_what_was_said_of_it_decides_and_else_the_outcome(
    outcome: Outcome, reason: str | None, begin: str
):
    assert (advice(outcome, reason) or "").startswith(begin)


def test_a_doubt_is_looked_up_whatever_its_last_reply_said():
    assert advice(Outcome.IN_DOUBT, "rate_limited", "rate_limited") == NEXT[Outcome.IN_DOUBT]


def test_of_what_is_done_there_is_nothing_to_say():
    assert advice(Outcome.TRANSFERRED, None, "codec_negotiated") is None
