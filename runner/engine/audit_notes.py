"""Writes what happens beside the transfers to the audit log, in the background."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from runner.engine.stop import StopSignal
from runner.ports import Clock, Journal, Note

MOST_NOTES = 1000
"""Stray frames and unclaimed replies that the audit log keeps, each kind; the rest are counted."""

_PLURAL = {"stray frame": "stray frames", "unclaimed reply": "unclaimed replies"}


class AuditNotes:
    """Adds notes to the audit log; one that cannot be written stops the run.

    `background` is the run's task group.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        stop_signal: StopSignal,
        background: asyncio.TaskGroup,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._stop_signal = stop_signal
        self._background = background
        self._seen = dict.fromkeys(_PLURAL, 0)
        self._reported = dict.fromkeys(_PLURAL, MOST_NOTES)

    def add(self, event: str, **fields: Any) -> None:
        """Write an event of the run."""
        note = Note(event, self._clock.wall(), fields)
        self._background.create_task(self._stop_signal.guard(partial(self._journal.record, note)))

    def add_bounded(self, event: str, **fields: Any) -> None:
        """Write an event of a kind that the gateway may send without end, up to `MOST_NOTES`."""
        self._seen[event] += 1
        if self._seen[event] <= MOST_NOTES:
            self.add(event, **fields)

    def add_totals(self) -> None:
        """Write how many events the bound left out; to be called when a session ends."""
        for event, count in self._seen.items():
            if count > self._reported[event]:
                self._reported[event] = count
                self.add(_PLURAL[event], count=count)
