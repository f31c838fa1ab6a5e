"""How bad the platform's day is in one seed, and what people do meanwhile."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.simulation.delivery_faults import DeliveryFaults


@dataclass(frozen=True, slots=True)
class PlatformDeliveryFaults(DeliveryFaults):
    """Shares and rates of what goes wrong with HTTP, channels and notifications; zero: nothing.

    Of the first driver's faults those of the process itself are kept.
    """

    slow_connects: float = 0.0  # requests that find a connection only after seconds
    refused_connects: float = 0.0  # requests that never leave
    lost_requests: float = 0.0  # left, never arrived
    lost_answers: float = 0.0  # acted upon, the answer is lost
    mute: float = 0.0  # acted upon, and nothing comes back at all
    errors_before: float = 0.0  # 5xx instead of acting
    errors_after: float = 0.0  # 5xx, 408 or 504 after acting
    limited: float = 0.0  # 429 though less was asked than is allowed
    refusals: float = 0.0  # commands refused for no reason of ours
    slow_acts: float = 0.0  # requests acted upon only after seconds
    events_lost: float = 0.0
    events_late: float = 0.0
    events_doubled: float = 0.0
    socket_cuts: float = 0.0  # per second: a channel's socket is cut
    socket_closings: float = 0.0  # per second: the platform announces a close
    deaf_sockets: float = 0.0  # per second: a socket says nothing any more
    evictions: float = 0.0  # per second: a channel is dropped

    @classmethod
    def drawn(cls, chance: random.Random) -> PlatformDeliveryFaults:
        """Draw few faults at a time, so that each has its clear days."""

        def maybe(share: float, most: float) -> float:
            return chance.uniform(0.1, 1.0) * most if chance.random() < share else 0.0

        return cls(
            gateway_stalls=maybe(0.2, 0.05),
            revocations=maybe(0.2, 0.05),
            unreachable=maybe(0.2, 0.5),
            stops=maybe(0.2, 0.1),
            stops_at_commit=maybe(0.15, 0.1),
            stops_at_send=maybe(0.15, 0.1),
            steps=maybe(0.2, 0.1),
            disk_full=maybe(0.05, 0.05),
            slow_connects=maybe(0.2, 0.2),
            refused_connects=maybe(0.2, 0.3),
            lost_requests=maybe(0.3, 0.2),
            lost_answers=maybe(0.4, 0.3),
            mute=maybe(0.2, 0.2),
            errors_before=maybe(0.3, 0.3),
            errors_after=maybe(0.3, 0.3),
            limited=maybe(0.3, 0.3),
            refusals=maybe(0.2, 0.2),
            slow_acts=maybe(0.3, 0.3),
            events_lost=maybe(0.4, 1.0),
            events_late=maybe(0.4, 0.6),
            events_doubled=maybe(0.4, 0.6),
            socket_cuts=maybe(0.3, 0.1),
            socket_closings=maybe(0.3, 0.1),
            deaf_sockets=maybe(0.2, 0.05),
            evictions=maybe(0.2, 0.05),
        )


FINE_DAY = PlatformDeliveryFaults()
