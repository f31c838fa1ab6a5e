"""A loopback gateway of literal bytes, written from the protocol's description alone.

It shares no code with the runner: handshake, frames and HTTP answers are spelled out in
`tests.foreign.wire`, so that a mistake in the client is not mirrored. Each of the three endpoints
takes its answers from a queue of scripts; an empty queue means the polite default.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote

from tests.foreign.server import Channel, listen, port_of
from tests.foreign.wire import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Request,
    WireFrame,
    accept,
    close_frame,
    frame,
)

__all__ = ["BINARY", "CLOSE", "TEXT", "Request", "frame"]


def answer(
    status: int, body: bytes | dict[str, Any] = b"", content_type: str = "", **headers: str
) -> bytes:
    """Spell an HTTP answer; `Retry_After="1"` becomes the header `Retry-After: 1`."""
    if isinstance(body, dict):
        body, content_type = json.dumps(body).encode(), content_type or "application/json"
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body)}", "Connection: close"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Peer:
    """The server's end of one WebSocket session."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.pongs = True
        self.close_frame: tuple[int, str] | None = None  # what the client said last
        self._frames: asyncio.Queue[WireFrame | None] = asyncio.Queue()

    def feed(self, frame: WireFrame | None) -> None:
        """Take a frame; None: there will be no more."""
        self._frames.put_nowait(frame)

    async def next_text(self) -> str | None:
        """Return the next text frame, answering pings; None once the client closes."""
        while (got := await self._frames.get()) is not None:
            if got.opcode == PING and self.pongs:
                await self.send(frame(PONG, got.payload))
            elif got.opcode == TEXT:
                return got.payload.decode()
            elif got.opcode == CLOSE:
                self.close_frame = (got.close_code, got.close_reason)
                with contextlib.suppress(ConnectionError):
                    await self.send(frame(CLOSE, got.payload))
                break
        self.feed(None)
        return None

    async def send(self, raw: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(raw)
        await self.writer.drain()

    async def send_text(self, text: str | dict[str, Any]) -> None:
        """Send one text frame."""
        spelled = text if isinstance(text, str) else json.dumps(text)
        await self.send(frame(TEXT, spelled.encode()))

    async def close(self, code: int, reason: str = "") -> None:
        """Send a close frame and read on until the client has answered it."""
        await self.send(close_frame(code, reason))
        while await self.next_text() is not None:
            pass

    def cut(self) -> None:
        """Cut the connection without a word."""
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]
Reaction = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


async def obliging(peer: Peer) -> None:
    """Answer every request as carried out, until the client closes."""
    while (text := await peer.next_text()) is not None:
        await peer.send_text({"id": json.loads(text)["id"], "status": "transfer_initiated"})


@dataclass
class WireServer:
    """The gateway. Scripts are consumed from the left; `requests` keeps what came."""

    tls: ssl.SSLContext | None = None
    port: int = 0  # 0: any that is free
    expires_in: Any = 3600
    token_answers: deque[Reaction] = field(default_factory=deque)
    look_up_answers: deque[Reaction] = field(default_factory=deque)
    handshake_answers: deque[Reaction | None] = field(default_factory=deque)  # None: accept
    sessions: deque[Script] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)
    usual_session: Script = obliging
    tokens_issued: int = 0
    faults: list[BaseException] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._by_channel: dict[Channel, Peer | None] = {}
        self._listener = await listen(self, port=self.port, tls=self.tls)
        self.port = port_of(self._listener)
        return self

    def stop_listening(self) -> None:
        """Refuse further connections."""
        self._listener.close()

    async def __aexit__(self, *_: object) -> None:
        self.stop_listening()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert self.faults == []

    def url(self, scheme: str, path: str = "", host: str = "127.0.0.1") -> str:
        """Return an address of this server; `scheme` is "http" or "ws", made secure under TLS."""
        return f"{scheme}{'s' if self.tls else ''}://{host}:{self.port}{path}"

    def asked(self, path_start: str) -> list[Request]:
        """Return the requests whose path begins so."""
        return [request for request in self.requests if request.path.startswith(path_start)]

    # What arrives

    def opened(self, channel: Channel) -> None:
        """Wait for its request."""

    def requested(self, channel: Channel, request: Request) -> None:
        """Answer it, or play a session, in a task of its own."""
        self.requests.append(request)
        self._by_channel[channel] = None
        task = asyncio.create_task(self._serve(channel, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def framed(self, channel: Channel, frame: WireFrame) -> None:
        """Let the session's script read it."""
        self._feed(channel, frame)

    def ended(self, channel: Channel) -> None:
        """Say that there will be no more."""
        self._feed(channel, None)

    def lost(self, channel: Channel) -> None:
        """Say that there will be no more."""
        self._feed(channel, None)

    def failed(self, channel: Channel, fault: Exception) -> None:
        """Keep it, and drop the connection."""
        self.faults.append(fault)
        channel.writer.transport.abort()

    def _feed(self, channel: Channel, frame: WireFrame | None) -> None:
        peer = self._by_channel.get(channel)
        if peer is not None:
            peer.feed(frame)
        elif channel not in self._by_channel:
            channel.writer.close()  # it never asked for anything

    async def _serve(self, channel: Channel, request: Request) -> None:
        writer = channel.writer
        try:
            if request.is_handshake:
                await self._session(channel, request)
            else:
                await _react(self.reaction_to(request), writer)
        except (ConnectionError, asyncio.CancelledError):
            return  # the client went away, or the test is over
        except Exception as fault:  # noqa: BLE001 - shown when the server ends
            self.faults.append(fault)
        finally:
            writer.close()

    def reaction_to(self, request: Request) -> Reaction:
        """Return the answer to a request that is no handshake."""
        if request.path.startswith("/oauth/token"):
            return self._next(self.token_answers, self._token)
        return self._next(self.look_up_answers, lambda: _active(request))

    async def _session(self, channel: Channel, request: Request) -> None:
        refusal = self.handshake_answers.popleft() if self.handshake_answers else None
        if refusal is not None:
            await _react(refusal, channel.writer)
            return
        channel.writer.write(accept(request))
        self._by_channel[channel] = peer = Peer(channel.writer)
        self.peers.append(peer)
        await (self.sessions.popleft() if self.sessions else self.usual_session)(peer)

    def _token(self) -> bytes:
        self.tokens_issued += 1
        return answer(
            200,
            {
                "access_token": f"token-number-{self.tokens_issued}",
                "token_type": "bearer",
                "expires_in": self.expires_in,
            },
        )

    @staticmethod
    def _next(answers: deque[Reaction], default: Callable[[], bytes]) -> Reaction:
        return answers.popleft() if answers else default()


async def _react(reaction: Reaction, writer: asyncio.StreamWriter) -> None:
    if isinstance(reaction, bytes):
        writer.write(reaction)
        await writer.drain()
    else:
        await reaction(writer)


def _active(request: Request) -> bytes:
    interaction_id = unquote(request.path.rsplit("/", 1)[1])
    return answer(200, {"id": interaction_id, "state": "active"})
