"""HTTP connections without the library's pool, whose cost grows with the square of open requests."""

from __future__ import annotations

import ssl
import sys
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from types import TracebackType
from typing import Self

import httpx


class UnpooledTransport(httpx.AsyncBaseTransport):
    """Sends each request on the most recently used idle connection, or on a new one.

    A connection is idle again when the body of its answer has been read or dropped.
    """

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._idle: list[httpx.AsyncHTTPTransport] = []
        self._open: set[httpx.AsyncHTTPTransport] = set()
        _forget_sniffio()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request on a connection of its own."""
        connection = self._idle.pop() if self._idle else self._new()
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            self._return(connection)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - as it was asked
        response.stream = _Stream(response.stream, lambda: self._return(connection))
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        connections, self._open = self._open, set()
        for connection in connections:
            await connection.aclose()

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

    def _return(self, connection: httpx.AsyncHTTPTransport) -> None:
        self._idle.append(connection)


class _Stream(httpx.AsyncByteStream):
    """The body of an answer; its end returns the connection."""

    def __init__(self, body: httpx.AsyncByteStream, ended: Callable[[], None]) -> None:
        self._body = body
        self._ended = ended
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            yield chunk

    async def aclose(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        try:
            await self._body.aclose()
        finally:
            self._ended()


def _forget_sniffio() -> None:
    """Keep the library from searching, at each lock, for a package that is not installed."""
    if "sniffio" not in sys.modules and find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment]
