"""How bad the world is in one seed: which faults, how often. Each seed draws a few of them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one frame that the gateway acts upon."""

    effect: bool  # it is carried out
    answers: tuple[str, ...] = ()  # statuses, in the order in which they are sent
    ends: str | None = None  # how the session ends: "cut" or "close"


ACCEPTED = "accepted"
LIMITED = "limited"
UNSUITED = "unsuited"
REJECTED = "rejected"
MUTE = "mute, done"
IGNORED = "mute, not done"

FATES: Mapping[str, Fate] = {
    ACCEPTED: Fate(effect=True, answers=("transfer_initiated",)),
    REJECTED: Fate(effect=False, answers=("transfer_rejected",)),
    LIMITED: Fate(effect=False, answers=("rate_limited",)),
    UNSUITED: Fate(effect=False, answers=("codec_unsupported",)),
    MUTE: Fate(effect=True),
    IGNORED: Fate(effect=False),
    "unlisted, done": Fate(effect=True, answers=("pending",)),
    "unlisted, not done": Fate(effect=False, answers=("queued",)),
    "no, then yes": Fate(effect=True, answers=("transfer_rejected", "transfer_initiated")),
    "too fast, then yes": Fate(effect=True, answers=("rate_limited", "codec_negotiated")),
    "yes, then no": Fate(effect=True, answers=("codec_negotiated", "transfer_rejected")),
    "cut before": Fate(effect=False, ends="cut"),
    "cut after": Fate(effect=True, ends="cut"),
    "close before": Fate(effect=False, ends="close"),
    "close after": Fate(effect=True, ends="close"),
}
"""A new way for a gateway to behave is a new line here."""

CLOSES: tuple[tuple[int, str], ...] = (
    (1000, ""),
    (1001, "going away"),
    (1008, "policy violation"),
    (1008, "the token has expired"),
    (1011, "internal error"),
    (1012, "service restart"),
    (1013, "try again later"),
    (4401, "token expired or revoked"),
)

STALL_LIMIT_S = 45.0
"""The longest that a frame waits in the gateway's buffer."""

SLOWEST_S = 20.0
"""The longest between a frame's being read and its being acted upon."""


@dataclass(frozen=True, slots=True)
class DeliveryFaults:
    """Shares (0 to 1) and rates of what goes wrong; all zero: a fine day."""

    fates: Mapping[str, float] = field(default_factory=dict)  # by name, besides ACCEPTED
    slow: float = 0.0  # frames acted upon only after seconds
    late: float = 0.0  # answers that come after seconds
    doubled: float = 0.0  # answers that come twice
    kept: float = 0.0  # answers of an ended session that come on a later one
    gateway_stalls: float = 0.0  # per second: the gateway reads nothing for a while
    storms: float = 0.0  # per second: a while in which every frame is answered "too fast"
    closes: float = 0.0  # per second: sessions end for no reason
    revocations: float = 0.0  # per second: the token is worth nothing any more
    unreachable: float = 0.0  # dials that fail
    rest_faults: float = 0.0  # look-ups and token requests that fail
    rest_limits: float = 0.0  # look-ups answered 429
    outages: float = 0.0  # per second: the whole REST side answers nothing of use for a while
    stops: float = 0.0  # per second: the process is stopped for a while
    stops_at_commit: float = 0.0  # the process is stopped right after an intent was made durable
    stops_at_send: float = 0.0  # the process is stopped inside the write
    steps: float = 0.0  # per second: the wall clock is set
    full_buffers: float = 0.0  # sends after which the transport's buffer stays full for a while
    disk_full: float = 0.0  # commits that fail

    @classmethod
    def drawn(cls, chance: random.Random) -> DeliveryFaults:
        """Draw the weather of one seed."""
        drawn = chance.random()
        if drawn < 0.1:
            return cls.contradictory(chance)
        if drawn > 0.9:
            return cls.refusing(chance) if drawn > 0.95 else cls.down_at_times(chance)
        return cls.stuttering(chance) if drawn < 0.2 else cls.mixed(chance)

    @classmethod
    def contradictory(cls, chance: random.Random) -> DeliveryFaults:
        """Draw a weather in which a no means little, and answers come on later sessions."""
        fates = ("no, then yes", "too fast, then yes", "yes, then no", "mute, done")
        return cls(
            fates=dict.fromkeys(fates, 0.3),
            late=chance.uniform(0.2, 0.8),
            doubled=chance.uniform(0.2, 0.8),
            kept=1.0,
            closes=chance.uniform(0.05, 0.5),
        )

    @classmethod
    def stuttering(cls, chance: random.Random) -> DeliveryFaults:
        """Draw a weather in which much is too fast, answers come twice and effects take a while."""
        return cls(
            fates={LIMITED: chance.uniform(0.3, 1.2), REJECTED: chance.uniform(0, 0.3)},
            slow=chance.uniform(0.2, 0.8),
            doubled=chance.uniform(0.3, 1.0),
            storms=chance.choice((0.0, 0.1)),
        )

    @classmethod
    def refusing(cls, chance: random.Random) -> DeliveryFaults:
        """Draw a weather in which much is refused, some of it late."""
        return cls(
            fates={REJECTED: chance.uniform(0.5, 1.5), LIMITED: chance.uniform(0, 0.3)},
            slow=chance.uniform(0, 0.8),
        )

    @classmethod
    def down_at_times(cls, chance: random.Random) -> DeliveryFaults:
        """Draw a weather in which the REST side is down now and then, and all else is well."""
        return cls(slow=chance.uniform(0, 0.3), outages=chance.uniform(0.05, 0.5))

    @classmethod
    def mixed(cls, chance: random.Random) -> DeliveryFaults:
        """Draw few faults at a time, so that each has its clear days."""

        def maybe(share: float, most: float) -> float:
            return chance.uniform(0.1, 1.0) * most if chance.random() < share else 0.0

        fates = {name: maybe(0.35, 0.25) for name in FATES if name != ACCEPTED}
        return cls(
            fates={name: weight for name, weight in fates.items() if weight},
            slow=maybe(0.3, 0.3),
            late=maybe(0.4, 0.4),
            doubled=maybe(0.5, 0.5),
            kept=maybe(0.5, 1.0),
            gateway_stalls=maybe(0.4, 0.15),
            storms=maybe(0.2, 0.1),
            closes=maybe(0.4, 0.2),
            revocations=maybe(0.2, 0.1),
            unreachable=maybe(0.3, 0.7),
            rest_faults=maybe(0.4, 0.4),
            rest_limits=maybe(0.2, 0.2),
            stops=maybe(0.3, 0.2),
            stops_at_commit=maybe(0.2, 0.1),
            stops_at_send=maybe(0.2, 0.1),
            steps=maybe(0.3, 0.2),
            full_buffers=maybe(0.2, 0.2),
            disk_full=maybe(0.1, 0.05),
            outages=maybe(0.3, 0.1),
        )


FINE = DeliveryFaults()
