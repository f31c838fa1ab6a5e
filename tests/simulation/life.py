"""Whether a process lives: kill -9 at a chosen step, after which nothing of it reaches the world."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from runner.engine.halt import Halt
from tests.simulation.weather import FINE, Weather
from tests.simulation.world import World


@dataclass(frozen=True, slots=True)
class Doom:
    """Where a process dies: at the n-th `commit` or `send` (before or after it), or at a time."""

    place: str  # "commit", "send", "time" or "never"
    count: int = 0
    before: bool = True
    after_s: float = 0.0

    @classmethod
    def drawn(cls, chance: random.Random) -> Doom:
        """Draw a death; one process in four comes to its end."""
        place = chance.choice(("commit", "send", "time", "never"))
        return cls(
            place, chance.randint(1, 20 if place == "commit" else 10), chance.random() < 0.5,
            chance.choice((0.5, 5, 60)) * chance.random(),
        )  # fmt: skip


NEVER = Doom("never")


class Life:
    """One process's life, as its adapters see it."""

    def __init__(self, world: World, doom: Doom, number: int, weather: Weather) -> None:
        self.world = world
        self.number = number  # of the run, from 1
        self.weather = weather
        self.chance = world.chance(f"process {number}")
        self.halt = Halt()
        self.killed_at: float | None = None
        self.ended: asyncio.Future[None] = world.loop.create_future()
        self.mourners: list[Callable[[], None]] = []  # who learns of the process's death
        self._doom = doom
        self._steps = {"commit": 0, "send": 0}
        if doom.place == "time":
            world.loop.call_later(doom.after_s, self.die)

    @property
    def is_over(self) -> bool:
        """Tell whether the process is dead."""
        return self.ended.done()

    def die(self) -> None:
        """End at once, wherever the process is."""
        if not self.is_over:
            self.world.note("killed", self.number)
            self.killed_at = self.world.now
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
        return self.weather is not FINE and share > 0 and self.chance.random() < share

    async def silence(self) -> None:
        """Suspend for ever: what a dead process's call to the world does."""
        await self.world.loop.create_future()
