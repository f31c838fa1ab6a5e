"""A loopback gateway of literal bytes, written from the protocol's description alone.

It shares no code with the runner: handshake, frames and HTTP answers are spelled out here, so that
a mistake in the client is not mirrored. Each of the three endpoints takes its answers from a queue
of scripts; an empty queue means the polite default.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import ssl
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


@dataclass(frozen=True)
class Request:
    """One HTTP request as it was read."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


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


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """Spell a server's frame (unmasked)."""
    first = (0x80 if fin else 0) | opcode
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", first, size) + payload
    if size < 2**16:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


class Peer:
    """The server's end of one WebSocket session."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.pongs = True
        self.close_frame: tuple[int, str] | None = None  # what the client said last

    async def next_text(self) -> str | None:
        """Return the next text frame, answering pings; None once the client closes."""
        while True:
            try:
                opcode, payload = await self._next_frame()
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
            if opcode == PING and self.pongs:
                await self.send(frame(PONG, payload))
            elif opcode == TEXT:
                return payload.decode()
            elif opcode == CLOSE:
                code = struct.unpack("!H", payload[:2])[0] if payload else 1005
                self.close_frame = (code, payload[2:].decode())
                with contextlib.suppress(ConnectionError):
                    await self.send(frame(CLOSE, payload))
                return None

    async def _next_frame(self) -> tuple[int, bytes]:
        head = await self._reader.readexactly(2)
        size = head[1] & 0x7F
        if size == 126:
            size = struct.unpack("!H", await self._reader.readexactly(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", await self._reader.readexactly(8))[0]
        assert head[1] & 0x80, "a client masks its frames (RFC 6455, 5.3)"
        mask = await self._reader.readexactly(4)
        payload = await self._reader.readexactly(size)
        return head[0] & 0x0F, bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))

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
        await self.send(frame(CLOSE, struct.pack("!H", code) + reason.encode()))
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
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, ssl=self.tls
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
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

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # the client went away, or the test is over
        except Exception as fault:  # noqa: BLE001 - shown when the server ends
            self.faults.append(fault)
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _read_request(reader)
        self.requests.append(request)
        if request.headers.get("upgrade", "").lower() == "websocket":
            await self._session(request, reader, writer)
        else:
            await _react(self.reaction_to(request), writer)

    def reaction_to(self, request: Request) -> Reaction:
        """Return the answer to a request that is no handshake."""
        if request.path.startswith("/oauth/token"):
            return self._next(self.token_answers, self._token)
        return self._next(self.look_up_answers, lambda: _active(request))

    async def _session(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        refusal = self.handshake_answers.popleft() if self.handshake_answers else None
        if refusal is not None:
            await _react(refusal, writer)
            return
        key = hashlib.sha1(request.headers["sec-websocket-key"].encode() + _GUID).digest()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(key) + b"\r\n\r\n"
        )
        peer = Peer(reader, writer)
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


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)
