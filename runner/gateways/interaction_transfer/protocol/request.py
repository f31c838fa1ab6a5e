"""Builds requests (protocol.md, "Request")."""

from __future__ import annotations

import orjson

from runner.core.transfer.message import Draft, Message


def build_message(draft: Draft) -> Message:
    """Return a draft as a message of this protocol."""
    return Message(build_text(draft))


def build_text(draft: Draft) -> str:
    """Return the request's exact text (protocol.md, "Request")."""
    message = {
        "type": "interaction.transfer",
        "id": draft.message_id,
        "interaction_id": draft.interaction_id,
        "destination_uri": draft.destination_uri,
        "media_matrix": draft.media.to_json(),
        "timestamp": draft.timestamp,
        "triggers": {"codec_negotiation": True, "format_verification": True},
    }
    return orjson.dumps(message).decode()
