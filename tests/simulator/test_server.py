"""The gateway on a real socket, spoken to with independent clients and literal frames."""

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from runner.core.errors import StorageError, UsageError
from runner.core.manifest import Endpoints, GatewayConstraints, Secret, SimulatorOptions
from runner.simulator.ledger import Ledger
from runner.simulator.model import Conduct
from runner.simulator.server import Hosting, SimulatorServer, serve

INTERACTION = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
MESSAGE = "0e0f3a52-5b0c-4f5e-9d3a-2f6f1c1f7a10"
KNOWN = Hosting(client_id=Secret("ada"), client_secret=Secret("lovelace"))
FORM = {
    "grant_type": "client_credentials",
    "scope": "interaction:transfer websocket:use interaction:view",
}
PLAIN = SimulatorOptions(latency_s=0.0)

Start = Callable[..., Awaitable[SimulatorServer]]


@pytest.fixture
async def start(constraints: GatewayConstraints) -> AsyncIterator[Start]:
    """Start gateways that are stopped after the test."""
    async with AsyncExitStack() as stack:

        async def begin(options: SimulatorOptions = PLAIN, **more: Any) -> SimulatorServer:
            server = SimulatorServer(constraints, options, **{"hosting": KNOWN} | more)
            await server.start()
            stack.push_async_callback(server.stop)
            return server

        yield begin


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


async def fetch_token(server: SimulatorServer, http: httpx.AsyncClient, **form: str) -> str:
    answer = await http.post(server.endpoints.token_url, data=FORM | form, auth=("ada", "lovelace"))
    return str(answer.json()["access_token"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def dial(server: SimulatorServer, token: str, **more: Any) -> connect:
    return connect(
        server.endpoints.websocket_url,
        additional_headers=bearer(token) | {"Accept": "application/json"},
        compression=None,
        proxy=None,
        **more,
    )


async def look_up(server: SimulatorServer, http: httpx.AsyncClient, token: str) -> httpx.Response:
    url = f"{server.endpoints.api_url}/api/v2/interactions/{INTERACTION}"
    return await http.get(url, headers=bearer(token))


async def receive(session: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(5):
        return dict(json.loads(await session.recv()))


# Tokens and look-ups


async def test_the_token_request_of_the_protocol_is_answered(
    start: Start, http: httpx.AsyncClient
) -> None:
    server = await start()
    answer = await http.post(
        server.endpoints.token_url,
        headers={
            "Authorization": "Basic YWRhOmxvdmVsYWNl",
            "Content-Type": "application/x-www-form-urlencoded",
        },
        content="grant_type=client_credentials&scope=interaction:transfer%20websocket:use",
    )

    assert answer.status_code == 200
    assert answer.json() | {"access_token": "…"} == {
        "access_token": "…",
        "token_type": "bearer",
        "expires_in": 3600,
        "scope": "interaction:transfer websocket:use",
    }


async def test_a_wrong_secret_is_an_invalid_client(start: Start, http: httpx.AsyncClient) -> None:
    server = await start()
    answer = await http.post(server.endpoints.token_url, data=FORM, auth=("ada", "wrong"))

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_a_token_request_in_json_is_invalid(start: Start, http: httpx.AsyncClient) -> None:
    server = await start()
    answer = await http.post(server.endpoints.token_url, json=FORM, auth=("ada", "lovelace"))

    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})


async def test_a_look_up_shows_the_interaction_and_the_gateways_time(
    start: Start, http: httpx.AsyncClient
) -> None:
    server = await start()
    answer = await look_up(server, http, await fetch_token(server, http))

    assert answer.status_code == 200
    assert answer.json() == {
        "id": INTERACTION,
        "state": "queued",
        "destination_uri": "genesys://queue/origin",
    }
    assert parsedate_to_datetime(answer.headers["Date"]).tzinfo is not None


@pytest.mark.parametrize(
    ("path", "shown"), [("i%2F1", "i/1"), ("a%20b", "a b"), ("%C3%A4", "ä"), ("..%2Fx", "../x")]
)
async def test_ids_may_need_escaping(
    start: Start, http: httpx.AsyncClient, path: str, shown: str
) -> None:
    server = await start()
    token = await fetch_token(server, http)
    url = f"{server.endpoints.api_url}/api/v2/interactions/{path}"

    assert (await http.get(url, headers=bearer(token))).json()["id"] == shown


async def test_a_missing_interaction_is_404(start: Start, http: httpx.AsyncClient) -> None:
    server = await start()
    token = await fetch_token(server, http)
    url = f"{server.endpoints.api_url}/api/v2/interactions/missing-1"

    assert (await http.get(url, headers=bearer(token))).status_code == 404


async def test_look_ups_need_a_token_and_its_scope(start: Start, http: httpx.AsyncClient) -> None:
    server = await start()
    blind = await fetch_token(server, http, scope="websocket:use")

    assert (await look_up(server, http, "unheard-of")).status_code == 401
    assert (await look_up(server, http, blind)).status_code == 403


# Sessions


async def test_a_transfer_end_to_end(start: Start, http: httpx.AsyncClient, frame: Any) -> None:
    server = await start()
    token = await fetch_token(server, http)
    async with dial(server, token) as session:
        await session.send(frame())
        answer = await receive(session)

    assert answer == {
        "id": MESSAGE,
        "status": "codec_negotiated",
        "media_matrix": json.loads(frame())["media_matrix"],
    }
    assert server.ledger.moves() == {INTERACTION: 1}
    assert server.ledger.received[0].message_id == MESSAGE
    seen = (await look_up(server, http, token)).json()
    assert seen["destination_uri"] == "genesys://queue/billing-new"
    assert seen["last_transfer_id"] == MESSAGE


async def test_answers_wait_for_the_latency(
    start: Start, http: httpx.AsyncClient, frame: Any
) -> None:
    server = await start(SimulatorOptions(latency_s=0.05))
    loop = asyncio.get_running_loop()
    async with dial(server, await fetch_token(server, http)) as session:
        before_s = loop.time()
        await session.send(frame())
        await receive(session)

    assert loop.time() - before_s >= 0.045


async def test_many_transfers_share_a_session(
    start: Start, http: httpx.AsyncClient, frame: Any
) -> None:
    server = await start(SimulatorOptions(latency_s=0.01))
    async with dial(server, await fetch_token(server, http)) as session:
        for n in range(500):
            await session.send(frame(id=f"m{n}", interaction_id=f"i{n}"))
        answered = {(await receive(session))["id"] for _ in range(500)}

    assert answered == {f"m{n}" for n in range(500)}
    assert server.ledger.moves() == {f"i{n}": 1 for n in range(500)}


async def test_the_handshake_needs_a_token_and_its_scope(
    start: Start, http: httpx.AsyncClient
) -> None:
    server = await start()
    blind = await fetch_token(server, http, scope="interaction:view")

    for token, status in (("unheard-of", 401), (blind, 403)):
        with pytest.raises(InvalidStatus) as refused:
            await dial(server, token)
        assert refused.value.response.status_code == status


async def test_pings_are_answered(start: Start, http: httpx.AsyncClient) -> None:
    server = await start()
    async with dial(server, await fetch_token(server, http)) as session, asyncio.timeout(3):
        await (await session.ping())


async def test_a_malformed_frame_is_answered_and_the_session_lives(
    start: Start, http: httpx.AsyncClient, frame: Any
) -> None:
    server = await start()
    async with dial(server, await fetch_token(server, http)) as session:
        await session.send("{")
        first = await receive(session)
        await session.send(frame(timestamp="now"))
        second = await receive(session)
        await session.send(frame())
        third = await receive(session)

    assert first == {"status": "format_invalid", "reason": "the frame is not JSON"}
    assert (second["id"], second["status"]) == (MESSAGE, "format_invalid")
    assert third["status"] == "codec_negotiated"


@pytest.mark.parametrize(("message", "code"), [(b"binary", 1003), ("x" * (1 << 21), 1009)])
async def test_frames_that_are_no_messages_close_the_session(
    start: Start, http: httpx.AsyncClient, message: str | bytes, code: int
) -> None:
    server = await start()
    async with dial(server, await fetch_token(server, http)) as session:
        await session.send(message)
        with pytest.raises(ConnectionClosedError) as closed:
            await receive(session)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code


async def test_a_refused_codec_leaves_room_for_the_fallback(
    start: Start, http: httpx.AsyncClient, frame: Any
) -> None:
    server = await start(replace(PLAIN, faults={"codec_unsupported": 1.0}))
    pcmu = {"audio": {"codec": "pcmu", "bandwidth_kbps": 64, "bit_depth": 8}}
    async with dial(server, await fetch_token(server, http)) as session:
        await session.send(frame())
        first = await receive(session)
        await session.send(frame(id="fallback", media_matrix=pcmu))
        second = await receive(session)

    assert first["status"] == "codec_unsupported"
    assert second == {"id": "fallback", "status": "codec_negotiated", "media_matrix": pcmu}


# Faults on the wire


@pytest.mark.parametrize("latency_s", [0.0, 0.01])
@pytest.mark.parametrize(("fault", "moves"), [("cut", 1), ("cut_before", 0)])
async def test_a_cut_ends_the_session_without_a_close_frame(  # noqa: PLR0917  # fixtures, by name
    start: Start, http: httpx.AsyncClient, frame: Any, fault: str, moves: int, latency_s: float
) -> None:
    server = await start(SimulatorOptions(latency_s=latency_s, faults={fault: 1.0}))
    async with dial(server, await fetch_token(server, http)) as session:
        await session.send(frame())
        with pytest.raises(ConnectionClosedError) as closed:
            await receive(session)

    assert closed.value.rcvd is None
    assert server.ledger.moves().total() == moves


async def test_token_expiry_closes_4401_and_refuses_rest_until_renewed(
    start: Start, http: httpx.AsyncClient, frame: Any
) -> None:
    server = await start(replace(PLAIN, faults={"token_expiry": 1.0}))
    token = await fetch_token(server, http)
    async with dial(server, token) as session:
        await session.send(frame())
        with pytest.raises(ConnectionClosedError) as closed:
            await receive(session)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401
    assert (await look_up(server, http, token)).status_code == 401
    renewed = await fetch_token(server, http)
    assert (await look_up(server, http, renewed)).status_code == 200
    assert not server.ledger.moves()


async def test_an_effect_outlives_the_session_that_asked_for_it(
    start: Start, http: httpx.AsyncClient, frame: Any
) -> None:
    """The danger that makes doubt: the frame is on its way when its sender dies."""
    server = await start(SimulatorOptions(latency_s=0.05))
    token = await fetch_token(server, http)
    async with dial(server, token) as session:
        await session.send(frame())
        await (await session.ping())
        session.transport.abort()
    before = server.ledger.moves()
    async with asyncio.timeout(5):
        while "last_transfer_id" not in (await look_up(server, http, token)).json():
            pass

    assert not before
    assert server.ledger.moves() == {INTERACTION: 1}


async def test_a_stalled_gateway_acts_later(
    start: Start, http: httpx.AsyncClient, frame: Any
) -> None:
    server = await start(conduct=Conduct(expires_s=3600 * 24 * 365 * 50))
    server.stall(0.05)
    async with dial(server, await fetch_token(server, http)) as session:
        await session.send(frame())
        await (await session.ping())
        during = server.ledger.moves()
        answer = await receive(session)

    assert not during
    assert answer["status"] == "codec_negotiated"


async def test_dedupes_across_sessions(start: Start, http: httpx.AsyncClient, frame: Any) -> None:
    server = await start(conduct=Conduct(dedupes=True))
    token = await fetch_token(server, http)
    answers = []
    for _ in range(2):
        async with dial(server, token) as session:
            await session.send(frame())
            answers.append(await receive(session))

    assert answers[0] == answers[1]
    assert server.ledger.moves() == {INTERACTION: 1}


# Start, stop, ledger


async def test_stopping_says_goodbye_and_frees_the_port(
    start: Start, http: httpx.AsyncClient
) -> None:
    server = await start()
    async with dial(server, await fetch_token(server, http)) as session:
        await server.stop()
        with pytest.raises(Exception, match="1001") as closed:
            await receive(session)

    assert closed.value.rcvd.reason == "the gateway stops"
    with pytest.raises(httpx.ConnectError):
        await http.get(server.endpoints.api_url)


async def test_nothing_happens_after_the_stop(
    start: Start, http: httpx.AsyncClient, frame: Any
) -> None:
    server = await start(SimulatorOptions(latency_s=0.01))
    async with dial(server, await fetch_token(server, http)) as session:
        await session.send(frame())
        await (await session.ping())
        await server.stop()
    late = asyncio.Event()
    asyncio.get_running_loop().call_later(0.03, late.set)
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

    with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}"):
        await SimulatorServer(constraints).start(port=port or 0)


async def test_a_port_that_cannot_be_is_a_usage_error(constraints: GatewayConstraints) -> None:
    with pytest.raises(UsageError, match=r"cannot listen on 127\.0\.0\.1:70000"):
        await SimulatorServer(constraints).start(port=70_000)


async def test_an_unusable_certificate_is_named(
    constraints: GatewayConstraints, tmp_path: Path
) -> None:
    hosting = Hosting(certificate=tmp_path / "nowhere.pem")

    with pytest.raises(UsageError, match=r"certificate .*nowhere\.pem.*No such file"):
        await SimulatorServer(constraints, hosting=hosting).start()


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
    async with asyncio.timeout(5):
        await server.stop()
    await session.close()

    assert server.ledger.received_count > 0


async def test_a_second_run_sees_what_the_ledger_tells(
    start: Start, http: httpx.AsyncClient, frame: Any, tmp_path: Path
) -> None:
    hosting = replace(KNOWN, ledger=tmp_path / "ledger.jsonl")
    first = await start(hosting=hosting)
    async with dial(first, await fetch_token(first, http)) as session:
        await session.send(frame())
        await receive(session)
    await first.stop()

    second = await start(hosting=hosting)
    seen = (await look_up(second, http, await fetch_token(second, http))).json()

    assert seen["destination_uri"] == "genesys://queue/billing-new"
    assert seen["last_transfer_id"] == MESSAGE
    assert second.ledger.moves() == {INTERACTION: 1}


async def test_the_effect_is_in_the_file_before_the_answer_arrives(
    start: Start, http: httpx.AsyncClient, frame: Any, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    server = await start(hosting=replace(KNOWN, ledger=path))
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

    with pytest.raises(StorageError, match=":1: no entry"):
        await SimulatorServer(constraints, hosting=Hosting(ledger=path)).start()
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
    assert endpoints.websocket_url.startswith("ws://127.0.0.1:")
    assert endpoints.websocket_url.endswith("/api/v2/websocket")
    assert (client_id, client_secret) == (server.client_id, server.client_secret)


async def test_tls(start: Start, certificate: tuple[Path, Path]) -> None:
    server = await start(hosting=replace(KNOWN, certificate=certificate[0], key=certificate[1]))
    context = ssl.create_default_context(cafile=certificate[0])
    async with httpx.AsyncClient(trust_env=False, verify=context) as http:
        token = await fetch_token(server, http)
    async with dial(server, token, ssl=context) as session:
        version = session.transport.get_extra_info("ssl_object").version()

    assert server.endpoints.token_url.startswith("https://")
    assert server.endpoints.websocket_url.startswith("wss://")
    assert version == "TLSv1.3"
