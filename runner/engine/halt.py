"""The run's stop flag: set once, with the reason, and whoever sleeps is woken."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from runner.core.outcome import ExitCode


class Halt:
    """Why the run ends before its plan does. The first reason stays, unless storage fails."""

    def __init__(self) -> None:
        self.code: ExitCode | None = None
        self.reason: str | None = None
        self.error: Exception | None = None
        self._event = asyncio.Event()

    @property
    def is_set(self) -> bool:
        """Tell whether nothing further may be sent."""
        return self.code is not None

    def stop(self, code: ExitCode, reason: str, error: Exception | None = None) -> None:
        """End the run: nothing further is sent, what is in flight gets its time to settle."""
        if self.code is None or code is ExitCode.STORAGE:
            self.code, self.reason, self.error = code, reason, error
        self._event.set()

    async def rest(self, seconds: float) -> None:
        """Sleep for `seconds`, or until the run is stopped."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._event.wait()

    async def wait(self) -> None:
        """Sleep until the run is stopped."""
        await self._event.wait()
