"""A gateway that tells what is observed of destinations, as the test has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runner.core.pacing.destinations import Figures
from runner.ports import GatewayListener, Observed
from runner.testing.gateway import FakeGateway


@dataclass
class ObservedGateway(FakeGateway):
    """Tells the figures that `figures` has, from when the session is open.

    They come `lag_s` after the earliest time that they may describe.
    """

    told: Callable[[Observed], None] = lambda _observed: None
    lag_s: float = 0.0
    uris: Sequence[str] = ()
    figures: Figures | None = None
    asked: int = 0

    def observe(self, destinations: Sequence[str], tell: Callable[[Observed], None]) -> None:
        """Keep to whom figures are told."""
        self.uris, self.told = destinations, tell

    def ask_again(self) -> None:
        """Count how often."""
        self.asked += 1

    async def figures_of(self, destination: str) -> Observed:
        """Return the figures."""
        return Observed(destination, self.figures, self._described_at)

    async def open(self, listener: GatewayListener) -> None:
        """Open, and tell."""
        await super().open(listener)
        self.tell(self.figures)

    def tell(self, figures: Figures | None) -> None:
        """Tell figures of every destination."""
        for uri in self.uris:
            self.told(Observed(uri, figures, self._described_at))

    @property
    def _described_at(self) -> float:
        return asyncio.get_running_loop().time() - self.lag_s
