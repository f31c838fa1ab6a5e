"""A gateway that tells what is observed of destinations, as the test has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runner.core.pacing.destinations import Figures
from runner.ports import GatewayListener
from runner.testing.gateway import FakeGateway


@dataclass
class ObservedGateway(FakeGateway):
    """Tells the figures that `figures` has, from when the session is open."""

    observed: Callable[[str, Figures | None], None] = lambda _uri, _figures: None
    uris: Sequence[str] = ()
    figures: Figures | None = None
    asked: int = 0

    def observe(
        self, destinations: Sequence[str], observed: Callable[[str, Figures | None], None]
    ) -> None:
        """Keep to whom figures are told."""
        self.uris, self.observed = destinations, observed

    def ask_again(self) -> None:
        """Count how often."""
        self.asked += 1

    async def figures_of(self, destination: str) -> Figures:
        """Return the figures."""
        del destination
        return self.figures or {}

    async def open(self, listener: GatewayListener) -> None:
        """Open, and tell."""
        await super().open(listener)
        self.tell(self.figures)

    def tell(self, figures: Figures | None) -> None:
        """Tell figures of every destination."""
        for uri in self.uris:
            self.observed(uri, figures)
