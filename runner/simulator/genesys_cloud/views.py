"""Conversations in the platform's JSON: in answers of REST, and in events.

The body of an event differs from that of an answer: its states are in lower case, for instance.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from runner.simulator.genesys_cloud.conversations import (
    COLLECTIONS,
    Command,
    Conversation,
    Destination,
    Participant,
)
from runner.simulator.genesys_cloud.entities import EntityList, make_id

HOME_DIVISION = {"id": make_id("division", "home"), "name": "Home"}

_ENCODER = json.JSONEncoder(separators=(",", ":"))
_ALWAYS_LISTED = (*COLLECTIONS.values(), "chats", "cobrowsesessions", "screenshares", "videos")
_CUSTOMER_NUMBER = "tel:+31205550123"
_OWN_NUMBER = "tel:+31205550100"


def spell_time(at: float) -> str:
    """Return a time in the platform's format, in UTC with milliseconds."""
    spelled = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return spelled.replace("+00:00", "Z")


def encode(body: Any) -> str:
    """Return `body` as JSON without spaces."""
    return _ENCODER.encode(body)


def view_conversation(
    conversation: Conversation, queues: EntityList, users: EntityList
) -> dict[str, Any]:
    """Return the body of a look-up's answer."""
    return _present(
        {
            "id": conversation.id,
            "startTime": spell_time(conversation.started_at),
            "endTime": _spelled(conversation.ended_at),
            "address": _OWN_NUMBER if conversation.media == "call" else None,
            "participants": [
                _view_participant(one, conversation, queues, users)
                for one in conversation.participants
            ],
            "recordingState": "NONE",
            "divisions": [{"division": HOME_DIVISION, "entities": []}],
            "recentTransfers": [_view_command(one) for one in conversation.commands],
            "securePause": False,
            "selfUri": f"/api/v2/conversations/{conversation.id}",
        }
    )


def view_event(
    topic: str, conversation: Conversation, users: EntityList, correlation_id: str
) -> dict[str, Any]:
    """Return the event about a conversation for a `topic`."""
    body = {
        "id": conversation.id,
        "participants": [
            _event_participant(one, conversation, users) for one in conversation.participants
        ],
        "recentTransfers": [_event_command(one) for one in conversation.commands],
        "recordingState": "none",
        "securePause": False,
        "divisions": [{"division": {"id": HOME_DIVISION["id"]}, "entities": []}],
    }
    metadata = {"CorrelationId": correlation_id}
    return {"topicName": topic, "version": "2", "eventBody": body, "metadata": metadata}


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _spelled(at: float | None) -> str | None:
    return None if at is None else spell_time(at)


def _view_participant(
    participant: Participant, conversation: Conversation, queues: EntityList, users: EntityList
) -> dict[str, Any]:
    common = _common_participant(participant, users)
    user_id = participant.user_id
    return common | _present(
        {
            "startTime": spell_time(participant.started_at),
            "userUri": f"/api/v2/users/{user_id}" if user_id else None,
            "queueName": queues.name_of(participant.queue_id),
            "participantType": "External" if participant.purpose == "customer" else "Internal",
            "wrapupRequired": False,
            **_communications(
                conversation,
                _communication(participant, conversation.media)
                | {"segments": [], "startAlertingTime": spell_time(participant.started_at)},
            ),
        }
    )


def _event_participant(
    participant: Participant, conversation: Conversation, users: EntityList
) -> dict[str, Any]:
    common = _common_participant(participant, users)
    extra = {"wrapupRequired": False, "wrapupExpected": False}
    communication = _communication(participant, conversation.media)
    return common | extra | _communications(conversation, communication)


def _common_participant(participant: Participant, users: EntityList) -> dict[str, Any]:
    customer = participant.purpose == "customer"
    return _present(
        {
            "id": participant.id,
            "connectedTime": _spelled(participant.connected_at),
            "endTime": _spelled(participant.ended_at),
            "name": "Customer" if customer else users.name_of(participant.user_id),
            "purpose": participant.purpose,
            "queueId": participant.queue_id,
            "userId": participant.user_id,
            "address": participant.address or (_CUSTOMER_NUMBER if customer else None),
            "consultParticipantId": participant.consults_for,
            "mediaRoles": ["full"],
            "attributes": {},
        }
    )


def _communications(conversation: Conversation, communication: dict[str, Any]) -> dict[str, Any]:
    lists: dict[str, Any] = {name: [] for name in _ALWAYS_LISTED}
    return lists | {COLLECTIONS[conversation.media]: [communication]}


def _communication(participant: Participant, media: str) -> dict[str, Any]:
    moved = participant.ended_at is not None
    return _present(
        {
            "id": make_id(participant.id, media),
            "state": participant.state,
            "initialState": "alerting" if participant.purpose == "agent" else "connected",
            "direction": "outbound" if participant.purpose == "external" else "inbound",
            "held": False,
            "disconnectType": "transfer" if moved else None,
            "connectedTime": _spelled(participant.connected_at),
            "disconnectedTime": _spelled(participant.ended_at),
            "provider": "PureCloud " + media.capitalize(),
            "afterCallWorkRequired": False,
            **_SPECIAL[media],
        }
    )


_SPECIAL: dict[str, dict[str, Any]] = {
    "call": {
        "recording": False,
        "recordingState": "none",
        "muted": False,
        "confined": False,
        "securePause": False,
    },
    "message": {"type": "webmessaging", "messages": []},
    "email": {"subject": "A question", "messagesSent": 0, "autoGenerated": False, "spam": False},
    "callback": {
        "callbackNumbers": ["+31205550123"],
        "callbackUserName": "Customer",
        "externalCampaign": False,
        "skipEnabled": True,
        "timeoutSeconds": 0,
    },
}


def _view_command(command: Command) -> dict[str, Any]:
    return {
        "id": command.id,
        "state": command.state,
        "dateIssued": spell_time(command.issued_at),
        "initiator": {} if command.user_id is None else {"userId": command.user_id},
        "destination": _view_destination(command.destination),
        "transferType": command.transfer_type,
    }


def _event_command(command: Command) -> dict[str, Any]:
    shown = _view_command(command)
    lowered = {name: shown[name].lower() for name in ("state", "transferType")}
    return shown | lowered


def _view_destination(destination: Destination) -> dict[str, str]:
    """Return a user or an address; the platform leaves a queue out."""
    if destination.user_id is not None:
        return {"userId": destination.user_id}
    return {} if destination.address is None else {"address": destination.address}
