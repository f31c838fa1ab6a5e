"""Observes queues and users: a query at first and after each gap, then events on the channels.

A quiet queue publishes nothing, so its figures are asked for again now and then. They are not known any
more while no session is open, nor after a channel was replaced, until they are asked for again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from urllib.parse import quote

from runner.core.errors import GatewayError, LookUpFailed
from runner.core.pacing.destinations import Figures
from runner.gateways.genesys_cloud.protocol.observations import (
    QUERY,
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
from runner.gateways.genesys_cloud.protocol.queue_figures import QueueFigures
from runner.gateways.genesys_cloud.rest import GenesysRest
from runner.gateways.http.rate_limiter import Priority
from runner.gateways.http.retrying_client import IdempotentRequest
from runner.ports import Clock
from runner.ports.gateway import Observed

ASKED_AGAIN_S = 60.0
"""How often figures are asked for although events come."""

SOONEST_S = 5.0
"""How soon they are asked for again where they are not enough to go on; sooner only if none is so late."""

LAG_S = 45.0
"""How late the platform's figures may be. It documents no bound: this is an assumption, with room."""

EMBEDDED_LAG_S = 1.0
"""The same of the embedded gateway, which publishes a queue's figures once a second."""

LOOK_S = 0.5
"""How often it is noticed that a session is gone, or new."""

MOST_ASKED_AT_ONCE = 100
"""Queues or users of one request."""


class DestinationObserver:
    """Observes the destinations of one run, whose figures may be late by `lag_s`.

    `channels` returns what identifies the channels that are open; None: there is no session.
    """

    def __init__(
        self,
        rest: GenesysRest,
        clock: Clock,
        channels: Callable[[], object | None],
        *,
        lag_s: float = LAG_S,
    ) -> None:
        self._rest = rest
        self._clock = clock
        self._channels = channels
        self._lag_s = lag_s
        self._tell: Callable[[Observed], None] = lambda _observed: None
        self._uris: dict[tuple[str, str], str] = {}  # by kind and id
        self._queues: dict[str, QueueFigures] = {}
        self._gates: dict[str, QueueFigures] = {}  # of queues that were asked about once or more
        self._users: dict[str, dict[str, str | None]] = {}  # empty: nothing is known
        self._users_at = -math.inf  # since when the times are that their states may describe
        self._told: dict[str, Figures | None] = {}  # of queues, by id
        self._seen: object | None = None  # the channels that the figures are of
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
                    self._queues[entity_id] = QueueFigures(self._lag_s)
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
            self._seen = self._channels()
            await self._ask()

    async def keep(self) -> None:
        """Ask again after gaps and now and then, until cancelled. Raises `GatewayError`."""
        while self._uris:
            await self._clock.sleep(LOOK_S)
            channels, now = self._channels(), self._clock.now()
            if channels is None or channels != self._seen:
                self._lose()
            self._tell_what_passed(now)
            due_s = min(SOONEST_S, self._lag_s) if self._is_wanted else ASKED_AGAIN_S
            if channels is not None and (channels != self._seen or now - self._asked_at >= due_s):
                self._seen = channels
                await self._ask()

    def heard(self, event: Observation) -> None:
        """Take in an event."""
        if event.what == "observations":
            self._heard_queue(event)
        elif known := self._users.get(event.entity_id):
            if event.what == "presence":
                known["presence"] = presence_of(event.body)
            else:
                known["routing_status"] = routing_status_of(event.body)
            self._report("user", event.entity_id, known, self._users_at)

    async def figures_of(self, destination: str) -> Observed:
        """Return a queue's figures, its estimated wait included, or a user's state.

        Raises `LookUpFailed`, `GatewayError`.
        """
        kind, entity_id = split(destination)
        asked_at = self._clock.now()
        at = asked_at - self._lag_s
        if kind == "user":
            found = (await self._asked_users([entity_id])).get(entity_id)
            return Observed(destination, found, at)
        if kind is None:
            return Observed(destination, None, at)
        queue = self._gates.setdefault(entity_id, QueueFigures(lag_s=0.0))
        counts = (await self._asked_queues([entity_id])).get(entity_id)
        queue.answered(counts, asked_at, self._clock.now())
        path = f"/api/v2/routing/queues/{quote(entity_id, safe='')}/estimatedwaittime"
        wait = await self._rest.ask(
            IdempotentRequest(path, priority=Priority.UPKEEP, thing="estimated wait")
        )
        figures = queue.figures(self._clock.now()) or {}
        figures = {**figures, "estimated_wait": longest_wait_s(wait)}
        return Observed(destination, figures, at)

    def _heard_queue(self, event: Observation) -> None:
        queue = self._queues.get(event.entity_id)
        if queue is not None:
            queue.heard(counts_of(event.body), self._clock.now())
            self._report_queue(event.entity_id)

    async def _ask(self) -> None:
        """Ask for all figures; where that fails for a time, those known hold until they are too old."""
        self._asked_at, self._is_wanted = self._clock.now(), False
        with suppress(LookUpFailed):
            for ids in _in_parts(list(self._queues)):
                asked_at = self._clock.now()
                found = await self._asked_queues(ids)
                for queue_id in ids:
                    counts = found.get(queue_id)
                    self._queues[queue_id].answered(counts, asked_at, self._clock.now())
                    self._report_queue(queue_id, is_answered=True)
            for ids in _in_parts(list(self._users)):
                asked_at = self._clock.now()
                states = await self._asked_users(ids)
                self._users_at = asked_at - self._lag_s
                for user_id in ids:
                    self._users[user_id] = states.get(user_id, {})
                    self._report("user", user_id, self._users[user_id], self._users_at)

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
            queue.lose()
            self._report_queue(queue_id)
        for user_id, known in self._users.items():
            if known:
                self._users[user_id] = {}
                self._report("user", user_id, None, self._users_at)

    def _tell_what_passed(self, now: float) -> None:
        """Tell the figures of queues that are others now that older counts are past."""
        for queue_id, queue in self._queues.items():
            if queue.figures(now) != self._told.get(queue_id):
                self._report_queue(queue_id)

    def _report_queue(self, queue_id: str, *, is_answered: bool = False) -> None:
        queue = self._queues[queue_id]
        figures = queue.figures(self._clock.now())
        if is_answered or figures is not None or self._told.get(queue_id) is not None:
            self._told[queue_id] = figures
            self._report("queue", queue_id, figures, queue.described_at)

    def _report(self, kind: str, entity_id: str, figures: Figures | None, at: float) -> None:
        told = None if figures is None else dict(figures)
        self._tell(Observed(self._uris[kind, entity_id], told, at))


def _in_parts(ids: list[str]) -> list[list[str]]:
    return [
        ids[start : start + MOST_ASKED_AT_ONCE] for start in range(0, len(ids), MOST_ASKED_AT_ONCE)
    ]
