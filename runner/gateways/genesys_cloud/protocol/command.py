"""Builds the commands that move a conversation (genesys-cloud.md, "Order of work")."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

import orjson

from runner.core.frozen import frozen
from runner.core.manifest.media import MediaMatrix
from runner.core.manifest.queue_selection import is_id
from runner.core.transfer.canonical_form import canonical_interaction
from runner.core.transfer.lookup_verdict import PARTICIPANT
from runner.core.transfer.message import Draft, Message, Unfit

CALLBACK = "callback"
"""The handle that marks a callback."""

QUEUE = "genesys://queue/"
_USER = "genesys://user/"
_ADDRESSES = ("tel:", "sip:", "sips:")
_UNATTENDED = {"transferType": "Unattended"}

_PATH = re.compile(
    r"/api/v2/conversations/[^/?#]+/participants/[^/?#]+/(replace/queue|replace/agent|transfer)"
)
_TARGETS = {"replace/queue": "queueId", "replace/agent": "userId", "transfer": "address"}


@frozen
class Command:
    """One delivery: a `body` to post to a `path`."""

    message_id: str
    conversation_id: str  # canonical: the platform looks ids up exactly
    destination_uri: str
    path: str
    body: Mapping[str, Any]

    @property
    def content(self) -> str:
        """The body's JSON text."""
        return json.dumps(self.body)


def build_command(draft: Draft) -> Message:
    """Return a draft as a message: the command, and its text for the journal.

    Raises `Unfit` if the platform has no such transfer.
    """
    path, body = _request(draft)
    record = {
        "id": draft.message_id,
        "interaction_id": draft.interaction_id,
        "destination_uri": draft.destination_uri,
        "method": "POST",
        "path": path,
        "body": body,
        "timestamp": draft.timestamp,
        "media_matrix": draft.media.to_json(),  # for the record: the platform takes none
    }
    conversation_id = canonical_interaction(draft.interaction_id)
    command = Command(draft.message_id, conversation_id, draft.destination_uri, path, body)
    return Message(orjson.dumps(record).decode(), command)


def find_command_fault(message: Message, media: MediaMatrix) -> str | None:  # noqa: ARG001 - as the engine asks
    """Return what is wrong with a message, or None; checked before it is sent."""
    command = command_of(message)
    found = _PATH.fullmatch(command.path)
    if found is None:
        return f"{command.path} is not the path of a transfer"
    expected = {_TARGETS[found[1]], "transferType"}
    if command.body.keys() != expected or not all(command.body.values()):
        return f"a transfer of this kind takes {' and '.join(sorted(expected))}"
    return None


def command_of(message: Message) -> Command:
    """Return the command in a message of `build_command`.

    Raises `TypeError` for a message of another driver or from a journal: the platform does not
    recognise repeats, so nothing is sent twice.
    """
    if not isinstance(message.command, Command):
        raise TypeError("the message holds no command of this platform")
    return message.command


def queue_uri(queue_id: str) -> str:
    """Return the destination URI of a queue."""
    return QUEUE + quote(queue_id, safe="")


def user_uri(user_id: str) -> str:
    """Return the destination URI of a user."""
    return _USER + quote(user_id, safe="")


def topic_of(destination_uri: str) -> str | None:
    """Return the topic with the events of a destination's conversations; None: there is none."""
    for start, kind in ((QUEUE, "routing.queues"), (_USER, "users")):
        entity_id = _id_in(destination_uri, start)
        if destination_uri.startswith(start) and is_id(entity_id):
            return f"v2.{kind}.{entity_id}.conversations"
    return None


def _id_in(destination_uri: str, start: str) -> str:
    """Return the id of a queue or user as the platform spells it: UUIDs in lower case."""
    return canonical_interaction(unquote(destination_uri.removeprefix(start)))


def _request(draft: Draft) -> tuple[str, Mapping[str, Any]]:
    handles = draft.seen.handles if draft.seen is not None else None
    if not handles or PARTICIPANT not in handles:
        raise Unfit(
            "it is with no queue and no agent, so no participant can be replaced: "
            "it may be in a flow, or at an outside number"
        )
    conversation = quote(canonical_interaction(draft.interaction_id), safe="")
    participant = quote(handles[PARTICIPANT], safe="")
    start = f"/api/v2/conversations/{conversation}/participants/{participant}"
    uri = draft.destination_uri
    if uri.startswith(QUEUE):
        return f"{start}/replace/queue", {"queueId": _id_in(uri, QUEUE), **_UNATTENDED}
    if uri.startswith(_USER):
        return f"{start}/replace/agent", {"userId": _id_in(uri, _USER), **_UNATTENDED}
    if not uri.startswith(_ADDRESSES):
        raise Unfit(f"the platform cannot transfer to {uri}; write a queue, a user, tel: or sip:")
    if CALLBACK in handles:
        raise Unfit("a callback cannot go to an outside number; write a queue or a user")
    return f"{start}/transfer", {"address": uri, **_UNATTENDED}
