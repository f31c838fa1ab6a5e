"""Finds queues and users by name, and conversations in a queue (genesys-cloud.md, "Selecting from a queue")."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from runner.core.errors import GatewayError
from runner.core.frozen import frozen
from runner.core.manifest.queue_selection import Listing, Waiting
from runner.core.transfer.canonical_form import canonical_interaction
from runner.core.transfer.message import SERVER_TEXT_LIMIT, harmless
from runner.gateways.genesys_cloud.permissions import RECORDS
from runner.gateways.genesys_cloud.protocol.conversation import find_served_by
from runner.gateways.genesys_cloud.rest import GenesysRest
from runner.gateways.http.client import Answer
from runner.gateways.http.errors import Place
from runner.gateways.http.retrying_client import IdempotentRequest

PAGE_SIZE = 100
MOST_PAGES = 10_000
"""The most pages that are read: a million interactions."""

MOST_HITS = 100_000
"""The most conversations of one interval that the details query returns."""

MOST_READINGS = 4
"""The most readings of all pages, if each shows further conversations."""

INTERVAL = timedelta(days=31)
"""The longest interval that the details query accepts."""

LEAST_INTERVALS = 6
"""How many are read at least: an e-mail may wait for months, and few others began with it."""

MOST_INTERVALS = 18
"""How many are read at most: the platform searches a year and a half back."""

_MEDIA_TYPES = {"voice": "call"}
"""Analytics calls them "voice"; the other media types have the manifest's names."""


class GenesysDirectory:
    """Implements `ports.Directory` over the platform's REST side."""

    def __init__(self, rest: GenesysRest) -> None:
        self._rest = rest
        self._now = rest.waiter.clock.wall

    async def ids_of(self, kind: str, name: str) -> Sequence[str]:
        """Return the ids of every `kind` with that name, ignoring case.

        Deleted and inactive ones are left out.
        """
        found = self._users(name) if kind == "user" else self._entities(kind, name)
        ids: dict[str, None] = {}
        async with aclosing(found) as entities:
            async for entity in entities:
                is_called = _text(entity, "name").casefold() == name.casefold()
                if is_called and _id(entity, "id") and _is_in_use(entity):
                    ids[_id(entity, "id")] = None
        return tuple(ids)

    async def waiting(self, queue_id: str) -> Listing:
        """Return what waits in a queue now: from the observations, else from the records."""
        by_id = canonical_interaction(queue_id)
        found = await self._all_of(_Query("queueId", by_id, "oWaiting", "acd"))
        rows = {one.interaction_id: replace(one, user_id=None) for one in found.rows}
        return replace(found, rows=list(rows.values()))

    async def connected(self, queue_id: str) -> Listing:
        """Return what came through a queue and is being served: a row for each user who does."""
        by_id = canonical_interaction(queue_id)
        found = await self._all_of(_Query("queueId", by_id, "oInteracting", "agent"))
        return replace(found, rows=[one for one in found.rows if one.user_id is not None])

    async def held_by(self, user_id: str) -> Listing:
        """Return what a user serves now, whatever queue it came by; by no queue too."""
        by_id = canonical_interaction(user_id)
        found = await self._all_of(_Query("userId", by_id, "oInteracting"))
        return replace(found, rows=[one for one in found.rows if one.user_id == by_id])

    async def served_by(self, interaction_id: str, user_id: str) -> str | None:
        """Return the participant id of a user who serves a conversation; None: no longer.

        Empty: this client may not see it.
        """
        path = f"/api/v2/conversations/{quote(canonical_interaction(interaction_id), safe='')}"
        request = IdempotentRequest(path, thing="conversation", failure=GatewayError)

        def read(answer: Answer, place: Place) -> tuple[str | None] | None:
            if answer.status == HTTPStatus.NOT_FOUND:
                return (None,)
            if answer.status == HTTPStatus.FORBIDDEN and self._rest.fault_of(answer).is_about_one:
                return ("",)
            if answer.status != HTTPStatus.OK:
                self._rest.refuse(answer, place, request)
                return None
            body = answer.json_object()
            return None if body is None else (find_served_by(body, interaction_id, user_id),)

        (participant_id,) = await self._rest.retrying_client.ask(request, read)
        return participant_id

    async def _all_of(self, query: _Query) -> Listing:
        """Return all conversations asked for: from the observations, completed by the records.

        From the records alone, only those that they go back to. Raises `GatewayError`, with the
        numbers, if some are missing from both.
        """
        try:
            observed, expected = await self._observed_all(query)
        except GatewayError as refused:
            try:
                return await self._recorded_all(query)
            except GatewayError:
                raise refused from None
        if expected is None:
            return Listing(observed)
        try:
            recorded = (await self._recorded_all(query)).rows
        except GatewayError as refused:
            shown = _interactions(observed)
            raise self._incomplete(query, shown, expected, refused.what) from refused
        found = {_key(one): one for one in (*recorded, *observed)}
        shown = _interactions(found.values())
        if shown < expected:
            _, expected = await self._observed_all(query)  # some may have left meanwhile
            if expected is not None and shown < expected:
                raise self._incomplete(query, shown, expected, "the records lack some too")
        return Listing(list(found.values()))

    async def _observed_all(self, query: _Query) -> tuple[list[Waiting], int | None]:
        """Return what the observations show, and the true number if they do not show all.

        A truncated list is requested again in parts: by media type, then by direction.
        """
        found: dict[tuple[str, str | None], Waiting] = {}
        missing: int | None = None
        parts: list[_Predicates] = [()]
        while parts:
            predicates, truncation = parts.pop(), _Truncation()
            rows = await _read_until_stable(partial(self._observed, query, predicates, truncation))
            found |= {_key(one): one for one in rows}
            if not truncation.is_truncated:
                continue
            narrower = _narrowed(predicates)
            parts += narrower
            if not narrower:
                missing = (missing or 0) + max(0, truncation.count - _interactions(rows))
        shown = _interactions(found.values())
        return list(found.values()), None if missing is None else shown + missing

    def _incomplete(self, query: _Query, shown: int, expected: int, why: str) -> GatewayError:
        return self._rest.place.error(
            f"the platform shows {shown:,} of {expected:,} conversations {query.place}"
            f" and cuts the rest off ({why})",
            f"give the client the permission {' or '.join(RECORDS)}, or list the interactions",
        )

    async def _entities(self, kind: str, name: str) -> AsyncGenerator[Mapping[str, Any]]:
        """Yield the queues, skills or languages whose names may be the one asked for."""
        for number in range(1, MOST_PAGES):
            page_query = urlencode({"name": name, "pageSize": PAGE_SIZE, "pageNumber": number})
            path = f"/api/v2/routing/{kind}s?{page_query}"
            page = await self._rest.get(path, f"list of {kind}s")
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

    async def _observed(
        self, query: _Query, predicates: _Predicates, truncation: _Truncation
    ) -> AsyncIterator[Waiting]:
        """Yield the results of the activity query; pages shift while they are read."""
        wanted = [(query.dimension, query.value), *predicates]
        body = {
            "metrics": [{"metric": query.metric, "details": True}],
            "filter": {
                "type": "and",
                "predicates": [
                    {"dimension": dimension, "operator": "matches", "value": value}
                    for dimension, value in wanted
                ],
            },
            "order": "asc",
        }
        path = "/api/v2/analytics/conversations/activity/query"
        for number in range(1, MOST_PAGES):
            page_query = urlencode({"pageSize": PAGE_SIZE, "pageNumber": number})
            page = await self._rest.query(f"{path}?{page_query}", body, "list of what waits")
            results = _objects(page, "results")
            truncation.note(results, query.metric)
            rows = [row for one in results for row in _objects(one, "entities")]
            for row in rows:
                if row.get("metric") == query.metric:
                    yield _waiting(row, row.get("activityDate"), row.get("userId"))
            if len(rows) < PAGE_SIZE:
                return

    async def _recorded_all(self, query: _Query) -> Listing:
        """Return what the records show: as far back as they are likely to show any."""
        end, found = datetime.fromtimestamp(self._now(), UTC), list[Waiting]()
        for number in range(1, MOST_INTERVALS + 1):
            begin = end - INTERVAL
            rows = await _read_until_stable(partial(self._recorded, query, begin, end))
            found += rows
            end = begin
            if number >= LEAST_INTERVALS and not rows:
                break
        return Listing(list({_key(one): one for one in found}.values()), end.timestamp())

    async def _recorded(
        self, query: _Query, begin: datetime, end: datetime
    ) -> AsyncIterator[Waiting]:
        """Yield the results of the details query: conversations with an open segment in the queue.

        An interval with more results than the platform returns is halved, down to a day.
        """
        intervals = [(begin, end)]
        while intervals:
            begin, end = intervals.pop()
            first = await self._details(query, begin, end, 1)
            hits = first.get("totalHits")
            too_many = isinstance(hits, int) and hits > MOST_HITS
            if (too_many or _is_truncated(first)) and (end - begin) > timedelta(days=1):
                middle = begin + (end - begin) / 2
                intervals += [(middle, end), (begin, middle)]
                continue
            if too_many or _is_truncated(first):
                raise self._rest.place.error(
                    f"{hits:,} conversations of one day are {query.place}"
                    if isinstance(hits, int)
                    else f"the records of what is {query.place} are cut off",
                    f"the platform pages through {MOST_HITS:,}; list the interactions instead",
                )
            page, number = first, 1
            while True:
                conversations = _objects(page, "conversations")
                for conversation in conversations:
                    for fields, since, user_id in _open_segments(conversation, query):
                        yield _waiting({**fields, **conversation}, since, user_id)
                number += 1
                if len(conversations) < PAGE_SIZE or number > MOST_PAGES:
                    break
                page = await self._details(query, begin, end, number)

    async def _details(
        self, query: _Query, begin: datetime, end: datetime, number: int
    ) -> Mapping[str, Any]:
        """Return a page of the conversations that began in an interval."""
        body = {
            "interval": f"{_spelt(begin)}/{_spelt(end)}",
            "order": "asc",
            "orderBy": "conversationStart",
            "conversationFilters": [
                _all({"dimension": "conversationEnd", "operator": "notExists"})
            ],
            "segmentFilters": [
                _all(
                    *(
                        {"dimension": dimension, "operator": "matches", "value": value}
                        for dimension, value in query.matches()
                    ),
                    {"dimension": "segmentEnd", "operator": "notExists"},
                )
            ],
            "paging": {"pageSize": PAGE_SIZE, "pageNumber": number},
        }
        path = "/api/v2/analytics/conversations/details/query"
        return await self._rest.query(path, body, "list of what waits")


_Predicates = tuple[tuple[str, str], ...]
"""Dimensions beside the queue, each with the value to match."""


@frozen
class _Query:
    """A query about a queue or a user: the observations' metric, and the participant's purpose."""

    dimension: str  # "queueId" | "userId"
    value: str  # a canonical id
    metric: str
    purpose: str | None = None  # None: any

    @property
    def place(self) -> str:
        """The queue or user in words."""
        return f"{'in queue' if self.dimension == 'queueId' else 'with user'} {self.value}"

    def matches(self) -> Iterator[tuple[str, str]]:
        """Yield the dimensions of the records, each with the value to match."""
        yield self.dimension, self.value
        if self.purpose is not None:
            yield "purpose", self.purpose


@dataclass(slots=True)
class _Truncation:
    """Whether a list was truncated, and how many the platform counted."""

    is_truncated: bool = False
    count: int = 0

    def note(self, results: Sequence[Mapping[str, Any]], metric: str) -> None:
        """Add what one page says about the whole list."""
        self.is_truncated |= any(_is_truncated(one) for one in results)
        counted = [
            value["count"]
            for one in results
            for value in _objects(one, "data")
            if value.get("metric") == metric and isinstance(value.get("count"), int)
        ]
        self.count = max(self.count, sum(counted))


_MEDIA_DIMENSION = "mediaType"
_NARROWER = (
    (
        _MEDIA_DIMENSION,
        ("voice", "callback", "email", "message", "chat", "internalmessage", "video"),
    ),
    ("direction", ("inbound", "outbound")),
)
"""How a truncated list is requested in parts, in this order."""


def _narrowed(predicates: _Predicates) -> list[_Predicates]:
    """Return the parts of a query; none if it cannot be narrowed further."""
    if len(predicates) == len(_NARROWER):
        return []
    dimension, values = _NARROWER[len(predicates)]
    return [(*predicates, (dimension, value)) for value in values]


def _is_truncated(result: Mapping[str, Any]) -> bool:
    return result.get("truncated") is True


def _is_in_use(entity: Mapping[str, Any]) -> bool:
    return _text(entity, "state").casefold() not in _OUT_OF_USE


_OUT_OF_USE = frozenset({"inactive", "deleted"})


async def _read_until_stable(pages: Callable[[], AsyncIterator[Waiting]]) -> list[Waiting]:
    """Read pages until nothing new appears: they shift, so one reading may miss conversations."""
    found: dict[tuple[str, str | None], Waiting] = {}
    for _ in range(MOST_READINGS):
        before = len(found)
        async for one in pages():
            found[_key(one)] = one
        if len(found) == before or len(found) < PAGE_SIZE:  # a single page misses none
            break
    return list(found.values())


def _key(one: Waiting) -> tuple[str, str | None]:
    """Return what distinguishes rows: several users may serve one interaction."""
    return one.interaction_id, one.user_id


def _interactions(rows: Iterable[Waiting]) -> int:
    return len({one.interaction_id for one in rows})


def _open_segments(
    conversation: Mapping[str, Any], query: _Query
) -> Iterator[tuple[Mapping[str, Any], object, object]]:
    """Yield the fields, start and user of each open segment that a query is about."""
    for participant in _objects(conversation, "participants"):
        user_id = participant.get("userId")
        for session in _objects(participant, "sessions"):
            for segment in _objects(session, "segments"):
                held_by = {"userId": participant, "queueId": segment}[query.dimension]
                found = canonical_interaction(_text(held_by, query.dimension))
                is_open = found == query.value and segment.get("segmentEnd") is None
                if is_open and query.purpose in {None, participant.get("purpose")}:
                    yield {**segment, **session}, segment.get("segmentStart"), user_id


def _all(*predicates: Mapping[str, str]) -> Mapping[str, Any]:
    return {"type": "and", "predicates": [{"type": "dimension", **each} for each in predicates]}


def _waiting(row: Mapping[str, Any], since: object, user_id: object) -> Waiting:
    """Return what a row says of a conversation, or a segment with its session and conversation."""
    named = _text(row, "mediaType") or "unknown"
    priority = row.get("routingPriority")
    return Waiting(
        canonical_interaction(_id(row, "conversationId")),
        _MEDIA_TYPES.get(named, named),
        _moment(since),
        canonical_interaction(user_id) if isinstance(user_id, str) and user_id else None,
        direction=_text(row, "direction") or None,
        address_from=_texts(row, "addressFrom", "ani"),
        address_to=_texts(row, "addressTo", "dnis"),
        skill_ids=_ids(row.get("requestedRoutingSkillIds")),
        language_id=canonical_interaction(_id(row, "requestedLanguageId")) or None,
        priority=priority if isinstance(priority, int) else None,
    )


def _ids(found: object) -> tuple[str, ...]:
    """Return the ids in a list as they are compared; an absent list is empty."""
    return (
        tuple(canonical_interaction(str(one)) for one in found) if isinstance(found, list) else ()
    )


def _moment(spelt: object) -> float | None:
    try:
        return datetime.fromisoformat(spelt).timestamp() if isinstance(spelt, str) else None
    except ValueError:
        return None


def _spelt(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.000Z"


def _objects(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the objects in a list, without other values; an absent list is empty."""
    found = body.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _text(entity: Mapping[str, Any], name: str) -> str:
    """Return a text as the platform writes it, to be compared; empty if there is none."""
    found = entity.get(name)
    return found if isinstance(found, str) else ""


def _texts(entity: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    """Return the texts that there are in these fields, each once."""
    return tuple(dict.fromkeys(found for name in names if (found := _text(entity, name))))


def _id(entity: Mapping[str, Any], name: str) -> str:
    """Return an id, which may be shown; empty if there is none."""
    return harmless(_text(entity, name), SERVER_TEXT_LIMIT)
