"""Faults and promises as a client on the wire meets them."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError

from runner.core.manifest.model import SimulatorOptions
from runner.simulator.behaviour import GatewayBehaviour
from tests.simulator.clients import (
    INTERACTION,
    PLAIN,
    Start,
    dial,
    fetch_token,
    look_up,
    receive,
)


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
    async with asyncio.timeout(60):
        while "last_transfer_id" not in (await look_up(server, http, token)).json():
            pass

    assert not before
    assert server.ledger.moves() == {INTERACTION: 1}


async def test_a_stalled_gateway_acts_later(
    start: Start, http: httpx.AsyncClient, frame: Any
) -> None:
    server = await start(behaviour=GatewayBehaviour(expires_s=3600 * 24 * 365 * 50))
    server.stall(0.5)
    async with dial(server, await fetch_token(server, http)) as session:
        await session.send(frame())
        await (await session.ping())
        during = server.ledger.moves()
        answer = await receive(session)

    assert not during
    assert answer["status"] == "codec_negotiated"


async def test_dedupes_across_sessions(start: Start, http: httpx.AsyncClient, frame: Any) -> None:
    server = await start(behaviour=GatewayBehaviour(dedupes=True))
    token = await fetch_token(server, http)
    answers = []
    for _ in range(2):
        async with dial(server, token) as session:
            await session.send(frame())
            answers.append(await receive(session))

    assert answers[0] == answers[1]
    assert server.ledger.moves() == {INTERACTION: 1}
