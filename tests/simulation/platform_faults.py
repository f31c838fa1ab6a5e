"""What happens to the platform by itself: stalls, worthless tokens, sockets that go or fall silent."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.network import ABNORMAL
from tests.simulation.platform_delivery_faults import FINE_DAY
from tests.simulation.platform_rest import Channel, PlatformMind


class PlatformFaults:
    """Strikes at random times, for as long as the day is not fine."""

    def __init__(self, mind: PlatformMind) -> None:
        self._mind = mind
        self._simulation = mind.simulation
        self._chance = mind.simulation.chance("mishaps")

    def begin(self) -> None:
        """Let it come."""
        delivery_faults = self._mind.delivery_faults
        for share, befall in (
            (delivery_faults.gateway_stalls, self._stall),
            (delivery_faults.revocations, self._mind.revoke),
            (delivery_faults.socket_cuts, self._cut),
            (delivery_faults.socket_closings, self._announce),
            (delivery_faults.deaf_sockets, self._deafen),
            (delivery_faults.evictions, self._evict),
        ):
            if share:
                self._repeat(share, befall)

    def _repeat(self, share: float, befall: Callable[[], None]) -> None:
        def strike() -> None:
            if self._mind.delivery_faults is not FINE_DAY:
                befall()
                self._repeat(share, befall)

        self._simulation.after(self._chance.expovariate(share), strike)

    def _stall(self) -> None:
        self._simulation.note("gateway stalls")
        self._mind.stalled_until = self._simulation.now + self._chance.choice((1.0, 8.0, 40.0))

    def _cut(self) -> None:
        for channel in self._connected():
            channel.socket.end(ABNORMAL, "the connection was lost without a close frame")

    def _announce(self) -> None:
        for channel in self._connected():
            channel.socket.announce_close()

    def _deafen(self) -> None:
        for channel in self._connected():
            self._simulation.note("deaf socket")
            channel.socket.is_deaf = True

    def _evict(self) -> None:
        for channel in self._connected():
            self._simulation.note("evicted")
            self._mind.drop(channel, "no_longer_subscribed")

    def _connected(self) -> list[Channel]:
        return [one for one in self._mind.channels.values() if one.socket is not None]
