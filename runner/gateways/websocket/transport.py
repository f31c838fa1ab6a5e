"""The WebSocket, by the `websockets` client, behind a port that tests can fake."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
)
from websockets.frames import CloseCode
from websockets.protocol import State

from runner.core.pacing.retry_after import retry_after_s
from runner.gateways.http.errors import (
    ConnectionFailed,
    HandshakeRefused,
    explained,
    shown,
    wanted_scope,
    without_user,
)

DIAL_S = 10.0
"""The limit for TCP, TLS and the opening handshake together."""

CLOSE_S = 2.0
"""The limit for the closing handshake."""

FRAME_LIMIT = 2**20
"""Bytes of the largest message; a larger one closes the session (1009)."""

_OUR_KEEPALIVE = "keepalive ping timeout"  # how websockets words it

_SILENT = logging.getLogger("runner.gateways.websocket.transport.silent")
_SILENT.disabled = True  # at DEBUG websockets would log the handshake's headers, token included


class TransportClosed(Exception):
    """The socket is closed, with the code and reason of the side that closed first."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class Transport(Protocol):
    """An open socket."""

    @property
    def tls(self) -> str | None:
        """The TLS version, as in "TLSv1.3"; None on a plain socket."""

    @property
    def is_open(self) -> bool:
        """Whether frames may be sent."""

    def writable(self) -> bool:
        """Return whether the socket is open and its buffer empty."""

    async def send(self, text: str) -> None:
        """Write a text frame before the first suspension. Raises `TransportClosed`.

        If the buffer was empty (`writable`), the kernel has its first bytes by then. Whatever ends
        the wait for the rest, the frame may have arrived.
        """

    async def receive(self) -> str | bytes:
        """Return the next message. Raises `TransportClosed`, after the normal close too."""

    async def ping(self) -> None:
        """Return once a ping is answered. Raises `TransportClosed`."""

    async def close(self, code: int, reason: str) -> None:
        """Close; bounded in time, idempotent."""


Dial = Callable[[str, Mapping[str, str]], Awaitable[Transport]]
"""Opens a socket to an address with headers. Raises `ConnectionFailed` or `HandshakeRefused`."""


Hide = Callable[[str], str]


def dialler(
    context: ssl.SSLContext | None,
    wall_s: Callable[[], float],
    hide: Hide = lambda text: text,
    *,
    frame_limit: int = FRAME_LIMIT,
) -> Dial:
    """Return the real dial function; `hide` removes our secrets from what a server quotes."""

    async def dial(url: str, headers: Mapping[str, str]) -> Transport:
        secure = {"ssl": context} if urlsplit(url).scheme == "wss" else {}
        try:
            return WebSocketTransport(
                await _Connect(without_user(url), headers, frame_limit, **secure)
            )
        except InvalidStatus as error:
            raise _refusal(error, wall_s(), hide) from error
        except TimeoutError as error:
            raise ConnectionFailed(f"no WebSocket within {DIAL_S:.0f} s") from error
        except (InvalidHandshake, InvalidURI) as error:
            raise _no_websocket(error) from error
        except (OSError, EOFError, UnicodeError) as error:
            raise explained(error) from error

    return dial


class _Connect(connect):
    """The library's client, configured for one dial; it never follows a redirect."""

    def __init__(
        self, url: str, headers: Mapping[str, str], frame_limit: int, **secure: Any
    ) -> None:
        super().__init__(
            url,
            additional_headers=headers,
            compression=None,  # faster on small frames, and no deflate bombs
            proxy=None,
            open_timeout=DIAL_S,
            ping_interval=5,  # with the two below: half-open is noticed after 12 s
            ping_timeout=5,
            close_timeout=CLOSE_S,
            max_size=frame_limit,
            max_queue=None,  # the one reader never waits between two messages of a chunk
            logger=_SILENT,
            **secure,
        )

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Refuse: a redirect would carry our headers to another server."""
        return exc


class WebSocketTransport:
    """A `Transport` over the library's connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @property
    def tls(self) -> str | None:
        """The TLS version, as in "TLSv1.3"; None on a plain socket."""
        tls = self._connection.transport.get_extra_info("ssl_object")
        return tls.version() if tls is not None else None

    @property
    def is_open(self) -> bool:
        """Whether no closing handshake has begun."""
        return self._connection.state is State.OPEN

    def writable(self) -> bool:
        """Return whether the socket is open and the transport's buffer empty."""
        return self.is_open and self._connection.transport.get_write_buffer_size() == 0

    async def send(self, text: str) -> None:
        """Write before the first suspension.

        A connection that is not open is refused here: the library would wait for its end first.
        """
        state = self._connection.state
        if state is not State.OPEN:
            raise TransportClosed(CloseCode.ABNORMAL_CLOSURE, f"connection is {state.name.lower()}")
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise _closed(error) from error

    async def receive(self) -> str | bytes:
        """Return the next message."""
        try:
            return await self._connection.recv()
        except ConnectionClosed as error:
            raise _closed(error) from error

    async def ping(self) -> None:
        """Return once a ping is answered."""
        try:
            await (await self._connection.ping())
        except ConnectionClosed as error:
            raise _closed(error) from error

    async def close(self, code: int, reason: str) -> None:
        """Close within `CLOSE_S`, and cut the connection if that fails."""
        try:  # the library's own bound does not hold while its buffer is full
            async with asyncio.timeout(CLOSE_S + 1):
                await self._connection.close(code, reason)
        except TimeoutError:
            pass  # cut below
        finally:
            self._connection.transport.abort()


def _closed(error: ConnectionClosed) -> TransportClosed:
    """Return the code and reason of the side that closed first."""
    received, sent = error.rcvd, error.sent
    if received is not None and (sent is None or error.rcvd_then_sent):
        return TransportClosed(int(received.code), received.reason)
    if sent is None:
        return TransportClosed(
            CloseCode.ABNORMAL_CLOSURE, "the connection was lost without a close frame"
        )
    if sent.reason == _OUR_KEEPALIVE:
        return TransportClosed(
            CloseCode.ABNORMAL_CLOSURE, "no answer to a keep-alive ping within 5 s"
        )
    ours = "" if sent.code == CloseCode.NORMAL_CLOSURE else "closed by the runner: "
    return TransportClosed(int(sent.code), ours + sent.reason)


def _refusal(error: InvalidStatus, wall_s: float, hide: Hide) -> HandshakeRefused:
    response = error.response
    status, headers = response.status_code, response.headers
    if 300 <= status < 400:  # noqa: PLR2004 - the class of redirects
        target = shown(hide(_first(headers.get_all("Location")) or "nowhere"))
        return HandshakeRefused(
            status,
            f"the WebSocket address redirects to {target} ({status}), which is not followed",
            "set `endpoints.websocket_url` to the address that speaks WebSocket",
            final=True,
        )
    if status == HTTPStatus.FORBIDDEN:
        scope = wanted_scope(hide(_first(headers.get_all("WWW-Authenticate")) or ""))
        return HandshakeRefused(
            status,
            "the session is forbidden (403): the token lacks the scope "
            f"{scope or 'websocket:use or interaction:transfer'}",
            "have it added to the client's role and to `scopes`",
            final=True,
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        first = {name: _first(headers.get_all(name)) or "" for name in ("Retry-After", "Date")}
        return HandshakeRefused(
            status,
            f"the gateway answers the handshake with {status}",
            "check the gateway's health, then run again",
            retry_after_s=retry_after_s(first, wall_s),
        )
    return HandshakeRefused(
        status,
        f"no WebSocket endpoint: the handshake is answered with {status}",
        "check `endpoints.websocket_url`, its path included",
    )


def _no_websocket(error: Exception) -> ConnectionFailed:
    if isinstance(error.__cause__, OSError | EOFError):
        return explained(error.__cause__)
    return ConnectionFailed(
        f"no WebSocket endpoint: the handshake's answer is not one ({type(error).__name__})",
        "check `endpoints.websocket_url`, port and path included, and proxies on the way",
    )


def _first(values: list[str]) -> str | None:
    return values[0] if values else None
