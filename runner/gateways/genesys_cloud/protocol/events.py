"""What comes on a notifications channel's socket (genesys-cloud.md, "Socket")."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from runner.core.foreign_json import read_foreign
from runner.core.transfer.message import StrayFrame, harmless

PING = '{"message":"ping"}'
"""What is sent to have the platform answer."""

_CONVERSATIONS = ".conversations"
_NO_LONGER_SUBSCRIBED = "v2.system.no_longer_subscribed"
_TOKEN_REVOKED = "v2.system.token_revoked"  # noqa: S105 - a topic
_SOCKET_CLOSING = "v2.system.socket_closing"


class Signal(Enum):
    """What the platform says of the channel itself."""

    ALIVE = auto()  # a heartbeat, a pong
    CLOSING = auto()  # the socket will be closed within about a minute
    UNSUBSCRIBED = auto()  # the channel was evicted, or dropped
    TOKEN_REVOKED = auto()


@dataclass(frozen=True, slots=True)
class Changed:
    """A conversation changed; `body` is what it now is."""

    conversation_id: str
    body: dict[str, object]


def read_frame(frame: str | bytes) -> Signal | Changed | StrayFrame:
    """Read one frame; whatever is not known becomes a `StrayFrame`, never an error."""
    if isinstance(frame, bytes):
        return StrayFrame("a binary frame", harmless(repr(frame)))
    try:
        told, _, is_consistent = read_foreign(frame)
    except (ValueError, RecursionError):
        return StrayFrame("not JSON", harmless(frame))
    if not is_consistent:
        return StrayFrame("contradictory", harmless(frame))
    topic = told.get("topicName") if isinstance(told, dict) else None
    if not isinstance(topic, str):
        return StrayFrame("no topic", harmless(frame))
    signals = (
        s for start, s in _SIGNALS.items() if topic == start or topic.startswith(f"{start}.")
    )
    signal = next(signals, None)
    return (
        signal or _changed(topic, told.get("eventBody")) or StrayFrame("no event", harmless(frame))
    )


def _changed(topic: str, body: object) -> Changed | None:
    if topic.endswith(_CONVERSATIONS) and isinstance(body, dict):
        conversation_id = body.get("id")
        if isinstance(conversation_id, str) and conversation_id:
            return Changed(conversation_id, body)
    return None


_SIGNALS = {
    "channel.metadata": Signal.ALIVE,
    _SOCKET_CLOSING: Signal.CLOSING,
    _NO_LONGER_SUBSCRIBED: Signal.UNSUBSCRIBED,
    _TOKEN_REVOKED: Signal.TOKEN_REVOKED,
}
