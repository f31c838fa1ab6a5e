"""The faults of the embedded gateway, and the seeded chance of each.

Whether a fault strikes is a hash of (seed, fault, subject): it depends neither on the order nor on
the times of arrival, and a seed repeats a rehearsal exactly.

A new fault is a new line of one of the tables:
- `REFUSALS`: the gateway answers, but does not carry out;
- `REPLY_FAULTS`: what happens to an answer on its way, in the order of the table;
- `FRAME_FAULTS`: what happens to a frame before it is processed; the model handles each by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import field
from hashlib import blake2b
from typing import Any

from runner.core.errors import UsageError
from runner.core.frozen import frozen

_SLOW_FACTOR = 20
_LEAST_SLOW_S = 0.05  # a slow answer of a gateway without latency takes 20 times this


@frozen
class Answer:
    """Send this text frame."""

    text: str


@frozen
class Cut:
    """Abort the socket: no close frame, and buffered data is lost."""


@frozen
class Close:
    """Close the session with a handshake."""

    code: int
    reason: str


@frozen
class Seen:
    """Record that a request was read."""

    message_id: str
    interaction_id: str


@frozen
class Effect:
    """Carry a transfer out.

    Answers are part of it, so that none can overtake its effect: `then` follows once it is carried
    out (now, or by an earlier delivery of the same id), `otherwise` if it came too late.
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


@frozen
class Verdict:
    """The gateway's decision on a request; `carried_out`: the transfer is carried out."""

    status: str
    reason: str | None = None
    retry_after_s: float | None = None
    media: Mapping[str, Any] | None = None
    carried_out: bool = False

    def to_text(self, message_id: str | None) -> str:
        """Return the reply's text; the answer to a frame without id has none."""
        fields = {
            "id": message_id,
            "status": self.status,
            "reason": self.reason,
            "retry_after": self.retry_after_s,
            "media_matrix": self.media,
        }
        return _ENCODER.encode({name: value for name, value in fields.items() if value is not None})


_ENCODER = json.JSONEncoder(separators=(",", ":"))


@frozen
class Chance:
    """Seeded chance. `shares` has the share (0 to 1) of each fault.

    `known` has the faults of this platform. Raises `UsageError` for any other.
    """

    seed: int
    shares: Mapping[str, float] = field(default_factory=dict)
    known: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = self.known or FAULTS
        for name, share in self.shares.items():
            if name not in known:
                raise UsageError(
                    f"{name} is not a fault of the simulator; it has {', '.join(known)}"
                )
            if not 0 <= share <= 1:
                raise UsageError(f"the share of {name} is {share}; write one from 0% to 100%")

    def draw(self, purpose: str, subject: str) -> float:
        """Return a number in [0, 1), always the same for the same arguments."""
        text = f"{self.seed}\n{purpose}\n{subject}".encode("utf-8", "surrogatepass")
        return int.from_bytes(blake2b(text, digest_size=7).digest()) / (1 << 56)

    def strikes(self, fault: str, subject: str) -> bool:
        """Return whether `fault` strikes `subject`."""
        share = self.shares.get(fault, 0.0)
        return share > 0 and self.draw(fault, subject) < share


def rate_limited(chance: Chance, subject: str) -> Verdict:
    """Return the answer to a frame that came too fast, with the wait before the next."""
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
"""Answers without an effect. `rate_limited` and `codec_unsupported` are not here: one is decided
before repeats are recognised, the other depends on the first request."""


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


REPLY_FAULTS: Mapping[str, Callable[[Decisions, float, float], Decisions]] = {
    "doubled": _doubled,
    "slow": _slow,
    "muted": _muted,
    "cut": _cut,
}
"""Changes to an answer: (decisions, latency in seconds, a number in [0, 1)) -> decisions."""

FRAME_FAULTS = ("token_expiry", "cut_before")

FAULTS = ("rate_limited", "codec_unsupported", *REFUSALS, *REPLY_FAULTS, *FRAME_FAULTS)
"""The names of all faults, as in manifests."""
