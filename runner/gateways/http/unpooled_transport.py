"""HTTP connections without the library's pool, whose cost grows with the square of open requests."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from importlib.util import find_spec
from types import TracebackType
from typing import Self

import httpx


class UnpooledTransport(httpx.AsyncBaseTransport):
    """Sends each request on the most recently used idle connection, or on a new one.

    A connection is idle again when the body of its answer has been read or dropped. After an exchange
    that was cancelled or failed it is closed: the library may count such a request as under way for
    ever, and all later requests on that connection would get no answer.
    """

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._idle: list[httpx.AsyncHTTPTransport] = []
        self._open: set[httpx.AsyncHTTPTransport] = set()
        self._closing: set[asyncio.Task[None]] = set()
        _forget_sniffio()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request on a connection of its own."""
        connection = self._idle.pop() if self._idle else self._new()
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            self._drop(connection)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - as it was asked
        response.stream = _Stream(
            response.stream,
            lambda: self._idle.append(connection),
            lambda: self._drop(connection),
        )
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        connections, self._open = self._open, set()
        for connection in connections:
            await connection.aclose()
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        at: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    def _new(self) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        connection = httpx.AsyncHTTPTransport(
            verify=self._context or True, trust_env=False, http2=False, limits=limits
        )
        self._open.add(connection)
        return connection

    def _drop(self, connection: httpx.AsyncHTTPTransport) -> None:
        """Close a connection beside the caller, who may be cancelled."""
        self._open.discard(connection)
        closing = asyncio.get_running_loop().create_task(_close(connection))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


async def _close(connection: httpx.AsyncHTTPTransport) -> None:
    with suppress(httpx.HTTPError, OSError):  # it is not used any more
        await connection.aclose()


class _Stream(httpx.AsyncByteStream):
    """The body of an answer; its end returns the connection, or drops it after a failure."""

    def __init__(
        self, body: httpx.AsyncByteStream, ended: Callable[[], None], failed: Callable[[], None]
    ) -> None:
        self._body = body
        self._ended = ended
        self._failed = failed
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._body:
                yield chunk
        except BaseException:
            self._close_as(self._failed)
            raise

    async def aclose(self) -> None:
        if self._is_closed:
            return
        try:
            await self._body.aclose()
        except BaseException:
            self._close_as(self._failed)
            raise
        self._close_as(self._ended)

    def _close_as(self, then: Callable[[], None]) -> None:
        if not self._is_closed:
            self._is_closed = True
            then()


def _forget_sniffio() -> None:
    """Keep the library from searching, at each lock, for a package that is not installed."""
    if "sniffio" not in sys.modules and find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment]
