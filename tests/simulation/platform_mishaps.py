"""What happens to the platform by itself: stalls, worthless tokens, sockets that go or fall silent."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.network import ABNORMAL
from tests.simulation.platform_rest import Channel, PlatformMind
from tests.simulation.platform_weather import FINE_DAY


class PlatformMishaps:
    """Strikes at random times, for as long as the day is not fine."""

    def __init__(self, mind: PlatformMind) -> None:
        self._mind = mind
        self._world = mind.world
        self._chance = mind.world.chance("mishaps")

    def begin(self) -> None:
        """Let it come."""
        weather = self._mind.weather
        for share, befall in (
            (weather.gateway_stalls, self._stall),
            (weather.revocations, self._mind.revoke),
            (weather.socket_cuts, self._cut),
            (weather.socket_closings, self._announce),
            (weather.deaf_sockets, self._deafen),
            (weather.evictions, self._evict),
        ):
            if share:
                self._repeat(share, befall)

    def _repeat(self, share: float, befall: Callable[[], None]) -> None:
        def strike() -> None:
            if self._mind.weather is not FINE_DAY:
                befall()
                self._repeat(share, befall)

        self._world.after(self._chance.expovariate(share), strike)

    def _stall(self) -> None:
        self._world.note("gateway stalls")
        self._mind.stalled_until = self._world.now + self._chance.choice((1.0, 8.0, 40.0))

    def _cut(self) -> None:
        for channel in self._connected():
            channel.socket.end(ABNORMAL, "the connection was lost without a close frame")

    def _announce(self) -> None:
        for channel in self._connected():
            channel.socket.announce_close()

    def _deafen(self) -> None:
        for channel in self._connected():
            self._world.note("deaf socket")
            channel.socket.is_deaf = True

    def _evict(self) -> None:
        for channel in self._connected():
            self._world.note("evicted")
            self._mind.drop(channel, "no_longer_subscribed")

    def _connected(self) -> list[Channel]:
        return [one for one in self._mind.channels.values() if one.socket is not None]
