"""`status --watch`: follows a run of another process until it ends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Self

from runner.app.status import holder_runs
from runner.console.results.status import RunState
from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.core.records.run_record import RunRecord
from runner.journals import journal_at
from runner.ports import Progress, SessionState
from runner.ports.history import LATEST


@frozen
class RunSnapshot:
    """A run's state and progress at one moment."""

    at: float  # seconds since the epoch
    record: RunRecord
    state: RunState
    progress: Progress


class RunWatch:
    """Follows one run of a journal, without a lock and read-only; a context manager.

    Raises `UsageError` for an unknown run, `StorageError` if the journal cannot be read.
    """

    def __init__(
        self, location: JournalLocation, run_id: str | None, wall: Callable[[], float]
    ) -> None:
        self._journal = journal_at(location)
        self._wall = wall
        with self._journal.open_history() as history:
            number = history.run_number(run_id or LATEST)
        self._open = ExitStack()
        self._follower = self._open.enter_context(self._journal.follow(number))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def look(self) -> RunSnapshot:
        """Return the run's present state and progress."""
        at = self._wall()
        progress = self._follower.look(at)
        record, finished, newest = self._follower.run()
        state = RunState.FINISHED if finished else RunState.RUNNING
        # New events mean that the run is alive; only without them is the lock checked.
        if not finished and not self._follower.has_news and not (newest and self._is_held(record)):
            # It may have ended and released its lock in between.
            record, finished, _ = self._follower.run()
            progress = self._follower.look(at)
            state = RunState.FINISHED if finished else RunState.DIED
        if state is not RunState.RUNNING:
            progress = replace(progress, session=SessionState.CLOSED, waiting_for=None)
        return RunSnapshot(at, record, state, progress)

    def _is_held(self, record: RunRecord) -> bool:
        return holder_runs(self._journal.holder(), record)
