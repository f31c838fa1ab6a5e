"""Queues and users by name, and what waits in a queue (genesys-cloud.md, "Selecting …")."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from runner.core.errors import GatewayError
from runner.core.message import SERVER_TEXT_LIMIT, harmless
from runner.core.selecting import Waiting
from runner.gateways.genesys_rest import GenesysRest

PAGE_SIZE = 100
MOST_PAGES = 10_000
"""A million interactions: beyond that the pages have no end."""

MOST_READINGS = 4
"""How often all pages are read, where each time somebody new turns up."""

DAYS_BACK = 31
"""How far the details query may look back, the longest interval that the platform takes."""

_MEDIA_TYPES = {"voice": "call"}
"""Analytics names calls by their medium; the other media types are called as in a manifest."""


class GenesysDirectory:
    """Implements `ports.Directory` over the platform's REST side."""

    def __init__(self, rest: GenesysRest) -> None:
        self._rest = rest
        self._now = rest.patience.clock.wall

    async def ids_of(self, kind: str, name: str) -> Sequence[str]:
        """Return the ids of every queue or user (`kind`) of that very name, whatever its case."""
        found = self._queues(name) if kind == "queue" else self._users(name)
        ids: dict[str, None] = {}
        async with aclosing(found) as entities:
            async for entity in entities:
                if _text(entity, "name").casefold() == name.casefold() and _text(entity, "id"):
                    ids[_text(entity, "id")] = None
        return tuple(ids)

    async def waiting(self, queue_id: str) -> Sequence[Waiting]:
        """Return what waits in a queue now, as the observations have it, else as the records have."""
        try:
            return await _read_well(lambda: self._observed(queue_id))
        except GatewayError as refused:
            try:
                return await _read_well(lambda: self._recorded(queue_id))
            except GatewayError:
                raise refused from None

    async def _queues(self, name: str) -> AsyncGenerator[Mapping[str, Any]]:
        for number in range(1, MOST_PAGES):
            query = urlencode({"name": name, "pageSize": PAGE_SIZE, "pageNumber": number})
            page = await self._rest.get(f"/api/v2/routing/queues?{query}", "list of queues")
            entities = _objects(page, "entities")
            for entity in entities:
                yield entity
            if len(entities) < PAGE_SIZE:
                return

    async def _users(self, name: str) -> AsyncGenerator[Mapping[str, Any]]:
        criterion = {"type": "EXACT", "fields": ["name"], "value": name}
        for number in range(1, MOST_PAGES):
            body = {"pageSize": PAGE_SIZE, "pageNumber": number, "query": [criterion]}
            page = await self._rest.query("/api/v2/users/search", body, "list of users")
            results = _objects(page, "results")
            for result in results:
                yield result
            if len(results) < PAGE_SIZE:
                return

    async def _observed(self, queue_id: str) -> AsyncIterator[Waiting]:
        """Yield what the activity query shows; pages shift while they are read."""
        body = {
            "metrics": [{"metric": "oWaiting", "details": True}],
            "filter": {
                "type": "and",
                "predicates": [{"dimension": "queueId", "operator": "matches", "value": queue_id}],
            },
            "order": "asc",
        }
        path = "/api/v2/analytics/conversations/activity/query"
        for number in range(1, MOST_PAGES):
            query = urlencode({"pageSize": PAGE_SIZE, "pageNumber": number})
            page = await self._rest.query(f"{path}?{query}", body, "list of what waits")
            rows = [row for one in _objects(page, "results") for row in _objects(one, "entities")]
            for row in rows:
                if row.get("metric") == "oWaiting":
                    yield _waiting(row, row.get("mediaType"), row.get("activityDate"))
            if len(rows) < PAGE_SIZE:
                return

    async def _recorded(self, queue_id: str) -> AsyncIterator[Waiting]:
        """Yield what the details query shows: conversations with an open segment in the queue."""
        now = datetime.fromtimestamp(self._now(), UTC)
        body: dict[str, Any] = {
            "interval": f"{_spelt(now - timedelta(days=DAYS_BACK))}/{_spelt(now)}",
            "order": "asc",
            "orderBy": "conversationStart",
            "conversationFilters": [
                _all({"dimension": "conversationEnd", "operator": "notExists"})
            ],
            "segmentFilters": [
                _all(
                    {"dimension": "queueId", "operator": "matches", "value": queue_id},
                    {"dimension": "purpose", "operator": "matches", "value": "acd"},
                    {"dimension": "segmentEnd", "operator": "notExists"},
                )
            ],
        }
        path = "/api/v2/analytics/conversations/details/query"
        for number in range(1, MOST_PAGES):
            body["paging"] = {"pageSize": PAGE_SIZE, "pageNumber": number}
            page = await self._rest.query(path, body, "list of what waits")
            conversations = _objects(page, "conversations")
            for conversation in conversations:
                for media_type, since in _open_segments(conversation, queue_id):
                    yield _waiting(conversation, media_type, since)
            if len(conversations) < PAGE_SIZE:
                return


async def _read_well(pages: Callable[[], AsyncIterator[Waiting]]) -> list[Waiting]:
    """Read pages until a reading brings nobody new: as they shift, one reading may miss somebody."""
    found: dict[str, Waiting] = {}
    for _ in range(MOST_READINGS):
        before = len(found)
        async for one in pages():
            found[one.interaction_id] = one
        if len(found) == before or len(found) < PAGE_SIZE:  # of a single page none are missed
            break
    return list(found.values())


def _open_segments(
    conversation: Mapping[str, Any], queue_id: str
) -> Iterator[tuple[object, object]]:
    """Yield media type and start of each stay in the queue that has not ended."""
    for participant in _objects(conversation, "participants"):
        for session in _objects(participant, "sessions"):
            for segment in _objects(session, "segments"):
                here = segment.get("queueId") == queue_id and segment.get("segmentEnd") is None
                if here and participant.get("purpose") == "acd":
                    yield session.get("mediaType"), segment.get("segmentStart")


def _all(*predicates: Mapping[str, str]) -> Mapping[str, Any]:
    return {"type": "and", "predicates": [{"type": "dimension", **each} for each in predicates]}


def _waiting(row: Mapping[str, Any], media_type: object, since: object) -> Waiting:
    named = media_type if isinstance(media_type, str) else "unknown"
    return Waiting(_text(row, "conversationId"), _MEDIA_TYPES.get(named, named), _moment(since))


def _moment(spelt: object) -> float | None:
    try:
        return datetime.fromisoformat(spelt).timestamp() if isinstance(spelt, str) else None
    except ValueError:
        return None


def _spelt(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.000Z"


def _objects(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the objects of a list, whatever else it holds; an absent list is an empty one."""
    found = body.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _text(entity: Mapping[str, Any], name: str) -> str:
    found = entity.get(name)
    return harmless(found, SERVER_TEXT_LIMIT) if isinstance(found, str) else ""
