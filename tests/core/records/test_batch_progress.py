"""What a run added to its batch, and in which words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.core.number_text import is_or_are
from runner.core.records.batch_progress import (
    BatchProgress,
    EarlierBatchRuns,
    OutcomeCount,
    batch_progress,
    done_so_far,
    previous_run,
    since_previous,
)
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.plan_decision import Action

EARLIER = EarlierBatchRuns("run-1", "2026-12-01T21:00:00.5Z", 3, 40, 0, 0)
NOTHING = BatchProgress("run-1", "2026-12-01T21:00:00.5Z", 3, 40)


def row(
    action: Action,
    outcome: Outcome,
    *,
    failed_before: bool = False,
    is_new: bool = False,
    number: int = 2,
) -> OutcomeCount:
    return OutcomeCount(action, failed_before, is_new, outcome, number)


def test_a_first_run_differs_from_nothing():
    assert batch_progress(None, [row(Action.SEND, Outcome.TRANSFERRED)]) is None


@pytest.mark.parametrize(
    ("action", "failed_before", "outcome", "kind"),
    [
        (Action.SEND, False, Outcome.TRANSFERRED, "transferred"),
        (Action.CHANGED, True, Outcome.TRANSFERRED, "transferred"),
        (Action.SEND, False, Outcome.REJECTED, "failed"),
        (Action.SEND, True, Outcome.FAILED, "failed_again"),
        (Action.SEND, True, Outcome.IN_DOUBT, "in_doubt"),
        (Action.UNCHANGED, False, Outcome.IN_DOUBT, "in_doubt"),
        (Action.IN_DOUBT, False, Outcome.IN_DOUBT, "still_in_doubt"),
        (Action.IN_DOUBT, False, Outcome.TRANSFERRED, "settled_transferred"),
        (Action.IN_DOUBT, False, Outcome.REJECTED, "settled_otherwise"),
    ],
)
def test_rows_count_by_what_the_plan_said_and_what_became_of_them(
    *, action: Action, failed_before: bool, outcome: Outcome, kind: str
):
    made = batch_progress(EARLIER, [row(action, outcome, failed_before=failed_before)] * 2)
    assert made is not None
    assert getattr(made, kind) == 4
    counts = [made.transferred, made.failed, made.failed_again, made.in_doubt, made.still_in_doubt]
    assert sum(counts) + made.settled_transferred + made.settled_otherwise == 4


def test_a_doubt_that_another_batch_left_since_the_previous_run_is_new():
    made = batch_progress(EARLIER, [row(Action.IN_DOUBT, Outcome.IN_DOUBT, is_new=True)])
    assert made is not None
    assert (made.in_doubt, made.still_in_doubt) == (2, 0)


@pytest.mark.parametrize(
    ("action", "outcome"),
    [
        (Action.UNCHANGED, Outcome.UNCHANGED),
        (Action.NOT_SELECTED, Outcome.UNATTEMPTED),
        (Action.FINISHED, Outcome.REJECTED),
        (Action.SEND, Outcome.SKIPPED),
        (Action.SEND, Outcome.UNATTEMPTED),
    ],
)
def test_what_is_as_it_was_is_no_difference(action: Action, outcome: Outcome):
    made = batch_progress(EARLIER, [row(action, outcome)])
    assert made == NOTHING
    assert since_previous(made) == "nothing changed"


def test_doubts_that_were_settled_between_the_runs_are_settled():
    earlier = EarlierBatchRuns("run-1", "x", 2, 1, settled_transferred=2, settled_otherwise=1)
    made = batch_progress(earlier, [row(Action.IN_DOUBT, Outcome.TRANSFERRED, number=1)])
    assert made is not None
    assert since_previous(made) == "4 doubts settled (3 were moved and 1 was not moved)"


def test_the_difference_is_one_sentence():
    made = BatchProgress("r", "t", 2, 1200, 1100, 3, 2, 4, 1, 0, 1)
    assert since_previous(made) == (
        "1,100 newly transferred, 3 newly rejected or failed, 2 rejected or failed again,"
        " 1 doubt settled (1 was not moved), 4 newly in doubt, 1 still in doubt"
    )


def test_what_all_runs_have_done_is_one_sentence():
    assert done_so_far(NOTHING, 38, 50) == (
        "40 interactions moved in 3 runs; 38 of this manifest's 50 are done, 12 left"
    )
    assert done_so_far(NOTHING, 1, 1) == (
        "40 interactions moved in 3 runs; 1 of this manifest's 1 is done"
    )
    assert done_so_far(NOTHING, 1, 6, 5) == (
        "40 interactions moved in 3 runs; 1 of the 1 selected is done"
    )
    # A doubt is looked up whether or not it is selected, and counts.
    for doubts in (
        replace(NOTHING, in_doubt=1),
        replace(NOTHING, still_in_doubt=1),
        replace(NOTHING, settled_transferred=1),
    ):
        assert done_so_far(doubts, 1, 6, 4) == (
            "40 interactions moved in 3 runs; 1 of the 2 selected or in doubt is done, 1 left"
        )
    assert done_so_far(NOTHING, 0, 0) == "40 interactions moved in 3 runs"


def test_the_previous_run_is_named_with_its_time():
    assert previous_run(NOTHING) == "run run-1 (2026-12-01 21:00:00 UTC)"
    assert is_or_are(2) == "are"
