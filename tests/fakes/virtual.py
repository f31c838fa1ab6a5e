"""A loop whose time is virtual: it passes when nothing else is to be done, and a little by doing."""

from __future__ import annotations

import math

from async_solipsism import EventLoop
from async_solipsism.clock import Clock

TICK_S = 1e-6
"""How long one turn of the loop takes: who polls until a moment has passed sees it pass."""


class _UpwardClock(Clock):
    """Rounds up, where the plain one would stand still for a while that is shorter than a tick."""

    def advance(self, delta: float) -> None:
        self._ticks += max(1, math.ceil(delta / TICK_S - 1e-6))


class VirtualLoop(EventLoop):
    """An event loop that begins at zero."""

    def __init__(self) -> None:
        super().__init__()
        self._selector.clock = self._EventLoop__clock = _UpwardClock(resolution=TICK_S)

    def stand_still(self, seconds: float) -> None:
        """Let time pass within this turn, as where the machine does something else."""
        self._selector.clock.advance(seconds)

    def _run_once(self) -> None:
        self._selector.clock.advance(TICK_S)
        super()._run_once()
