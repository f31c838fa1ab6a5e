"""The way to a gateway, looked at: names, TLS, plain sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from runner.gateways.http.client import tls_context
from runner.gateways.http.errors import ConnectionFailed
from runner.gateways.reachability import (
    connect_plain,
    host_and_port,
    is_secure,
    resolve,
    shake_hands,
)
from tests.gateways.certificates import Authority


@asynccontextmanager
async def listening(context: ssl.SSLContext | None) -> AsyncIterator[int]:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_verified_certificate_is_told_by_name_version_and_end(tmp_path: Path):
    authority = Authority(tmp_path)
    async with listening(authority.server_context("IP:127.0.0.1")) as port:
        seen = await shake_hands(f"https://127.0.0.1:{port}/x", tls_context(str(authority.ca_file)))
    assert (seen.version, seen.subject) == ("TLSv1.3", "gateway")
    assert 1 < seen.days_left <= 2


async def test_an_authority_that_is_not_trusted_is_an_error_with_the_mend(tmp_path: Path):
    authority = Authority(tmp_path)
    async with listening(authority.server_context("IP:127.0.0.1")) as port:
        with pytest.raises(ConnectionFailed, match="the TLS certificate is not valid") as refused:
            await shake_hands(f"wss://127.0.0.1:{port}", tls_context(None))
    assert "tls.ca_file" in refused.value.check


async def test_a_plain_socket_is_reached_or_not():
    async with listening(None) as port:
        await connect_plain(f"ws://127.0.0.1:{port}/socket")
    with pytest.raises(ConnectionFailed, match="refused"):
        await connect_plain(f"ws://127.0.0.1:{port}/socket")


async def test_a_name_has_addresses_or_is_told_as_unknown():
    assert await resolve("http://127.0.0.1:80") == ["127.0.0.1"]
    with pytest.raises(ConnectionFailed, match="cannot be resolved"):
        await resolve("https://gateway.invalid")


def test_addresses_say_where_they_lead():
    assert host_and_port("wss://gateway.example/api") == ("gateway.example", 443)
    assert host_and_port("http://127.0.0.1:8443") == ("127.0.0.1", 8443)
    assert is_secure("wss://a")
    assert not is_secure("ws://a")
