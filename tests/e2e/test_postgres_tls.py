"""A database that is reached by TLS alone, and whose certificate counts."""

from __future__ import annotations

import asyncio
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.gateways.certificates import Authority
from tests.postgres_server import fresh_database

SSL_REQUEST = struct.pack("!II", 8, 80877103)
PORT = 5432  # in the name of the server's socket


@dataclass(frozen=True, slots=True)
class TlsServer:
    """The tests' server, which has no TLS, behind a port of the loopback that has nothing else."""

    database: str
    port: int
    ca_file: Path

    def url(self, host: str = "localhost", **parameters: str) -> str:
        given = {"user": "postgres", "sslrootcert": str(self.ca_file)} | parameters
        query = "&".join(f"{name}={value}" for name, value in given.items())
        return f"postgresql://{host}:{self.port}/{self.database}?{query}"


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[TlsServer]:
    authority = Authority(tmp_path)
    plain = urlsplit(fresh_database(journal=False))
    socket_path = f"{parse_qs(plain.query)['host'][0]}/.s.PGSQL.{PORT}"
    with serving(socket_path, authority.server_context("DNS:localhost")) as port:
        yield TlsServer(plain.path[1:], port, authority.ca_file)


@contextmanager
def serving(socket_path: str, context: ssl.SSLContext) -> Iterator[int]:
    """Answer PostgreSQL's request for TLS, and pass on what comes through it; yield the port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened = [writer]
        try:
            if await reader.readexactly(len(SSL_REQUEST)) == SSL_REQUEST:
                writer.write(b"S")
                await writer.start_tls(context)
                answers, server_writer = await asyncio.open_unix_connection(socket_path)
                opened.append(server_writer)
                await asyncio.gather(passed_on(reader, server_writer), passed_on(answers, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has gone, or does not trust the certificate
        finally:
            for each in opened:
                each.close()
            for each in opened:
                with suppress(OSError):
                    await each.wait_closed()

    async def started() -> asyncio.Server:
        return await asyncio.start_server(serve, "127.0.0.1", 0)

    async def stopped(server: asyncio.Server) -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(started(), loop).result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(stopped(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes until it ends."""
    while some := await reader.read(1 << 16):
        writer.write(some)
        await writer.drain()
    writer.close()


def test_a_worker_carries_over_tls_whose_certificate_it_verifies(
    gateway: Gateway, harness: Harness, tls: TlsServer
):
    url = tls.url(sslmode="verify-full")
    assert harness.run("journal", "create", url).code == 0
    content = manifest(gateway, [transfer(f"i-{n}") for n in range(3)])
    own = {key: content[key] for key in ("environments", "gateways")}
    config = harness.folder / "worker.yaml"
    config.write_text(yaml.safe_dump({"worker": "w1", "journal": url, **own}))
    with harness.started("worker", "--config", config) as worker:
        done = harness.run("submit", harness.write(content), "--wait", "--journal", url)
        assert done.code == 0, done.err
        worker.terminate()
        assert worker.wait() == 0
    assert len(gateway.effects) == 3

    named = tls.url(host="127.0.0.1", sslmode="verify-full")  # which the certificate does not have
    for command in (("status",), ("apply", "batch.yaml")):
        other = harness.run(*command, "--journal", named)
        assert other.code == 74, other
        assert "certificate" in other.err
    plain = harness.run("status", "--journal", tls.url(sslmode="disable"))
    assert plain.code == 74, plain
    assert len(gateway.effects) == 3
