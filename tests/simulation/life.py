"""Whether a process lives: kill -9 at a chosen step, after which nothing of it reaches the world."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from runner.core.pacing.destinations import Figures
from runner.engine.stop import StopSignal
from tests.simulation.delivery_faults import FINE, DeliveryFaults
from tests.simulation.simulation import Simulation


@dataclass(frozen=True, slots=True)
class Doom:
    """Where a process dies: at the n-th `start`, `commit` or `send`, or at a time.

    `start` are the steps before the plan is stored.
    """

    place: str  # "start", "commit", "send", "time" or "never"
    count: int = 0
    before: bool = True
    after_s: float = 0.0

    @classmethod
    def drawn(cls, chance: random.Random) -> Doom:
        """Draw a death; some processes come to their end."""
        places = ("commit", "commit", "commit", "send", "send", "time", "time", "start", "never")
        place = chance.choice((*places, "never", "never"))
        most = {"start": 3, "commit": 20, "send": 10}.get(place, 1)
        after_s = chance.choice((0.5, 5, 60)) * chance.random()
        return cls(place, chance.randint(1, most), chance.random() < 0.5, after_s)


NEVER = Doom("never")


class Life:
    """One process's life, as its adapters see it."""

    def __init__(
        self, simulation: Simulation, doom: Doom, number: int, delivery_faults: DeliveryFaults
    ) -> None:
        self.simulation = simulation
        self.number = number  # of the run, from 1
        self.delivery_faults = delivery_faults
        self.chance = simulation.chance(f"process {number}")
        self.stop_signal = StopSignal()
        self.killed_at: float | None = None
        self.figures: dict[str, tuple[float, Figures | None]] = {}  # told last, and when
        self.paused_until = -math.inf
        self.stopped_by: str | None = None
        self.ended: asyncio.Future[None] = simulation.loop.create_future()
        self.mourners: list[Callable[[], None]] = []  # who learns of the process's death
        self._doom = doom
        self._steps = {"start": 0, "commit": 0, "send": 0}
        if doom.place == "time":
            simulation.loop.call_later(doom.after_s, self.die)

    @property
    def is_over(self) -> bool:
        """Tell whether the process is dead."""
        return self.ended.done()

    @property
    def forbids(self) -> str | None:
        """Why no frame of the process may leave now, in words; None: one may."""
        is_paused = self.simulation.now < self.paused_until
        return self.stopped_by or ("in a pause" if is_paused else None)

    def die(self) -> None:
        """End at once, wherever the process is."""
        if not self.is_over:
            self.simulation.note("killed", self.number)
            self.killed_at = self.simulation.now
            self.ended.set_result(None)
            for mourner in self.mourners:
                mourner()

    def retire(self) -> None:
        """End in peace: nothing can kill the process any more."""
        if not self.is_over:
            self.ended.set_result(None)

    def reaches(self, place: str) -> Doom | None:
        """Count a step; return the doom if the process dies at it."""
        self._steps[place] += 1
        doomed = self._doom.place == place and self._doom.count == self._steps[place]
        return self._doom if doomed else None

    def strikes(self, share: float) -> bool:
        """Draw whether something of the process's weather strikes."""
        return self.delivery_faults is not FINE and share > 0 and self.chance.random() < share

    async def silence(self) -> None:
        """Suspend for ever: what a dead process's call to the world does."""
        await self.simulation.loop.create_future()
