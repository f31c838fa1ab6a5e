"""A small HTTP/1.1 server on h11: one function answers every request."""

from __future__ import annotations

import asyncio
import email.utils
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import h11

MOST_READ = 65_536


@dataclass(frozen=True, slots=True)
class WebRequest:
    """A request as it came; header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    at: float = 0.0  # monotonic seconds


@dataclass(frozen=True, slots=True)
class WebResponse:
    """What is answered; `body` bytes go out as they are, anything else as JSON.

    A header's characters are its bytes (Latin-1).
    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> tuple[bytes, str]:
        """Return the bytes and their media type."""
        if isinstance(self.body, bytes):
            return self.body, "text/html" if self.body.startswith(b"<") else "text/plain"
        return json.dumps(self.body).encode(), "application/json"


Answer = Callable[[WebRequest], Awaitable[WebResponse]]


async def serve_web(answer: Answer, *, now: Callable[[], float]) -> asyncio.Server:
    """Serve on a free loopback port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _converse(reader, writer, answer, now)
        except (ConnectionError, h11.RemoteProtocolError):
            pass  # the client left in the middle: nobody is there to be told
        finally:
            writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


async def _converse(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answer: Answer,
    now: Callable[[], float],
) -> None:
    connection = h11.Connection(h11.SERVER)
    while (request := await _request(connection, reader, now)) is not None:
        response = await answer(request)
        body, media_type = response.content()
        headers = {
            "Date": email.utils.formatdate(usegmt=True),
            "Content-Type": media_type,
            "Content-Length": str(len(body)),
            **response.headers,
        }
        head = h11.Response(
            status_code=response.status,
            headers=[
                (name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()
            ],
            reason=HTTPStatus(response.status).phrase,
        )
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            writer.write(connection.send(event) or b"")
        await writer.drain()
        if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
            return
        connection.start_next_cycle()


async def _request(
    connection: h11.Connection, reader: asyncio.StreamReader, now: Callable[[], float]
) -> WebRequest | None:
    head: h11.Request | None = None
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(MOST_READ))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
            return WebRequest(head.method.decode(), head.target.decode(), headers, body, now())
        else:
            return None
