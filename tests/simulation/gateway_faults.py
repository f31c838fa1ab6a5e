"""What happens to a gateway by itself: stalls, storms, closed sessions, worthless tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tests.simulation.delivery_faults import CLOSES, FINE, STALL_LIMIT_S, DeliveryFaults
from tests.simulation.gateway_state import GatewayState
from tests.simulation.simulation import Simulation

UNNOTICED_S = 12.0
"""How long a peer that answers no pings goes unnoticed."""


class Line(Protocol):
    """The gateway's end of one session."""

    number: int
    token: str

    @property
    def is_open(self) -> bool:
        """Tell whether answers still reach the process."""

    def push(self, text: str, read: Callable[[int], None]) -> None:
        """Send a text frame; `read` is told which run takes it."""

    def close(self, code: int, reason: str) -> None:
        """Close in due form."""

    def cut(self) -> None:
        """Abort: no close frame."""


class GatewayFaults:
    """Strikes at random times, for as long as the weather is not fine."""

    def __init__(
        self, simulation: Simulation, delivery_faults: DeliveryFaults, gateway_state: GatewayState
    ) -> None:
        self.delivery_faults = delivery_faults
        self.stalled_until = 0.0
        self.storm_until = 0.0
        self.down_until = 0.0  # the REST side
        self.lines: list[Line] = []
        self._simulation = simulation
        self._gateway_state = gateway_state
        self._chance = simulation.chance("mishaps")
        for share, befall in (
            (delivery_faults.gateway_stalls, self._stall),
            (delivery_faults.storms, self._storm),
            (delivery_faults.closes, self._end_sessions),
            (delivery_faults.revocations, self._revoke),
            (delivery_faults.outages, self._go_down),
        ):
            if share:
                self._repeat(share, befall)

    def heal(self) -> None:
        """Let the weather be fine from here on."""
        self.delivery_faults = FINE
        self.stalled_until = self.storm_until = self.down_until = 0.0

    def close(self, line: Line) -> None:
        """Close a session with one code or another."""
        code, reason = self._chance.choice(CLOSES)
        self._simulation.note(f"close {code}", reason)
        line.close(code, reason)

    def _repeat(self, share: float, befall: Callable[[], None]) -> None:
        def strike() -> None:
            if self.delivery_faults is not FINE:
                befall()
                self._repeat(share, befall)

        self._simulation.after(self._chance.expovariate(share), strike)

    def _stall(self) -> None:
        if self._simulation.now < self.stalled_until:
            return
        seconds = self._chance.choice((1.0, 8.0, 20.0, STALL_LIMIT_S - 1))
        self.stalled_until = self._simulation.now + seconds
        self._simulation.note("gateway stalls", seconds)
        if seconds > UNNOTICED_S and self._chance.random() < 0.5:
            self._simulation.after(UNNOTICED_S, self._cut_all)

    def _cut_all(self) -> None:
        for line in self._open_lines():
            line.cut()

    def _storm(self) -> None:
        self.storm_until = self._simulation.now + self._chance.uniform(0.5, 20)
        self._simulation.note("storm")

    def _go_down(self) -> None:
        if self._simulation.now >= self.down_until:
            self.down_until = self._simulation.now + self._chance.choice((2.0, 20.0, 90.0, 300.0))
            self._simulation.note("outage")

    def _end_sessions(self) -> None:
        for line in self._open_lines():
            if self._chance.random() < 0.3:
                line.cut()
            else:
                self.close(line)

    def _revoke(self) -> None:
        self._gateway_state.revoke()
        self._simulation.note("revoked")
        for line in self._open_lines():
            if self._chance.random() < 0.5:
                line.close(4401, "token expired or revoked")

    def _open_lines(self) -> list[Line]:
        self.lines = [line for line in self.lines if line.is_open]
        return list(self.lines)
