"""A loop whose time is virtual: it passes only when nothing else is to be done."""

from __future__ import annotations

import math

from async_solipsism import EventLoop
from async_solipsism.clock import Clock

RESOLUTION_S = 1e-6


class _UpwardClock(Clock):
    """Advances at least one tick, as real clocks do, where the plain one would stand still."""

    def advance(self, delta: float) -> None:
        self._ticks += max(1, math.ceil(delta / RESOLUTION_S - 1e-6))


class VirtualLoop(EventLoop):
    """An event loop that begins at zero."""

    def __init__(self) -> None:
        super().__init__()
        self._selector.clock = self._EventLoop__clock = _UpwardClock(resolution=RESOLUTION_S)
