"""What the gateway does with a delivery, said in advance by a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

POSITIVE = frozenset({"codec_negotiated", "transfer_initiated"})


@dataclass(frozen=True, slots=True)
class Step:
    """How one delivery is met: perhaps an effect, perhaps a reply, perhaps the session's end.

    `effect` None: carried out if and only if the reply is positive.
    """

    status: Any = "codec_negotiated"
    code: Any = None
    reason: str | None = None
    retry_after: Any = None
    media_matrix: Mapping[str, Any] | None = None
    effect: bool | None = None
    mute: bool = False
    delay_s: float = 0.0
    copies: int = 1
    raw: str | None = None  # a text sent instead of the reply
    cut: bool = False  # the connection is dropped without a closing handshake
    close_code: int | None = None
    close_reason: str = ""
    until: str | None = None  # a reply that waits for `Gateway.release(until)`
    act_s: float = 0.0  # it is acted upon after this; `delay_s` counts from then
    visible_s: float = 0.0  # its effect shows in look-ups after this
    stall_s: float = 0.0  # its session is read no further for this long

    @property
    def carries_out(self) -> bool:
        """Tell whether the interaction is moved."""
        return self.status in POSITIVE if self.effect is None else self.effect

    @property
    def answers(self) -> bool:
        """Tell whether a reply goes out."""
        return not (self.mute or self.cut or self.close_code is not None)

    def reply(self, message_id: str) -> dict[str, Any]:
        """Return the reply's fields, only those that the step speaks of."""
        said = {
            "status": self.status,
            "code": self.code,
            "reason": self.reason,
            "retry_after": self.retry_after,
            "media_matrix": self.media_matrix,
        }
        return {"id": message_id} | {name: v for name, v in said.items() if v is not None}


GOOD = Step()
MUTE = Step(mute=True, effect=False)
MUTE_BUT_MOVED = Step(mute=True, effect=True)
CUT = Step(cut=True, effect=False)
CUT_BUT_MOVED = Step(cut=True, effect=True)
LIMITED = Step("rate_limited", retry_after=0.05)


@dataclass(slots=True)
class Interaction:
    """An interaction as the REST side tells it."""

    id: str
    state: str = "active"
    destination_uri: str | None = "genesys://queue/where-it-was"
    last_transfer_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the look-up's body."""
        told = {"id": self.id, "state": self.state}
        if self.destination_uri is not None:
            told["destination_uri"] = self.destination_uri
        if self.last_transfer_id is not None:
            told["last_transfer_id"] = self.last_transfer_id
        return told


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as it arrived."""

    at: float  # monotonic seconds
    wall: float  # seconds since the epoch
    session: int  # counts from 1
    text: str
    message: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return str(self.message["id"])

    @property
    def interaction_id(self) -> str:
        return str(self.message["interaction_id"])

    @property
    def built(self) -> float:
        """Its timestamp, in seconds since the epoch by the sender's clock."""
        return datetime.strptime(self.message["timestamp"], "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()

    def age_s(self, now: float) -> float:
        """Return the seconds since its timestamp, by the gateway's clock."""
        return self.wall + now - self.at - self.built

    def about(self, now: float) -> dict[str, Any]:
        """Return what a ledger says of it."""
        return {
            "id": self.id,
            "interaction_id": self.interaction_id,
            "destination_uri": self.message["destination_uri"],
            "built": self.built,
            "age_s": self.age_s(now),
        }


@dataclass(frozen=True, slots=True)
class Effect:
    """An interaction that really moved."""

    at: float
    message_id: str
    interaction_id: str
    destination_uri: str
