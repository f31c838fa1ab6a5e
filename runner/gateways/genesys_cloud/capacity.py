"""Observes queues and users: a query at first and after each gap, then events on the channels.

A quiet queue publishes nothing, so its figures hold until something else is heard; they are asked for
again now and then, and are not known any more while no session is open.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from runner.core.errors import GatewayError, LookUpFailed
from runner.core.pacing.destinations import Figures
from runner.gateways.genesys_cloud.protocol.observations import (
    ON_QUEUE,
    QUERY,
    WAITING,
    Count,
    Observation,
    counts_of,
    longest_wait_s,
    presence_of,
    query_of,
    results_of,
    routing_status_of,
    split,
    topics_of,
)
from runner.gateways.genesys_cloud.rest import GenesysRest
from runner.gateways.http.rate_limiter import Priority
from runner.gateways.http.retrying_client import IdempotentRequest
from runner.ports import Clock
from runner.ports.gateway import Observed

ASKED_AGAIN_S = 60.0
"""How often figures are asked for although events come."""

SOONEST_S = 5.0
"""How soon they are asked for again where they are not enough to go on."""

STALE_S = 180.0
"""How long figures hold when they cannot be asked for again."""

LOOK_S = 0.5
"""How often it is noticed that a session is gone, or new."""

MOST_ASKED_AT_ONCE = 100
"""Queues or users of one request."""


@dataclass(slots=True)
class _Queue:
    counts: dict[tuple[str, str | None, str | None], float] = field(default_factory=dict)
    is_known: bool = False
    heard: set[tuple[str, str | None, str | None]] = field(default_factory=set)

    def figures(self) -> Figures | None:
        if not self.is_known:
            return None
        return {"waiting": self._sum(WAITING), "on_queue": self._sum(ON_QUEUE)}

    def _sum(self, metric: str) -> float:
        return sum(count for (name, _, _), count in self.counts.items() if name == metric)


class DestinationObserver:
    """Observes the destinations of one run."""

    def __init__(
        self, rest: GenesysRest, clock: Clock, generation: Callable[[], int | None]
    ) -> None:
        self._rest = rest
        self._clock = clock
        self._generation = generation
        self._tell: Callable[[Observed], None] = lambda _observed: None
        self._uris: dict[tuple[str, str], str] = {}  # by kind and id
        self._queues: dict[str, _Queue] = {}
        self._users: dict[str, dict[str, str | None]] = {}
        self._seen: int | None = None  # the session that the figures are of
        self._asked_at = 0.0
        self._is_wanted = False

    def observe(self, destinations: Sequence[str], tell: Callable[[Observed], None]) -> None:
        """Observe these destinations; those without an id of a queue or user stay unknown."""
        self._tell = tell
        for uri in destinations:
            kind, entity_id = split(uri)
            if kind is not None:
                self._uris[kind, entity_id] = uri
                if kind == "queue":
                    self._queues[entity_id] = _Queue()
                else:
                    self._users[entity_id] = {}

    @property
    def topics(self) -> list[str]:
        """The topics to subscribe to."""
        return [topic for uri in self._uris.values() for topic in topics_of(uri)]

    def ask_again(self) -> None:
        """Ask for all figures soon, at most every `SOONEST_S`."""
        self._is_wanted = True

    async def begin(self) -> None:
        """Ask for all figures. Raises `GatewayError` if they may not be seen."""
        if self._uris:
            self._seen = self._generation()
            await self._ask()

    async def keep(self) -> None:
        """Ask again after gaps and now and then, until cancelled. Raises `GatewayError`."""
        while self._uris:
            await self._clock.sleep(LOOK_S)
            generation, now = self._generation(), self._clock.now()
            if generation is None or generation != self._seen:
                self._lose()
            due_s = SOONEST_S if self._is_wanted else ASKED_AGAIN_S
            if generation is not None and (
                generation != self._seen or now - self._asked_at >= due_s
            ):
                self._seen = generation
                await self._ask()

    def heard(self, event: Observation) -> None:
        """Take in an event."""
        if event.what == "observations":
            self._heard_queue(event)
        elif event.entity_id in self._users:
            known = self._users[event.entity_id]
            if event.what == "presence":
                known["presence"] = presence_of(event.body)
            else:
                known["routing_status"] = routing_status_of(event.body)
            self._report("user", event.entity_id, known)

    async def figures_of(self, destination: str) -> Observed:
        """Return a queue's figures, its estimated wait included, or a user's state.

        Raises `LookUpFailed`, `GatewayError`.
        """
        kind, entity_id = split(destination)
        at = self._clock.now()
        if kind == "user":
            found = (await self._asked_users([entity_id])).get(entity_id)
            return Observed(destination, found, at)
        if kind is None:
            return Observed(destination, None, at)
        queue = _Queue()
        _take_in(queue, await self._asked_queues([entity_id]), entity_id)
        path = f"/api/v2/routing/queues/{quote(entity_id, safe='')}/estimatedwaittime"
        wait = await self._rest.ask(
            IdempotentRequest(path, priority=Priority.UPKEEP, thing="estimated wait")
        )
        figures = {**(queue.figures() or {}), "estimated_wait": longest_wait_s(wait)}
        return Observed(destination, figures, at)

    def _heard_queue(self, event: Observation) -> None:
        queue = self._queues.get(event.entity_id)
        if queue is None:
            return
        for count in counts_of(event.body):
            queue.counts[_key(count)] = count.count
            queue.heard.add(_key(count))
        if queue.is_known:
            self._report("queue", event.entity_id, queue.figures())

    async def _ask(self) -> None:
        """Ask for all figures; where that fails for a time, those known hold until they are stale."""
        try:
            for ids in _in_parts(list(self._queues)):
                for queue_id in ids:
                    self._queues[queue_id].heard.clear()
                found = await self._asked_queues(ids)
                for queue_id in ids:
                    _take_in(self._queues[queue_id], found, queue_id)
                    self._report("queue", queue_id, self._queues[queue_id].figures())
            for ids in _in_parts(list(self._users)):
                states = await self._asked_users(ids)
                for user_id in ids:
                    self._users[user_id] = states.get(user_id, {})
                    self._report("user", user_id, self._users[user_id])
            self._asked_at, self._is_wanted = self._clock.now(), False
        except LookUpFailed:
            if self._clock.now() - self._asked_at >= STALE_S:
                self._lose()

    async def _asked_queues(self, queue_ids: list[str]) -> dict[str, list[Count]]:
        body = json.dumps(query_of(queue_ids))
        request = IdempotentRequest(
            QUERY, "POST", body, Priority.UPKEEP, "figures of queues", refused=GatewayError
        )
        return results_of(await self._rest.ask(request))

    async def _asked_users(self, user_ids: list[str]) -> dict[str, dict[str, str | None]]:
        ids = "&".join(f"id={quote(each, safe='')}" for each in user_ids)
        path = f"/api/v2/users?{ids}&expand=presence&expand=routingStatus&pageSize=100"
        request = IdempotentRequest(
            path, priority=Priority.UPKEEP, thing="states of users", refused=GatewayError
        )
        entities = (await self._rest.ask(request)).get("entities")
        return {
            str(each["id"]).lower(): {
                "presence": presence_of(each.get("presence")),
                "routing_status": routing_status_of(each.get("routingStatus")),
            }
            for each in (entities if isinstance(entities, list) else [])
            if isinstance(each, dict) and isinstance(each.get("id"), str)
        }

    def _lose(self) -> None:
        for queue_id, queue in self._queues.items():
            if queue.is_known:
                self._queues[queue_id] = _Queue()
                self._report("queue", queue_id, None)
        for user_id, known in self._users.items():
            if known:
                self._users[user_id] = {}
                self._report("user", user_id, None)

    def _report(self, kind: str, entity_id: str, figures: Figures | None) -> None:
        told = None if figures is None else dict(figures)
        self._tell(Observed(self._uris[kind, entity_id], told, self._clock.now()))


def _take_in(queue: _Queue, found: dict[str, list[Count]], queue_id: str) -> None:
    """Take in an answer, without what was heard since it was asked for."""
    counts = found.get(queue_id)
    queue.is_known = counts is not None
    heard = {key: queue.counts[key] for key in queue.heard}
    queue.counts = {_key(count): count.count for count in counts or ()} | heard


def _key(count: Count) -> tuple[str, str | None, str | None]:
    return count.metric, count.media_type, count.qualifier


def _in_parts(ids: list[str]) -> list[list[str]]:
    return [
        ids[start : start + MOST_ASKED_AT_ONCE] for start in range(0, len(ids), MOST_ASKED_AT_ONCE)
    ]
