"""Limits of destinations in a simulated world: what a seed draws, and what is observed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

from runner.core.gates import parse_bound
from runner.core.manifest.destinations import NO_LIMITS, DestinationLimits, DestinationTable
from runner.core.pacing.destinations import Figures
from runner.gateways.interaction_transfer.driver import InteractionWebSocket
from runner.ports import GatewayListener, Observed
from tests.simulation.ledger import Effect
from tests.simulation.life import Life
from tests.simulation.simulation import Simulation
from tests.simulation.target_queue import TargetQueue

SHARE = 0.3
"""How many worlds have limits of destinations, by chance."""

LONG_S = 90.0
"""How long a destination may be full whose figures are late."""

MOST_WAITING, LEAST_ON_QUEUE, PRESENT = 3, 2, "available"
BOUNDS = (("waiting", f"<= {MOST_WAITING}"), ("on_queue", f">= {LEAST_ON_QUEUE}"))

RATES_PER_S = (None, 0.5, 2.0, 10.0)
SLOW_RATES_PER_S = (None, 0.2, 0.5, 2.0)
"""For a driver whose frames may leave late: a slow rate shows nevertheless whether it is kept."""


def draw_capacity(
    simulation: Simulation,
    *,
    observed: bool = True,
    rates_per_s: Sequence[float | None] = RATES_PER_S,
) -> DestinationTable:
    """Draw the limits that hold for every destination; mostly none do."""
    chance = simulation.chance("capacity")
    if chance.random() >= SHARE:
        return NO_LIMITS
    is_observed = observed and chance.random() < 0.5
    bounds = [each for each in BOUNDS if chance.random() < 0.7] or BOUNDS[:1]
    limits = DestinationLimits(
        pattern="*",
        rate_per_s=chance.choice(rates_per_s),
        in_flight=chance.choice((None, 1, 3)),
        bounds={name: parse_bound(text) for name, text in bounds} if is_observed else {},
        states={"presence": frozenset({PRESENT})} if is_observed and chance.random() < 0.3 else {},
        give_up_s=chance.choice((5.0, 30.0)),
    )
    return DestinationTable((limits,))


def bounded(
    target: TargetQueue | None, drawn: DestinationTable, simulation: Simulation
) -> DestinationTable:
    """Return the limits of a world: those of its target queue, if it has one."""
    if target is None:
        return drawn
    chance = simulation.chance("target queue's limits")
    limits = DestinationLimits(
        pattern="*",
        rate_per_s=chance.choice((None, None, 2.0)),
        in_flight=chance.choice((None, None, 3)),
        bounds={"waiting": parse_bound(f"<= {MOST_WAITING}")},
        give_up_s=LONG_S,
    )
    return DestinationTable((limits,))


def without_figures(table: DestinationTable) -> DestinationTable:
    """Return the limits of a fine day, on which everybody is to be moved."""
    return DestinationTable(tuple(replace(each, bounds={}, states={}) for each in table.entries))


class ObservedWebSocket(InteractionWebSocket):
    """The driver, with figures of a target queue, or ones that are drawn by chance."""

    life: Life
    target: TargetQueue | None
    effects: Sequence[Effect]  # on the gateway's side

    def observe(self, destinations: Sequence[str], tell: Callable[[Observed], None]) -> None:
        """Keep whom to tell."""
        self._told = (destinations, tell)

    def ask_again(self) -> None:
        """Do nothing: figures come anyway."""

    async def figures_of(self, destination: str) -> Observed:
        """Return nothing: no gate asks."""
        return Observed(destination, None, self.life.simulation.now)

    async def open(self, listener: GatewayListener) -> None:
        """Open, and tell figures from then on."""
        await super().open(listener)
        if hasattr(self, "_told"):
            self._telling = asyncio.create_task(self._tell())

    async def close(self) -> None:
        """Close, and tell nothing any more."""
        if hasattr(self, "_telling"):
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
        await super().close()

    async def _tell(self) -> None:
        destinations, tell = self._told
        chance = self.life.simulation.chance(f"figures of run {self.life.number}")
        for n in count():
            for uri in destinations:
                observed = self._observed(uri, n, chance)
                self.life.figures[uri] = (observed.at, observed.figures)
                tell(observed)
            await asyncio.sleep(chance.choice((0.2, 1.0, 6.0)))

    def _observed(self, uri: str, n: int, chance: random.Random) -> Observed:
        now = self.life.simulation.now
        if self.target is None:
            return Observed(uri, _draw_figures(chance) if chance.random() < 0.8 else None, now)
        figures = self.target.figures(n, now, self.effects, uri, chance)
        return Observed(uri, figures, now - self.target.lag_s)


def _draw_figures(chance: random.Random) -> Figures:
    figures: dict[str, float | str | None] = {
        "waiting": float(chance.choice((0, 0, 2, 3, 9))),
        "on_queue": float(chance.choice((0, 2, 5, 5))),
        "presence": chance.choice(("available", "available", "busy", None)),
    }
    return {name: value for name, value in figures.items() if chance.random() < 0.95}
