"""A shell for the platform's model, on a virtual clock, without network or waits."""

import heapq
import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from runner.core.manifest.model import SimulatorOptions
from runner.simulator.behaviour import GatewayBehaviour
from runner.simulator.faults import Cut
from runner.simulator.genesys_cloud.actions import (
    Action,
    Decisions,
    Hangup,
    Record,
    Reply,
    Request,
    Send,
)
from runner.simulator.genesys_cloud.model import GenesysModel
from runner.simulator.genesys_cloud.routes import PERMISSIONS
from runner.simulator.tokens import Tokens

NOW = 1796158800.25  # 2026-12-01T21:00:00.250Z
CONVERSATION = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
QUEUE = "9b2e7a54-3c0d-4a2e-8f4b-7d1c0e5a9b01"
OTHER_QUEUE = "9b2e7a54-3c0d-4a2e-8f4b-7d1c0e5a9b02"
USER = "1f0a5b59-9d0e-4a1d-8e6c-5f770c3c1e01"
GRANT = "grant_type=client_credentials"
BASIC = "Basic YWRhOmxvdmVsYWNl"  # ada:lovelace
FORM = "application/x-www-form-urlencoded"


@dataclass
class Answered:
    """What a request came to; `status` is None without an answer."""

    status: int | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    at: float = 0.0
    cut: bool = False

    @property
    def code(self) -> str | None:
        """The vendor's code of a refusal."""
        return self.body["code"] if isinstance(self.body, dict) and "code" in self.body else None


@dataclass
class GenesysShell:
    """Performs decisions when they are due and keeps what came of them."""

    model: GenesysModel
    now: float = NOW
    moves: Counter[str] = field(default_factory=Counter)
    records: list[Record] = field(default_factory=list)
    frames: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # by channel
    hangups: list[Hangup] = field(default_factory=list)
    _due: list[tuple[float, int, Answered, Action]] = field(default_factory=list)
    _number: int = 0

    def __post_init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Fetch another token."""
        answered = self.ask("POST", "/oauth/token", GRANT.encode(), authorization=BASIC, kind=FORM)
        self.token = answered.body["access_token"]

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        authorization: str | None = None,
        kind: str = "application/json",
        query: dict[str, list[str]] | None = None,
        wait: bool = True,
    ) -> Answered:
        """Send a request; return what it came to once all has been performed, or is on its way."""
        if body is None:
            raw = b""
        else:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        bearer = f"Bearer {self.token}" if authorization is None else authorization
        request = Request(method, path, query or {}, bearer, kind, raw)
        answered = Answered()
        self.put(self.model.receive(request, self.now), answered)
        if wait:
            self.run()
        return answered

    def get(self, path: str, **query: str) -> Answered:
        return self.ask("GET", path, query={name: [value] for name, value in query.items()})

    def look(self, conversation_id: str = CONVERSATION) -> dict[str, Any]:
        """Return the conversation as a look-up shows it."""
        answered = self.get(f"/api/v2/conversations/{conversation_id}")
        assert answered.status == 200, answered
        return dict(answered.body)

    def holder(self, conversation_id: str = CONVERSATION) -> dict[str, Any]:
        """Return the one participant that holds the conversation."""
        (found,) = (
            one
            for one in self.look(conversation_id)["participants"]
            if one["purpose"] != "customer" and "endTime" not in one
        )
        return dict(found)

    def replace(
        self,
        kind: str = "replace/queue",
        *,
        conversation_id: str = CONVERSATION,
        participant_id: str | None = None,
        wait: bool = True,
        **body: Any,
    ) -> Answered:
        """Send a command against whoever holds the conversation."""
        participant_id = participant_id or self.holder(conversation_id)["id"]
        path = f"/api/v2/conversations/{conversation_id}/participants/{participant_id}/{kind}"
        return self.ask("POST", path, body, wait=wait)

    def follow(self, *topics: str) -> str:
        """Open a channel on `topics` and connect to it; return its id."""
        channel = self.ask("POST", "/api/v2/notifications/channels").body["id"]
        path = f"/api/v2/notifications/channels/{channel}/subscriptions"
        assert self.ask("PUT", path, [{"id": topic} for topic in topics]).status == 200
        assert self.model.organisation.channels.connect(channel, self.now) is not None
        return str(channel)

    def put(self, decisions: Decisions, answered: Answered | None = None) -> None:
        for delay_s, action in decisions:
            self._number += 1
            entry = (self.now + delay_s, self._number, answered or Answered(), action)
            heapq.heappush(self._due, entry)

    def run(self, for_s: float | None = None) -> None:
        """Let time pass until nothing is due, or for so long."""
        until = None if for_s is None else self.now + for_s
        while self._due and (until is None or self._due[0][0] <= until):
            at, _, answered, action = heapq.heappop(self._due)
            self.now = max(self.now, at)
            self._perform(action, answered)
        self.now = self.now if until is None else until

    def _perform(self, action: Action, answered: Answered) -> None:
        match action:
            case Reply(status, body, headers):
                answered.status, answered.body = status, body
                answered.headers, answered.at = dict(headers), self.now
            case Cut():
                answered.cut = True
            case Record():
                self.moves[action.interaction_id] += 1
                self.records.append(action)
            case Send(channel_id, text):
                self.frames.append((channel_id, json.loads(text)))
            case Hangup():
                self.hangups.append(action)
            case _:
                self.put(self.model.step(action, self.now), answered)


def genesys_shell(
    behaviour: GatewayBehaviour | None = None,
    permissions: frozenset[str] = PERMISSIONS,
    **options: Any,
) -> GenesysShell:
    defaults: dict[str, Any] = {"latency_s": 0.0, "seed": 7, "platform": "genesys-cloud"}
    settings = SimulatorOptions(**(defaults | {"http_rate_per_s": 10_000.0} | options))
    tokens = Tokens("ada", "lovelace", Random(1))
    model = GenesysModel(settings, tokens, NOW, behaviour or GatewayBehaviour(), permissions)
    return GenesysShell(model)


def queue_topic(queue_id: str) -> str:
    return f"v2.routing.queues.{queue_id}.conversations"


def user_topic(user_id: str) -> str:
    return f"v2.users.{user_id}.conversations"
