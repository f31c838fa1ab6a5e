"""Adds the number of pending callbacks to a run's progress."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from runner.core.errors import StorageError
from runner.ports import Clock, Observer, Progress

COUNT_EVERY_S = 1.0


class CallbackBacklog:
    """Wraps an observer; `count` returns the pending callbacks, and runs in a thread."""

    def __init__(self, observer: Observer, count: Callable[[], int], clock: Clock) -> None:
        self._observer = observer
        self._count = count
        self._clock = clock
        self._owed: int | None = None
        self._last: Progress | None = None

    def noticed(self, event: str, **fields: Any) -> None:
        """Pass it on."""
        self._observer.noticed(event, **fields)

    def warned(self, event: str, **fields: Any) -> None:
        """Pass it on."""
        self._observer.warned(event, **fields)

    def progressed(self, progress: Progress) -> None:
        """Pass it on with the number of pending callbacks."""
        self._last = progress
        self._observer.progressed(replace(progress, callbacks_owed=self._owed))

    async def keep_count(self) -> None:
        """Count until cancelled, also when all transfers are done and only callbacks are pending."""
        while True:
            try:
                owed = await asyncio.to_thread(self._count)
            except StorageError:
                return  # the run meets the same error and reports it
            if owed != self._owed:
                self._owed = owed
                if self._last is not None:
                    self.progressed(self._last)
            await self._clock.sleep(COUNT_EVERY_S)
