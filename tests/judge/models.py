"""Holds a JSON answer against the SDK's models, more strictly than the SDK itself does.

The SDK passes over fields that it does not know, and over values that are not among those allowed.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import PureCloudPlatformClientV2 as sdk

_OUTDATED = "outdated_sdk_version"  # what the SDK's setters make of a value they do not know
_PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float), "object": object}

REQUIRED = {
    "Conversation": {"id", "startTime", "participants", "recentTransfers", "divisions", "selfUri"},
    "Participant": {"id", "startTime", "purpose", "connectedTime", "participantType"},
    "Call": {"id", "state", "direction", "held", "muted", "recording", "provider"},
    "Email": {"id", "state", "direction", "held", "subject", "provider"},
    "Message": {"id", "state", "direction", "held", "type", "provider"},
    "Callback": {"id", "state", "direction", "held", "callbackNumbers", "provider"},
    "TransferResponse": {"id", "state", "dateIssued", "destination", "transferType"},
    "Channel": {"id", "connectUri", "expires"},
    "ChannelTopic": {"id", "state"},
    "ErrorBody": {
        *("message", "code", "status", "messageWithParams", "contextId", "details", "errors"),
    },
    "Queue": {"id", "name", "division", "selfUri"},
    "QueueEntityListing": {"entities", "pageSize", "pageNumber", "total", "pageCount"},
    "User": {"id", "name", "division", "state", "version", "selfUri"},
    "UsersSearchResponse": {"results", "total", "pageCount", "pageSize", "pageNumber", "types"},
    "UserEntityListing": {"entities", "pageSize", "pageNumber", "total", "pageCount"},
    "ConversationActivityResponse": {"results"},
    "ConversationActivityData": {"group", "data", "entities"},
    "ConversationActivityEntityData": {"conversationId", "mediaType", "metric", "activityDate"},
    "AnalyticsConversationQueryResponse": {"totalHits"},
    "AnalyticsConversationWithoutAttributes": {
        *("conversationId", "conversationStart", "participants"),
    },
    "AnalyticsParticipantWithoutAttributes": {"participantId", "purpose", "sessions"},
    "AnalyticsSession": {"sessionId", "mediaType", "direction", "segments"},
    "AnalyticsConversationSegment": {"segmentStart", "segmentType"},
    "AuthzSubject": {"id", "name", "grants"},
    "AuthzGrant": {"subjectId", "division", "role"},
    "AuthzGrantRole": {"id", "name"},
    "AuthzGrantPolicy": {"domain", "entityName", "actions"},
    "TokenInfo": {"organization", "OAuthClient"},
    "QueueConversationEventTopicConversation": {"id", "participants", "recentTransfers"},
    "QueueConversationEventTopicParticipant": {"id", "purpose"},
    "QueueConversationEventTopicTransferResponse": {"id", "state", "dateIssued", "destination"},
}
"""What must be there, as the vendor's documents and the answers of a live organisation have it."""


def find_faults(value: Any, kind: str, where: str = "answer") -> list[str]:
    """Return what in `value` is not as the SDK's `kind` wants it; an empty list is what is hoped."""
    if value is None:
        return [f"{where} is null"]
    if inner := re.fullmatch(r"list\[(.*)\]", kind):
        return _faults_of_list(value, inner[1], where)
    if inner := re.fullmatch(r"dict\(str, (.*)\)", kind):
        return [
            fault
            for name, each in value.items()
            for fault in find_faults(each, inner[1], f"{where}.{name}")
        ]
    if kind == "datetime":
        return [] if _is_time(value) else [f"{where} is no time: {value!r}"]
    if kind in _PLAIN:
        right = isinstance(value, _PLAIN[kind]) and (kind == "bool") >= isinstance(value, bool)
        return [] if right or kind == "object" else [f"{where} is no {kind}: {value!r}"]
    return _faults_of_model(value, kind, where)


def _faults_of_list(value: Any, kind: str, where: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{where} is no list"]
    return [
        fault
        for number, each in enumerate(value)
        for fault in find_faults(each, kind, f"{where}[{number}]")
    ]


def _faults_of_model(value: Any, kind: str, where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where} is no object"]
    model = getattr(sdk, kind)()
    attributes = {name: attribute for attribute, name in model.attribute_map.items()}
    faults = [f"{where}.{name} is no field of {kind}" for name in value.keys() - attributes.keys()]
    faults += [f"{where}.{name} is missing" for name in REQUIRED.get(kind, set()) - value.keys()]
    for name in value.keys() & attributes.keys():
        attribute = attributes[name]
        faults += find_faults(value[name], model.swagger_types[attribute], f"{where}.{name}")
        setattr(model, attribute, value[name])
        if getattr(model, attribute) == _OUTDATED:
            faults.append(f"{where}.{name} is {value[name]!r}, which {kind} does not allow")
    return faults


def _is_time(value: Any) -> bool:
    return (
        isinstance(value, str)
        and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value) is not None
        and datetime.fromisoformat(value).utcoffset() is not None
    )
