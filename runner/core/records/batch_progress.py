"""What a run added to its batch: the difference to the batch's previous run, and what all have done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from runner.core.frozen import frozen
from runner.core.number_text import counted, is_or_are, was_or_were
from runner.core.timestamps import clock_time
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.plan_decision import SENDS, Action


@frozen
class EarlierBatchRuns:
    """What a journal knows of a batch before one of its runs, and of all its runs up to it."""

    previous_run: str
    previous_started_at: str  # RFC 3339
    runs: int  # the run itself included
    moved_in_all: int  # interactions that any of them has moved
    settled_transferred: int  # doubts, between the previous run and this one
    settled_otherwise: int


class OutcomeCount(NamedTuple):
    """How many of a run's rows were planned alike and ended alike."""

    action: Action
    failed_before: bool  # rejected or failed in an earlier run, for the same destination
    is_new: bool  # an earlier run's transfer, of one that began after the batch's previous run
    outcome: Outcome
    number: int


@frozen
class BatchProgress:
    """The difference to the batch's previous run; what was done before counts nowhere but in all."""

    previous_run: str
    previous_started_at: str
    runs: int
    moved_in_all: int
    transferred: int = 0  # newly
    failed: int = 0  # rejected or failed, and had not been before
    failed_again: int = 0
    in_doubt: int = 0  # newly
    still_in_doubt: int = 0
    settled_transferred: int = 0  # doubts, by a look-up, a reply or a person
    settled_otherwise: int = 0  # doubts that turned out to have moved nothing


def batch_progress(
    earlier: EarlierBatchRuns | None, counts: Iterable[OutcomeCount]
) -> BatchProgress | None:
    """Return the difference that a run made; None: it is its batch's first."""
    if earlier is None:
        return None
    numbers = dict.fromkeys(_KINDS, 0)
    for each in counts:
        if (kind := _kind(each)) is not None:
            numbers[kind] += each.number
    numbers["settled_transferred"] += earlier.settled_transferred
    numbers["settled_otherwise"] += earlier.settled_otherwise
    return BatchProgress(
        earlier.previous_run,
        earlier.previous_started_at,
        earlier.runs,
        earlier.moved_in_all,
        **numbers,
    )


_KINDS = (
    "transferred",
    "failed",
    "failed_again",
    "in_doubt",
    "still_in_doubt",
    "settled_transferred",
    "settled_otherwise",
)


def _kind(row: OutcomeCount) -> str | None:
    """Return as what rows count; None: they are as they were."""
    if row.outcome is Outcome.IN_DOUBT:
        was_in_doubt = row.action is Action.IN_DOUBT and not row.is_new
        return "still_in_doubt" if was_in_doubt else "in_doubt"
    if row.action is Action.IN_DOUBT:
        return "settled_transferred" if row.outcome is Outcome.TRANSFERRED else "settled_otherwise"
    if row.action not in SENDS:
        return None
    if row.outcome.is_failure:
        return "failed_again" if row.failed_before else "failed"
    return "transferred" if row.outcome is Outcome.TRANSFERRED else None


def since_previous(progress: BatchProgress) -> str:
    """Return the difference in one sentence, without the previous run's name."""
    parts = [f"{number:,} {words}" for number, words in differences(progress)]
    return ", ".join(parts) or "nothing changed"


def done_so_far(progress: BatchProgress, done: int, total: int, not_selected: int = 0) -> str:
    """Return in one sentence what all runs of the batch have done; `done` of the manifest's `total` are done.

    Of those that this run did not select, it is not known here whether they are done. Doubts are looked
    up all the same: they are among the selected ones here.
    """
    moved = (
        f"{counted(progress.moved_in_all, 'interaction')} moved in {counted(progress.runs, 'run')}"
    )
    if not total:
        return moved
    selected = total - not_selected
    left = selected - done
    rest = f", {left:,} left" if left else ""
    these = f"the {selected:,} selected" if not_selected else f"this manifest's {total:,}"
    if not_selected and _had_doubts(progress):
        these += " or in doubt"
    return f"{moved}; {done:,} of {these} {is_or_are(done)} done{rest}"


def _had_doubts(progress: BatchProgress) -> bool:
    left = progress.in_doubt + progress.still_in_doubt
    return left + progress.settled_transferred + progress.settled_otherwise > 0


def previous_run(progress: BatchProgress) -> str:
    """Return the previous run's name and when it began, in UTC."""
    return f"run {progress.previous_run} ({clock_time(progress.previous_started_at)} UTC)"


def differences(progress: BatchProgress) -> Iterator[tuple[int, str]]:
    """Yield how many transfers differ, and in what; nothing where nothing does."""
    moved, kept = progress.settled_transferred, progress.settled_otherwise
    ends = ((moved, "moved"), (kept, "not moved"))
    settled = " and ".join(f"{n:,} {was_or_were(n)} {word}" for n, word in ends if n)
    doubts = "doubt" if moved + kept == 1 else "doubts"
    found = (
        (progress.transferred, "newly transferred"),
        (progress.failed, "newly rejected or failed"),
        (progress.failed_again, "rejected or failed again"),
        (moved + kept, f"{doubts} settled ({settled})"),
        (progress.in_doubt, "newly in doubt"),
        (progress.still_in_doubt, "still in doubt"),
    )
    yield from (each for each in found if each[0])
