"""What the gateway does wrong on purpose, and the chance by which it does.

Whether a fault strikes is a hash of (seed, fault, subject), so that it depends on neither the order
of arrival nor the pace, and a seed replays a rehearsal exactly.

A new fault is a new line of one of the tables:
- `REFUSALS`: the gateway answers, but does not carry out;
- `DELIVERIES`: what happens to an answer on its way, in the order of the table;
- `ARRIVALS`: what happens to a frame before it is acted upon; the model knows each by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from runner.core.errors import UsageError

_SLOW_FACTOR = 20
_LEAST_SLOW_S = 0.05  # a slow answer of a gateway without latency takes 20 times this


@dataclass(frozen=True, slots=True)
class Answer:
    """Send this text frame."""

    text: str


@dataclass(frozen=True, slots=True)
class Cut:
    """Abort the socket: no close frame, what is buffered is lost."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the session in due form."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Seen:
    """Note that this request was read."""

    message_id: str
    interaction_id: str


@dataclass(frozen=True, slots=True)
class Effect:
    """Carry a transfer out.

    What follows hangs on it, so that no answer can overtake its effect: `then` once it is carried
    out (now or by an earlier delivery of the same id), `otherwise` if it came too late.
    """

    message_id: str
    interaction_id: str
    destination_uri: str
    expires_at: float | None  # seconds since the epoch; None: never too late
    then: Decisions
    otherwise: Decisions


Action = Seen | Answer | Cut | Close | Effect
Decisions = tuple[tuple[float, Action], ...]
"""What to do, each after a delay in seconds."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gateway makes of a request; `carried_out`: it will act."""

    status: str
    reason: str | None = None
    retry_after_s: float | None = None
    media: Mapping[str, Any] | None = None
    carried_out: bool = False

    def to_text(self, message_id: str | None) -> str:
        """Return the reply's text; a frame that bore no id is answered without one."""
        fields = {
            "id": message_id,
            "status": self.status,
            "reason": self.reason,
            "retry_after": self.retry_after_s,
            "media_matrix": self.media,
        }
        return _ENCODER.encode({name: value for name, value in fields.items() if value is not None})


_ENCODER = json.JSONEncoder(separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Chance:
    """The seeded dice. `shares` (0 to 1) are by fault name; raises `UsageError` on others.

    `known` are the names that this face of the simulator has.
    """

    seed: int
    shares: Mapping[str, float] = field(default_factory=dict)
    known: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = self.known or FAULTS
        for name, share in self.shares.items():
            if name not in known:
                raise UsageError(f"{name} is no fault of the simulator; it has {', '.join(known)}")
            if not 0 <= share <= 1:
                raise UsageError(f"the share of {name} is {share}; write one from 0% to 100%")

    def draw(self, purpose: str, subject: str) -> float:
        """Return a number in [0, 1) that is always the same for these arguments."""
        text = f"{self.seed}\n{purpose}\n{subject}".encode("utf-8", "surrogatepass")
        return int.from_bytes(blake2b(text, digest_size=7).digest()) / (1 << 56)

    def strikes(self, fault: str, subject: str) -> bool:
        """Tell whether `fault` befalls `subject`."""
        share = self.shares.get(fault, 0.0)
        return share > 0 and self.draw(fault, subject) < share


def rate_limited(chance: Chance, subject: str) -> Verdict:
    """Answer that frames come too fast, and when to come again."""
    wait_s = round(0.05 + 0.15 * chance.draw("retry_after", subject), 3)
    return Verdict("rate_limited", "too many transfers", retry_after_s=wait_s)


_REJECTIONS = (
    "the destination takes no transfers at the moment",
    "the queue is full",
    "the agent has signed out",
    "the interaction is held by a supervisor",
    "the transfer is not permitted by the routing policy",
)


def _rejected(chance: Chance, subject: str) -> Verdict:
    drawn = int(chance.draw("reason", subject) * len(_REJECTIONS))
    return Verdict("transfer_rejected", _REJECTIONS[drawn])


def _unlisted(_chance: Chance, _subject: str) -> Verdict:
    return Verdict("pending", "the transfer awaits a decision")


REFUSALS: Mapping[str, Callable[[Chance, str], Verdict]] = {
    "rejected": _rejected,
    "unlisted": _unlisted,
}
"""Answers without an effect. `rate_limited` and `codec_unsupported` are apart: one comes before
repeats are recognised, the other remembers what was asked for first."""


def _doubled(decisions: Decisions, latency_s: float, drawn: float) -> Decisions:
    gap_s = 4 * latency_s * drawn  # so that a second copy may meet a later delivery
    return decisions + tuple((delay_s + gap_s, action) for delay_s, action in decisions)


def _slow(decisions: Decisions, latency_s: float, _drawn: float) -> Decisions:
    more_s = (_SLOW_FACTOR - 1) * max(latency_s, _LEAST_SLOW_S)
    return tuple((delay_s + more_s, action) for delay_s, action in decisions)


def _muted(_decisions: Decisions, _latency_s: float, _drawn: float) -> Decisions:
    return ()


def _cut(_decisions: Decisions, _latency_s: float, _drawn: float) -> Decisions:
    return ((0.0, Cut()),)


DELIVERIES: Mapping[str, Callable[[Decisions, float, float], Decisions]] = {
    "doubled": _doubled,
    "slow": _slow,
    "muted": _muted,
    "cut": _cut,
}
"""What becomes of an answer: (decisions, latency in seconds, a number in [0, 1)) -> decisions."""

ARRIVALS = ("token_expiry", "cut_before")

FAULTS = ("rate_limited", "codec_unsupported", *REFUSALS, *DELIVERIES, *ARRIVALS)
"""Every fault's name, as manifests spell it."""
