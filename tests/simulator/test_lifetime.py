"""How a gateway starts, stops, fails, and goes on from its ledger."""

import asyncio
import json
import os
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from runner.core.errors import StorageError, UsageError
from runner.core.manifest.model import Endpoints, GatewayConstraints, Secret, SimulatorOptions
from runner.simulator.interaction_transfer.server import SimulatorServer
from runner.simulator.ledger import Ledger
from runner.simulator.loopback_server import ServerOptions, serve
from tests.simulator.clients import (
    INTERACTION,
    KNOWN,
    MESSAGE,
    Start,
    dial,
    fetch_token,
    look_up,
    receive,
)


async def test_stopping_says_goodbye_and_frees_the_port(
    start: Start, http: httpx.AsyncClient
) -> None:
    server = await start()
    async with dial(server, await fetch_token(server, http)) as session:
        await server.stop()
        with pytest.raises(Exception, match="1001") as closed:
            await receive(session)

    assert isinstance(closed.value, ConnectionClosed)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.reason == "the gateway stops"
    with pytest.raises(httpx.ConnectError):
        await http.get(server.endpoints.api_url)


async def test_nothing_happens_after_the_stop(
    start: Start, http: httpx.AsyncClient, frame: Any
) -> None:
    server = await start(SimulatorOptions(latency_s=0.4))
    async with dial(server, await fetch_token(server, http)) as session:
        await session.send(frame())
        await (await session.ping())
        await server.stop()
    late = asyncio.Event()
    asyncio.get_running_loop().call_later(0.5, late.set)
    await late.wait()

    assert not server.ledger.moves()


async def test_each_start_makes_credentials_of_its_own(constraints: GatewayConstraints) -> None:
    first, second = SimulatorServer(constraints), SimulatorServer(constraints)

    assert first.client_id != second.client_id
    assert first.client_secret != second.client_secret


async def test_there_is_no_address_before_the_start(constraints: GatewayConstraints) -> None:
    with pytest.raises(UsageError, match="start it first"):
        _ = SimulatorServer(constraints).endpoints


async def test_a_taken_port_is_a_usage_error(start: Start, constraints: GatewayConstraints) -> None:
    port = httpx.URL((await start()).endpoints.api_url).port

    with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}: .*choose another"):
        await SimulatorServer(constraints).start(port=port or 0)


async def test_a_port_that_cannot_be_is_a_usage_error(constraints: GatewayConstraints) -> None:
    with pytest.raises(UsageError, match=r"cannot listen on 127\.0\.0\.1:70000"):
        await SimulatorServer(constraints).start(port=70_000)


async def test_an_unusable_certificate_is_named(
    constraints: GatewayConstraints, tmp_path: Path
) -> None:
    server_options = ServerOptions(certificate=tmp_path / "nowhere.pem")

    with pytest.raises(UsageError, match=r"certificate .*nowhere\.pem.*No such file"):
        await SimulatorServer(constraints, server_options=server_options).start()


async def test_stopping_does_not_wait_for_a_client_that_never_reads(
    start: Start, http: httpx.AsyncClient, frame: Any
) -> None:
    server = await start()
    session = await dial(server, await fetch_token(server, http), max_queue=1, close_timeout=0.1)
    text = frame(id="x" * 2000)

    async def flood() -> None:
        while True:
            await session.send(text)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.8):
            await flood()
    async with asyncio.timeout(60):
        await server.stop()
    await session.close()

    assert server.ledger.received_count > 0


async def test_a_second_run_sees_what_the_ledger_tells(
    start: Start, http: httpx.AsyncClient, frame: Any, tmp_path: Path
) -> None:
    server_options = replace(KNOWN, ledger=tmp_path / "ledger.jsonl")
    first = await start(server_options=server_options)
    async with dial(first, await fetch_token(first, http)) as session:
        await session.send(frame())
        await receive(session)
    await first.stop()

    second = await start(server_options=server_options)
    seen = (await look_up(second, http, await fetch_token(second, http))).json()

    assert seen["destination_uri"] == "genesys://queue/billing-new"
    assert seen["last_transfer_id"] == MESSAGE
    assert second.ledger.moves() == {INTERACTION: 1}


async def test_the_effect_is_in_the_file_before_the_answer_arrives(
    start: Start, http: httpx.AsyncClient, frame: Any, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    server = await start(server_options=replace(KNOWN, ledger=path))
    async with dial(server, await fetch_token(server, http)) as session:
        await session.send(frame())
        await receive(session)
        lines = [json.loads(line) for line in path.read_text().splitlines()]

    assert [(line["message_id"], line.get("effect")) for line in lines] == [
        (MESSAGE, None),
        (MESSAGE, "carried_out"),
    ]


async def test_a_broken_ledger_stops_the_start(
    constraints: GatewayConstraints, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text("nonsense\n")

    with pytest.raises(StorageError, match=":1: not an entry"):
        await SimulatorServer(constraints, server_options=ServerOptions(ledger=path)).start()
    path.write_text("")
    assert list(Ledger(path).open()) == []


@pytest.fixture
def full_disk() -> Iterator[int]:
    """Open a file on which every write fails for want of space."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with full.open("wb", buffering=0) as file:
        yield file.fileno()


async def test_a_ledger_that_fails_ends_the_gateway_without_an_answer(
    start: Start, http: httpx.AsyncClient, frame: Any, full_disk: int
) -> None:
    server = await start()
    async with dial(server, await fetch_token(server, http)) as session:
        server.ledger._file = os.dup(full_disk)
        await session.send(frame())
        with pytest.raises(ConnectionClosedError):
            await receive(session)

    with pytest.raises(StorageError, match="No space left"):
        await server.failed()


async def test_serve_tells_where_it_is_and_ends_when_cancelled(
    constraints: GatewayConstraints,
) -> None:
    told: asyncio.Future[tuple[Endpoints, Secret, Secret]] = asyncio.Future()
    server = SimulatorServer(constraints)
    serving = asyncio.create_task(serve(server, on_ready=lambda *where: told.set_result(where)))
    endpoints, client_id, client_secret = await told
    serving.cancel()

    with pytest.raises(asyncio.CancelledError):
        await serving
    assert (endpoints.websocket_url or "").startswith("ws://127.0.0.1:")
    assert (endpoints.websocket_url or "").endswith("/api/v2/websocket")
    assert (client_id, client_secret) == (server.client_id, server.client_secret)


async def test_tls(start: Start, certificate: tuple[Path, Path]) -> None:
    server = await start(
        server_options=replace(KNOWN, certificate=certificate[0], key=certificate[1])
    )
    context = ssl.create_default_context(cafile=certificate[0])
    async with httpx.AsyncClient(trust_env=False, verify=context) as http:
        token = await fetch_token(server, http)
    async with dial(server, token, ssl=context) as session:
        version = session.transport.get_extra_info("ssl_object").version()

    assert server.endpoints.token_url.startswith("https://")
    assert (server.endpoints.websocket_url or "").startswith("wss://")
    assert version == "TLSv1.3"
