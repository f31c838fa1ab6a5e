"""What the gateway tests share: a clock that never waits, a listener that remembers, a builder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from runner.core.manifest.model import (
    Endpoints,
    Environment,
    Limits,
    RetryPolicy,
    Secret,
)
from runner.core.transfer.message import GatewayNote, Message, Reply, Request
from runner.gateways.interaction_transfer.driver import InteractionWebSocket
from runner.gateways.interaction_transfer.spec import SPEC as INTERACTION_WEBSOCKET
from runner.ports import Clock, SessionLost, SessionOpened
from tests.fakes.wire_server import WireServer

SECRET = "canary-secret-4711-never-shown"
WALL_S = 1_800_000_000.0


@dataclass
class QuickClock:
    """Time passes only by sleeping, and sleeping takes no time; real sockets keep their pace."""

    time_s: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        """Return the test's seconds."""
        return self.time_s

    def wall(self) -> float:
        """Return the test's seconds since the epoch."""
        return WALL_S + self.time_s

    def uptime(self) -> float:
        """Return the test's seconds."""
        return self.time_s

    @property
    def boot(self) -> str | None:
        """The test's one boot."""
        return "boot"

    async def sleep(self, seconds: float) -> None:
        """Let that much time have passed."""
        self.time_s += seconds
        self.slept.append(seconds)
        await asyncio.sleep(0)


@dataclass
class Listener:
    """Remembers everything in order; `until` waits for it."""

    calls: list[tuple[str, Any]] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def _record(self, what: str, value: Any) -> None:
        self.calls.append((what, value))
        self._news.set()

    def replied(self, reply: Reply) -> None:
        """Remember it."""
        self._record("replied", reply)

    def noted(self, note: GatewayNote) -> None:
        """Remember it."""
        self._record("noted", note)

    def session_opened(self, opened: SessionOpened) -> None:
        """Remember it."""
        self._record("opened", opened)

    def session_lost(self, lost: SessionLost) -> None:
        """Remember it."""
        self._record("lost", lost)

    def gave_up(self, error: Exception) -> None:
        """Remember it."""
        self._record("gave_up", error)

    def slowed(self, why: str) -> None:
        """Remember it."""
        self._record("slowed", why)

    def paused(self, wait_s: float, why: str) -> None:
        """Remember it."""
        self._record("paused", (wait_s, why))

    def all(self, what: str) -> list[Any]:
        """Return all that was calls of one kind."""
        return [value for kind, value in self.calls if kind == what]

    async def until(self, what: str, count: int = 1, *, within_s: float = 60) -> Any:
        """Wait until `what` was calls `count` times; return the last of these."""
        async with asyncio.timeout(within_s):
            while len(self.all(what)) < count:
                self._news.clear()
                await self._news.wait()
        return self.all(what)[count - 1]


def environment_of(server: WireServer, **changes: Any) -> Environment:
    host = changes.pop("host", "127.0.0.1")
    fields: dict[str, Any] = {
        "name": "production",
        "driver": INTERACTION_WEBSOCKET,
        "gateway": "edge-ams",
        "limits": Limits(),
        "endpoints": Endpoints(
            token_url=server.url("http", "/oauth/token", host),
            api_url=server.url("http", "", host),
            websocket_url=server.url("ws", "/api/v2/websocket", host),
        ),
        "client_id": Secret("client-17"),
        "client_secret": Secret(SECRET),
    }
    return Environment(**{**fields, **changes})


def gateway_to(
    server: WireServer,
    clock: Clock | None = None,
    *,
    attempts: int = 4,
    jitter: Callable[[], float] = lambda: 0.5,
    give_up_s: float = 300.0,
    transport: httpx.AsyncBaseTransport | None = None,
    **changes: Any,
) -> InteractionWebSocket:
    policy = RetryPolicy(attempts=attempts, base_s=1.0, cap_s=30.0)
    environment = environment_of(server, **changes)
    return InteractionWebSocket(
        environment, policy, clock or QuickClock(), jitter, give_up_s, transport=transport
    )


def request(text: str, message_id: str = "") -> Request:
    """Return what the engine hands over to have a text written."""
    return Request(message_id, Message(text))
