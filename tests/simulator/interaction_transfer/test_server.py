"""The gateway on a real socket: tokens, look-ups, sessions; literal frames."""

import asyncio
import json
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from runner.core.manifest.model import SimulatorOptions
from tests.simulator.clients import (
    FORM,
    INTERACTION,
    MESSAGE,
    PLAIN,
    Start,
    bearer,
    dial,
    fetch_token,
    look_up,
    receive,
)


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
    async with dial(server, await fetch_token(server, http)) as session, asyncio.timeout(60):
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
