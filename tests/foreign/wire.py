"""The server's side of HTTP/1.1 and WebSocket as bytes, without input, output or clock.

Written from RFC 9112 and RFC 6455; it shares no code with the program or with the libraries that
the program speaks through, so that a mistake in those is not mirrored.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
NO_STATUS = 1005  # of a close frame without a code


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as it was read; header names are in lower case."""

    method: str
    path: str  # with its query
    headers: dict[str, str]
    body: bytes

    @property
    def is_handshake(self) -> bool:
        """Whether it asks for a WebSocket session."""
        return self.headers.get("upgrade", "").lower() == "websocket"

    @property
    def is_last(self) -> bool:
        """Whether the client closes the connection after the answer."""
        return self.headers.get("connection", "").lower() == "close"


@dataclass(frozen=True, slots=True)
class WireFrame:
    """One WebSocket frame of a client, unmasked."""

    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int:
        """The code of a close frame."""
        return int.from_bytes(self.payload[:2], "big") if self.payload else NO_STATUS

    @property
    def close_reason(self) -> str:
        """The reason of a close frame."""
        return self.payload[2:].decode()


@dataclass(frozen=True, slots=True)
class WebResponse:
    """An answer; `body` bytes go out as they are, anything else as JSON.

    A header's characters are its bytes (Latin-1).
    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def spelt(self) -> bytes:
        """Return the bytes."""
        body, media_type = self._content()
        headers = {
            "Date": email.utils.formatdate(usegmt=True),
            "Content-Type": media_type,
            "Content-Length": str(len(body)),
            **self.headers,
        }
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body

    def _content(self) -> tuple[bytes, str]:
        if isinstance(self.body, bytes):
            return self.body, "text/html" if self.body.startswith(b"<") else "text/plain"
        return json.dumps(self.body).encode(), "application/json"


def accept(request: Request) -> bytes:
    """Return the answer that opens a session."""
    key = hashlib.sha1(request.headers["sec-websocket-key"].encode() + _GUID).digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(key) + b"\r\n\r\n"
    )


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """Return a server's frame (unmasked)."""
    first = (0x80 if fin else 0) | opcode
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", first, size) + payload
    if size < 2**16:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame."""
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


class Wire:
    """Reads what a client sends on one connection: requests and, after a handshake, frames."""

    def __init__(self) -> None:
        self._unread = b""
        self._upgraded = False

    def receive(self, data: bytes) -> list[Request | WireFrame]:
        """Take bytes; return what is whole by now. Raises `AssertionError` for no client's bytes."""
        self._unread += data
        found: list[Request | WireFrame] = []
        while (item := self._next()) is not None:
            found.append(item)
        return found

    def _next(self) -> Request | WireFrame | None:
        return self._next_frame() if self._upgraded else self._next_request()

    def _next_request(self) -> Request | None:
        head, end, rest = self._unread.partition(b"\r\n\r\n")
        if not end:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ")
        parted = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in parted}
        size = int(headers.get("content-length", "0"))
        if len(rest) < size:
            return None
        request = Request(method, path, headers, rest[:size])
        self._unread, self._upgraded = rest[size:], request.is_handshake
        return request

    def _next_frame(self) -> WireFrame | None:
        unread = self._unread
        if len(unread) < 2:
            return None
        assert unread[0] & 0xF0 == 0x80, "one message is one frame, without extensions"
        assert unread[1] & 0x80, "a client masks its frames (RFC 6455, 5.3)"
        size, start = unread[1] & 0x7F, 2
        if size > 125:
            start = 4 if size == 126 else 10
            size = int.from_bytes(unread[2:start], "big")
        end = start + 4 + size
        if len(unread) < start or len(unread) < end:
            return None
        self._unread = unread[end:]
        payload = _masked(unread[start + 4 : end], unread[start : start + 4])
        return WireFrame(unread[0] & 0x0F, payload)


def _masked(payload: bytes, mask: bytes) -> bytes:
    key = (mask * (len(payload) // 4 + 1))[: len(payload)]
    both = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return both.to_bytes(len(payload), "big")
