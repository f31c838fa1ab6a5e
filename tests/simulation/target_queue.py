"""The truth about the queue that a batch is moved to, and the figures that a platform shows of it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runner.core.manifest.destinations import DestinationTable
from runner.core.pacing.destinations import Figures
from tests.simulation.ledger import Effect
from tests.simulation.simulation import Simulation

KINDS = ("lag", "flap", "sparse")
"""How figures are: late, old and new in turn, or late and missing at times."""

MISSING: Sequence[Figures | None] = (
    None,
    {},
    {"waiting": None},
    {"waiting": "the platform gives no number for email"},
)
"""What is told of a queue whose count is missing."""


@dataclass(frozen=True, slots=True)
class TargetQueue:
    """A queue: who is there when the world begins, and how often an agent answers the first one.

    No other interactions arrive: each one above the bound is our own. Its figures are up to `lag_s` late.
    """

    kind: str
    lag_s: float
    strangers: int
    answered_every_s: float

    def waiting_at(self, at: float, effects: Iterable[Effect], uri: str) -> list[str]:
        """Return who truly waits, in the order in which they came."""
        waiting, since = [f"stranger {n}" for n in range(self.strangers)], 0.0
        for effect in effects:
            if effect.at > at:
                break  # they are in the order in which they happened
            if effect.destination_uri == uri:
                del waiting[: self._answered(since, effect.at)]
                since = effect.at
                if effect.interaction_id not in waiting:
                    waiting.append(effect.interaction_id)
        return waiting[self._answered(since, max(since, at)) :]

    def figures(
        self, n: int, now: float, effects: Iterable[Effect], uri: str, chance: random.Random
    ) -> Figures | None:
        """Return what is told the `n`-th time."""
        if self.kind == "sparse" and chance.random() < 0.4:
            return chance.choice(MISSING)
        late_s = self.lag_s * (n % 2) if self.kind == "flap" else chance.uniform(0, self.lag_s)
        return {"waiting": float(len(self.waiting_at(now - late_s, effects, uri)))}

    def _answered(self, since: float, until: float) -> int:
        return int(until // self.answered_every_s) - int(since // self.answered_every_s)


def draw_target(simulation: Simulation, drawn: DestinationTable) -> TargetQueue | None:
    """Draw a queue for a world that has no limits of destinations; mostly there is none."""
    chance = simulation.chance("target queue")
    if drawn or chance.random() >= 0.3:
        return None
    return TargetQueue(
        kind=chance.choice(KINDS),
        lag_s=chance.choice((0.5, 5.0, 20.0)),
        strangers=chance.choice((0, 2, 6)),
        answered_every_s=chance.choice((2.0, 10.0, 40.0)),
    )
