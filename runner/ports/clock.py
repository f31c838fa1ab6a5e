"""Time, as the engine reads it and waits for it."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time as the engine sees it."""

    def now(self) -> float:
        """Return monotonic seconds."""

    def wall(self) -> float:
        """Return seconds since the epoch."""

    def uptime(self) -> float:
        """Return seconds that run through suspend, comparable under one `boot`."""

    @property
    def boot(self) -> str | None:
        """Boot id of the machine, or None if unknown."""

    async def sleep(self, seconds: float) -> None:
        """Suspend for at least `seconds`."""
