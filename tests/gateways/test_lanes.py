"""HTTP connections: one for each request under way, kept and used again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from runner.gateways.exchange import exchange, http_client
from runner.gateways.faults import WireError

KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def serving(held: asyncio.Event | None) -> tuple[asyncio.Server, str, Callable[[], int]]:
    """Serve requests on connections that stay; return the server, its address and their count."""
    opened = 0

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                writer.close()
                return
            if held is not None:
                await held.wait()
            writer.write(b"" if b"/cut" in head else KEPT)
            if b"/cut" in head:
                writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    return server, f"http://127.0.0.1:{port}", lambda: opened


async def test_requests_after_each_other_share_a_connection():
    server, url, opened = await serving(None)
    async with server, http_client(None, None) as client:
        for _ in range(5):
            assert (await exchange(client, "GET", url, {})).body == b"ok"
        assert opened() == 1


async def test_requests_at_a_time_have_one_each_and_are_kept_for_the_next():
    held = asyncio.Event()
    server, url, opened = await serving(held)
    async with server, http_client(None, None) as client:
        asking = [asyncio.create_task(exchange(client, "GET", url, {})) for _ in range(8)]
        while opened() < 8:
            await pause(0)
        held.set()
        await asyncio.gather(*asking)
        await asyncio.gather(*(exchange(client, "GET", url, {}) for _ in range(8)))
        assert opened() == 8


async def test_a_connection_that_was_cut_is_replaced():
    server, url, opened = await serving(None)
    async with server, http_client(None, None) as client:
        with pytest.raises(WireError):
            await exchange(client, "GET", f"{url}/cut", {})
        assert (await exchange(client, "GET", url, {})).status == 200
        assert opened() == 2


pause = asyncio.sleep
