"""How the platform spells a conversation: in the answer to a look-up, and in a notification."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.simulation.platform_org import Conversation, Customs, Leg, Move
from tests.simulation.simulation import EPOCH_S

LISTS = {"call": "calls", "message": "messages", "email": "emails", "callback": "callbacks"}


def spelt(at: float) -> str:
    """Return a moment of the world as the platform writes it."""
    text = datetime.fromtimestamp(EPOCH_S + at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def shown(one: Conversation, customs: Customs, *, as_event: bool = False) -> dict[str, Any]:
    """Return a conversation's body; events write states in small letters."""
    moves = [
        _move(move, customs, as_event=as_event)
        for move in one.moves[-20:]
        if customs.lists_queue_moves or not move.destination_uri.startswith("genesys://queue/")
    ]
    body = {
        "id": one.id,
        "participants": [_participant(leg, one) for leg in one.legs],
        "recentTransfers": moves,
        "divisions": [],
    }
    if as_event:
        return body
    ended = {} if one.ended_at is None else {"endTime": spelt(one.ended_at)}
    return {**body, "startTime": spelt(one.began_at), **ended}


def _participant(leg: Leg, one: Conversation) -> dict[str, Any]:
    communication: dict[str, Any] = {"id": f"{leg.id[:23]}-communication", "state": leg.state}
    if leg.connected_at is not None:
        communication["connectedTime"] = spelt(leg.connected_at)
    if leg.ended_at is not None:
        communication |= {"disconnectedTime": spelt(leg.ended_at), "disconnectType": "transfer"}
    told = {
        "id": leg.id,
        "purpose": leg.purpose,
        "startTime": spelt(leg.began_at),
        "connectedTime": None if leg.connected_at is None else spelt(leg.connected_at),
        "endTime": None if leg.ended_at is None else spelt(leg.ended_at),
        "queueId": leg.queue_id,
        "userId": leg.user_id,
        "address": leg.address,
        "consultParticipantId": leg.mark,
        LISTS[one.media]: [communication],
    }
    return {name: value for name, value in told.items() if value is not None}


def _move(move: Move, customs: Customs, *, as_event: bool) -> dict[str, Any]:
    kind, _, place = move.destination_uri.removeprefix("genesys://").partition("/")
    if kind == "user":
        destination = {"userId": place}
    elif kind == "queue":
        destination = {"address": place} if customs.names_queue else {}
    else:
        destination = {"address": move.destination_uri}
    return {
        "id": move.id,
        "state": move.state.lower() if as_event else move.state,
        "dateIssued": spelt(move.at),
        "initiator": {} if move.by is None else {"userId": move.by},
        "destination": destination,
        "transferType": "unattended" if as_event else "Unattended",
    }
