"""A loopback platform of literal bytes, written from the vendor's documents alone.

One conversation after another, channels and their sockets; each request is answered by the first
script that fits it, else politely.
"""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.turns import until
from tests.fakes.wire_server import Peer, Reaction, Request, Script, WireServer, answer

DATE = "Tue, 01 Dec 2026 21:00:00 GMT"
DATE_S = 1796158800.0


async def silent(peer: Peer) -> None:
    """Answer pings, of either kind, and say nothing else until the client closes."""
    while (text := await peer.next_text()) is not None:
        if json.loads(text) == {"message": "ping"}:
            await peer.send_text(metadata("pong"))


def metadata(message: str) -> dict[str, Any]:
    """Return what the platform says of the channel itself."""
    return {"topicName": "channel.metadata", "eventBody": {"message": message}}


def participant(purpose: str, participant_id: str, **fields: Any) -> dict[str, Any]:
    """Return a connected participant with one message communication; fields override."""
    state = fields.pop("state", "connected")
    return {
        "id": participant_id,
        "purpose": purpose,
        "messages": [{"id": f"c-{participant_id}", "state": state}],
        **fields,
    }


def conversation(conversation_id: str, *participants: dict[str, Any], **fields: Any) -> Any:
    """Return a conversation that a customer waits in."""
    customer = participant("customer", "p-customer")
    return {"id": conversation_id, "participants": [customer, *participants], **fields}


def event(queue_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return a notification that a queue's conversation changed."""
    return {
        "topicName": f"v2.routing.queues.{queue_id}.conversations",
        "version": "2",
        "eventBody": body,
        "metadata": {"CorrelationId": "corr-event"},
    }


@dataclass
class VendorServer(WireServer):
    """The platform. `scripts` are consumed by the path that they begin with, "GET /api…"."""

    usual_session: Script = silent
    scripts: dict[str, deque[Reaction]] = field(default_factory=dict)
    conversations: dict[str, Any] = field(default_factory=dict)
    posted: Callable[[Request], None] | None = None
    standing: dict[str, Reaction] = field(default_factory=dict)  # answers that are not used up
    channels: list[Any] = field(default_factory=list)  # that are listed
    followed: dict[str, list[Any]] = field(default_factory=dict)  # topics by channel
    _channels: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def of(self, method: str, path_start: str = "/api/") -> list[Request]:
        """Return the requests of a method whose path begins so."""
        return [each for each in self.asked(path_start) if each.method == method]

    def script(self, start: str, *reactions: Reaction) -> None:
        """Answer the next requests that begin so, with their method, in this way."""
        self.scripts.setdefault(start, deque()).extend(reactions)

    async def until(self, true: Callable[[], bool], *, within_s: float = 10) -> None:
        """Wait until what has come makes it so."""
        await until(true, within_s=within_s)

    def reaction_to(self, request: Request) -> Reaction:
        """Return the answer to a request that is no handshake."""
        line = f"{request.method} {request.path}"
        for start, reactions in self.scripts.items():
            if line.startswith(start) and reactions:
                return reactions.popleft()
        for start, reaction in self.standing.items():
            if line.startswith(start):
                return reaction
        return self._polite(request)

    def _polite(self, request: Request) -> Reaction:
        path = request.path
        if path.startswith("/oauth/token"):
            return self._token()
        if path == "/api/v2/notifications/channels":
            listed = {"entities": self.channels}
            return answer(200, listed) if request.method == "GET" else self._channel()
        if path.endswith("/subscriptions"):
            return self._subscriptions(request)
        if request.method == "GET" and path.startswith("/api/v2/conversations/"):
            body = self.conversations.get(path.rsplit("/", 1)[1])
            if body is not None:
                return answer(200, body, Date=DATE)
        if request.method == "POST" and path.startswith("/api/v2/conversations/"):
            if self.posted is not None:
                self.posted(request)
            return answer(202, ININ_Correlation_Id="corr-1")
        return answer(404, {"code": "not.found", "status": 404})

    def _subscriptions(self, request: Request) -> Reaction:
        topics = self.followed.setdefault(request.path.split("/")[-2], [])
        if request.method == "DELETE":
            topics.clear()
            return answer(204)
        if request.method == "POST":
            topics += json.loads(request.body)
        return answer(200, {"entities": topics})

    def _channel(self) -> bytes:
        number = next(self._channels)
        uri = self.url("ws", f"/channels/ch-{number}?secret=canary-query")
        return answer(
            200, {"id": f"ch-{number}", "connectUri": uri, "expires": "2026-12-02T21:00:00.000Z"}
        )
