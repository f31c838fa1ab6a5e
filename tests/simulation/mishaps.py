"""What happens to a gateway by itself: stalls, storms, closed sessions, worthless tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tests.simulation.realm import Realm
from tests.simulation.weather import CLOSES, FINE, STALL_LIMIT_S, Weather
from tests.simulation.world import World

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


class Mishaps:
    """Strikes at random times, for as long as the weather is not fine."""

    def __init__(self, world: World, weather: Weather, realm: Realm) -> None:
        self.weather = weather
        self.stalled_until = 0.0
        self.storm_until = 0.0
        self.down_until = 0.0  # the REST side
        self.lines: list[Line] = []
        self._world = world
        self._realm = realm
        self._chance = world.chance("mishaps")
        for share, befall in (
            (weather.gateway_stalls, self._stall),
            (weather.storms, self._storm),
            (weather.closes, self._end_sessions),
            (weather.revocations, self._revoke),
            (weather.outages, self._go_down),
        ):
            if share:
                self._repeat(share, befall)

    def heal(self) -> None:
        """Let the weather be fine from here on."""
        self.weather = FINE
        self.stalled_until = self.storm_until = self.down_until = 0.0

    def close(self, line: Line) -> None:
        """Close a session with one code or another."""
        code, reason = self._chance.choice(CLOSES)
        self._world.note(f"close {code}", reason)
        line.close(code, reason)

    def _repeat(self, share: float, befall: Callable[[], None]) -> None:
        def strike() -> None:
            if self.weather is not FINE:
                befall()
                self._repeat(share, befall)

        self._world.after(self._chance.expovariate(share), strike)

    def _stall(self) -> None:
        if self._world.now < self.stalled_until:
            return
        seconds = self._chance.choice((1.0, 8.0, 20.0, STALL_LIMIT_S - 1))
        self.stalled_until = self._world.now + seconds
        self._world.note("gateway stalls", seconds)
        if seconds > UNNOTICED_S and self._chance.random() < 0.5:
            self._world.after(UNNOTICED_S, self._cut_all)

    def _cut_all(self) -> None:
        for line in self._open_lines():
            line.cut()

    def _storm(self) -> None:
        self.storm_until = self._world.now + self._chance.uniform(0.5, 20)
        self._world.note("storm")

    def _go_down(self) -> None:
        if self._world.now >= self.down_until:
            self.down_until = self._world.now + self._chance.choice((2.0, 20.0, 90.0, 300.0))
            self._world.note("outage")

    def _end_sessions(self) -> None:
        for line in self._open_lines():
            if self._chance.random() < 0.3:
                line.cut()
            else:
                self.close(line)

    def _revoke(self) -> None:
        self._realm.revoke()
        self._world.note("revoked")
        for line in self._open_lines():
            if self._chance.random() < 0.5:
                line.close(4401, "token expired or revoked")

    def _open_lines(self) -> list[Line]:
        self.lines = [line for line in self.lines if line.is_open]
        return list(self.lines)
