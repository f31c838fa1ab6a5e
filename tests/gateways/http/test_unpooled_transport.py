"""HTTP connections: one for each request under way, kept and used again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from runner.gateways.http.client import exchange, http_client
from runner.gateways.http.errors import ConnectionFailed
from tests.fakes.turns import until

KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def serving(
    held: asyncio.Event | None = None,
) -> AsyncIterator[tuple[str, Callable[[], int]]]:
    """Serve requests on connections that stay; give the address and the count of connections."""
    handlers: list[asyncio.Task[None]] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()
                return
            if held is not None:
                await held.wait()
            writer.write(b"" if b"/cut" in head else KEPT)
            if b"/cut" in head:
                writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.create_task(converse(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", lambda: len(handlers)
    await asyncio.gather(*handlers)  # whose ends the closed clients have brought


async def test_requests_after_each_other_share_a_connection():
    async with serving() as (url, opened), http_client(None, None) as client:
        for _ in range(5):
            assert (await exchange(client, "GET", url, {})).body == b"ok"
        assert opened() == 1


async def test_requests_at_a_time_have_one_each_and_are_kept_for_the_next():
    held = asyncio.Event()
    async with serving(held) as (url, opened), http_client(None, None) as client:
        asking = [asyncio.create_task(exchange(client, "GET", url, {})) for _ in range(8)]
        await until(lambda: opened() == 8)
        held.set()
        await asyncio.gather(*asking)
        await asyncio.gather(*(exchange(client, "GET", url, {}) for _ in range(8)))
        assert opened() == 8


async def test_a_connection_that_was_cut_is_replaced():
    async with serving() as (url, opened), http_client(None, None) as client:
        with pytest.raises(ConnectionFailed):
            await exchange(client, "GET", f"{url}/cut", {})
        assert (await exchange(client, "GET", url, {})).status == 200
        assert opened() == 2


@pytest.mark.parametrize("turns", range(40))
async def test_a_request_that_was_cancelled_leaves_no_connection_that_answers_nothing(turns: int):
    """Whatever the exchange was at: the connection is closed, and the next request has a new one."""
    async with serving() as (url, _), http_client(None, None) as client:
        for _ in range(2):
            cancelled = asyncio.create_task(exchange(client, "GET", url, {}))
            for _ in range(turns):
                await asyncio.sleep(0)
            cancelled.cancel()
            await asyncio.gather(cancelled, return_exceptions=True)
            assert (await exchange(client, "GET", url, {})).body == b"ok"
