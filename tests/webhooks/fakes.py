"""A receiver on loopback that keeps what it read, an outbox in memory, and a clock of its own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from runner.webhooks import OutboxRow
from tests.foreign.server import WebServer, listen, port_of
from tests.foreign.wire import Request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def status(code: int, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {code} Whatever", "Content-Length: 0", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@dataclass(frozen=True)
class Received:
    line: str
    headers: dict[str, str]
    body: str


@dataclass
class Receiver:
    """Answers with `answers` in turn, the last one for good; `None` never answers."""

    answers: Sequence[bytes | None] = (OK,)
    received: list[Received] = field(default_factory=list)
    port: int = 0
    hello: str | None = None  # the server name of the last TLS handshake

    @asynccontextmanager
    async def serve(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
        server = WebServer(self._answer)
        listener = await listen(server, tls=tls)
        self.port = port_of(listener)
        try:
            yield self
        finally:
            listener.close()
            server.abort()
            assert server.faults == []

    def _answer(self, request: Request) -> bytes:
        answer = self.answers[min(len(self.received), len(self.answers) - 1)]
        line = f"{request.method} {request.path} HTTP/1.1"
        self.received.append(Received(line, request.headers, request.body.decode()))
        return b"" if answer is None else answer


class MemoryOutbox:
    """Gives each row out once and keeps what became of it as plain tuples."""

    def __init__(self, *rows: OutboxRow) -> None:
        self.rows = list(rows)
        self.settled: dict[str, tuple[Any, ...]] = {}
        self._changed = asyncio.Event()

    async def due(self, limit: int) -> Sequence[OutboxRow]:
        given, self.rows = self.rows[:limit], self.rows[limit:]
        return given

    async def delivered(self, row: OutboxRow, attempts: int) -> None:
        self._settle(row, "delivered", attempts)

    async def failed(self, row: OutboxRow, attempts: int, reason: str, *, final: bool) -> None:
        self._settle(row, "failed" if final else "pending", attempts, reason)

    async def suppressed(self, row: OutboxRow, reason: str) -> None:
        self._settle(row, "suppressed", reason)

    async def until(self, *webhook_ids: str) -> None:
        while not self.settled.keys() >= set(webhook_ids):
            self._changed.clear()
            await self._changed.wait()

    def _settle(self, row: OutboxRow, *what: object) -> None:
        assert row.webhook_id not in self.settled, "settled twice"
        self.settled[row.webhook_id] = what
        self._changed.set()


class LeapingClock:
    """Every sleep is over at once, and time has moved on by it."""

    def __init__(self) -> None:
        self.at = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return 1_796_158_800.75 + self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds


class StandingClock(LeapingClock):
    """No sleep ever ends by itself; `ring` ends those of `seconds`."""

    def __init__(self) -> None:
        super().__init__()
        self._bells: dict[float, asyncio.Event] = {}

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self._bell(seconds).wait()

    def ring(self, seconds: float) -> None:
        self._bell(seconds).set()

    def _bell(self, seconds: float) -> asyncio.Event:
        return self._bells.setdefault(seconds, asyncio.Event())


class Watch:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    def noticed(self, event: str, **fields: Any) -> None:
        self.told.append((event, fields))

    warned = noticed

    def progressed(self, progress: object) -> None:
        """Nothing here is of interest."""
