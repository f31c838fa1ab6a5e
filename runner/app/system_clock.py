"""This machine's clocks; implements `ports.Clock`."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


# Linux's CLOCK_MONOTONIC stops in suspend; macOS's does not.
_UPTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """Implements `ports.Clock`."""

    def now(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def wall(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def uptime(self) -> float:
        """Return monotonic seconds that include time in suspend."""
        return time.clock_gettime(_UPTIME)

    @cached_property
    def boot(self) -> str | None:
        """Boot id of the machine, or None if unknown."""
        if _BOOT_ID.exists():
            return _BOOT_ID.read_text(encoding="ascii").strip()
        if sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            return result.stdout.strip() or None
        return None

    async def sleep(self, seconds: float) -> None:
        """Sleep for at least `seconds`."""
        await asyncio.sleep(seconds)
