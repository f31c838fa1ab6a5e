"""Reads the frames of a notification channel's socket (genesys-cloud.md, "Socket")."""

from __future__ import annotations

from enum import Enum, auto

from runner.core.frozen import frozen
from runner.core.lenient_json import decode_json
from runner.core.transfer.canonical_form import canonical_interaction
from runner.core.transfer.message import GatewayNote, harmless
from runner.gateways.genesys_cloud.protocol.observations import Observation, read_observation

PING = '{"message":"ping"}'
"""The frame that the platform answers with a pong."""

_CONVERSATIONS = ".conversations"
_NO_LONGER_SUBSCRIBED = "v2.system.no_longer_subscribed"
_TOKEN_REVOKED = "v2.system.token_revoked"  # noqa: S105 - a topic
_SOCKET_CLOSING = "v2.system.socket_closing"


class Signal(Enum):
    """A message about the channel itself."""

    ALIVE = auto()  # a heartbeat, a pong
    CLOSING = auto()  # the socket will be closed within about a minute
    UNSUBSCRIBED = auto()  # the channel was evicted, or dropped
    TOKEN_REVOKED = auto()


@frozen
class Changed:
    """A conversation changed; `body` is its new state, `conversation_id` the canonical id."""

    conversation_id: str
    body: dict[str, object]


def read_frame(frame: str | bytes) -> Signal | Changed | Observation | GatewayNote:
    """Read one frame; an unknown one becomes a `GatewayNote`, never an error."""
    if isinstance(frame, bytes):
        return GatewayNote("a binary frame", harmless(repr(frame)))
    try:
        message, _, is_consistent = decode_json(frame)
    except (ValueError, RecursionError):
        return GatewayNote("not JSON", harmless(frame))
    if not is_consistent:
        return GatewayNote("contradictory", harmless(frame))
    topic = message.get("topicName") if isinstance(message, dict) else None
    if not isinstance(topic, str):
        return GatewayNote("no topic", harmless(frame))
    signals = (
        s for start, s in _SIGNALS.items() if topic == start or topic.startswith(f"{start}.")
    )
    signal = next(signals, None)
    return (
        signal
        or _changed(topic, message.get("eventBody"))
        or read_observation(topic, message.get("eventBody"))
        or GatewayNote("no event", harmless(frame))
    )


def _changed(topic: str, body: object) -> Changed | None:
    if topic.endswith(_CONVERSATIONS) and isinstance(body, dict):
        conversation_id = body.get("id")
        if isinstance(conversation_id, str) and conversation_id:
            return Changed(canonical_interaction(conversation_id), body)
    return None


_SIGNALS = {
    "channel.metadata": Signal.ALIVE,
    _SOCKET_CLOSING: Signal.CLOSING,
    _NO_LONGER_SUBSCRIBED: Signal.UNSUBSCRIBED,
    _TOKEN_REVOKED: Signal.TOKEN_REVOKED,
}
