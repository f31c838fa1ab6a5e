"""What a run does beside the transfers; any failure ends the whole run in order."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from runner.core.errors import StorageError
from runner.core.transfer.outcome import ExitCode
from runner.engine.stop import StopSignal

T = TypeVar("T")


class BackgroundTasks:
    """Tasks that nobody waits for until the run ends."""

    def __init__(self, stop_signal: StopSignal) -> None:
        self._stop_signal = stop_signal
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the transfers."""
        task = asyncio.create_task(self.guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def guarded(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Do a part of the run; a failure stops the run, and the others drain."""
        try:
            return await work
        except StorageError as error:
            self._stop_signal.set(ExitCode.STORAGE, str(error), error)
        except Exception as bug:  # noqa: BLE001 - told as a bug at the end, with its trace
            self.stop_for(bug)
        return None

    def stop_for(self, bug: Exception) -> None:
        """Stop the run for what nobody foresaw."""
        self._stop_signal.set(ExitCode.BUG, f"an internal error: {bug!r}", bug)

    async def finish(self) -> None:
        """Wait for what was begun."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
