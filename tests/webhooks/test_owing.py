"""How many callbacks are owed is told with the progress, and when it alone changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from runner.app.callback_backlog import CallbackBacklog
from runner.core.errors import StorageError
from runner.ports import Progress
from runner.testing.loop_clock import LoopClock
from runner.testing.observer import RecordingObserver
from tests.fakes.virtual import VirtualLoop

DONE = Progress(total=1, settled=1, outcomes={}, in_flight=0, sent=1, rate_per_s=None)


def watched(counts: Iterator[int]) -> RecordingObserver:
    """Return what was told of a run that is done while its callbacks are counted."""
    observer = RecordingObserver()

    def count() -> int:
        try:
            return next(counts)
        except StopIteration:
            raise StorageError("the journal is gone") from None

    async def run() -> None:
        owing = CallbackBacklog(observer, count, LoopClock())
        owing.noticed("a")
        owing.warned("b", why="c")
        owing.progressed(DONE)
        await owing.keep_count()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())
    return observer


def test_what_is_owed_is_told_whenever_it_changes_also_after_the_last_transfer():
    told = watched(iter([3, 3, 1, 0]))
    assert [progress.callbacks_owed for progress in told.progress] == [None, 3, 1, 0]
    assert (told.notices, told.warnings) == ([("a", {})], [("b", {"why": "c"})])


def test_a_journal_that_cannot_be_read_ends_the_count_and_not_the_run():
    assert [p.callbacks_owed for p in watched(iter([])).progress] == [None]
