"""Time as this machine tells it."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """Implements `ports.Clock`."""

    def now(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def wall(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Suspend for at least `seconds`."""
        await asyncio.sleep(seconds)
