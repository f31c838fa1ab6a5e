"""The platform's server, called by independent clients."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from runner.core.errors import StorageError, UsageError
from runner.core.manifest.model import GatewayConstraints, Secret, SimulatorOptions
from runner.simulator.behaviour import GatewayBehaviour
from runner.simulator.genesys_cloud.conversation_store import waiting_id
from runner.simulator.genesys_cloud.entities import make_id
from runner.simulator.genesys_cloud.server import GenesysServer
from runner.simulator.ledger import read_ledger
from runner.simulator.loopback_server import ServerOptions
from tests.fakes.turns import until

CONVERSATION = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
QUEUE = "9b2e7a54-3c0d-4a2e-8f4b-7d1c0e5a9b01"
ORIGIN = make_id("queue", "origin")
CONSTRAINTS = GatewayConstraints("any", 1024, ("opus",), 30)
GRANT = {"grant_type": "client_credentials"}


@dataclass
class Client:
    """Speaks to one server with one token."""

    server: GenesysServer
    http: httpx.AsyncClient

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return await self.http.request(method, f"{self.server.endpoints.api_url}{path}", **more)

    async def log_in(self) -> None:
        answer = await self.http.post(
            self.server.endpoints.token_url, data=GRANT, auth=("ada", "lovelace")
        )
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    async def holder(self, conversation_id: str = CONVERSATION) -> str:
        answer = await self.ask("GET", f"/api/v2/conversations/{conversation_id}")
        return next(
            str(one["id"])
            for one in answer.json()["participants"]
            if one["purpose"] != "customer" and "endTime" not in one
        )

    async def replace(self, participant_id: str | None = None, **more: Any) -> httpx.Response:
        participant_id = participant_id or await self.holder()
        path = f"/api/v2/conversations/{CONVERSATION}/participants/{participant_id}/replace/queue"
        return await self.ask("POST", path, json={"queueId": QUEUE}, **more)

    async def channel(self, *topics: str) -> dict[str, str]:
        created: dict[str, str] = (await self.ask("POST", "/api/v2/notifications/channels")).json()
        path = f"/api/v2/notifications/channels/{created['id']}/subscriptions"
        await self.ask("PUT", path, json=[{"id": topic} for topic in topics])
        return created


Open = Callable[..., Awaitable[Client]]


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Start platforms that are stopped after the test, each with a client that has logged in."""
    async with AsyncExitStack() as stack:

        async def begin(
            behaviour: GatewayBehaviour | None = None,
            *,
            server_options: dict[str, Any] | None = None,
            **options: Any,
        ) -> Client:
            settings: dict[str, Any] = {
                "latency_s": 0.0,
                "platform": "genesys-cloud",
                **options,
            }
            server = GenesysServer(
                CONSTRAINTS,
                SimulatorOptions(**settings),
                behaviour=behaviour,
                server_options=ServerOptions(
                    client_id=Secret("ada"),
                    client_secret=Secret("lovelace"),
                    **(server_options or {}),
                ),
            )
            await server.start()
            stack.push_async_callback(server.stop)
            http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
            client = Client(server, http)
            await client.log_in()
            return client

        yield begin


def dial(channel: dict[str, str], **more: Any) -> connect:
    return connect(channel["connectUri"], compression=None, proxy=None, **more)


async def receive(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(60):
        return dict(json.loads(await socket.recv()))


async def closed(socket: ClientConnection) -> int | None:
    """Wait until the socket is closed; return the code."""
    async with asyncio.timeout(60):
        await socket.wait_closed()
    return socket.close_code


async def test_a_move_is_answered_told_and_in_the_ledger(opened: Open):
    client = await opened()
    channel = await client.channel(f"v2.routing.queues.{QUEUE}.conversations")

    async with dial(channel) as socket:
        answered = await client.replace()
        event = await receive(socket)

    assert (answered.status_code, answered.content) == (202, b"")
    assert "Content-Type" not in answered.headers
    assert answered.headers["inin-ratelimit-allowed"] == "300"
    assert event["eventBody"]["recentTransfers"][0]["state"] == "complete"
    (effect,) = client.server.ledger.effects
    assert effect.interaction_id == CONVERSATION
    assert effect.destination_uri == f"genesys://queue/{QUEUE}"
    assert effect.message_id == event["eventBody"]["recentTransfers"][0]["id"]
    assert client.server.ledger.moves() == {CONVERSATION: 1}


async def test_errors_are_json_and_an_unknown_path_is_one(opened: Open):
    client = await opened()

    refused = await client.ask("GET", "/api/v2/interactions/1")

    assert refused.status_code == 404
    assert refused.headers["Content-Type"] == "application/json"
    assert refused.json()["contextId"] == refused.headers["ININ-Correlation-Id"]
    assert client.server.endpoints.websocket_url is None


async def test_a_channel_answers_pings_and_beats(opened: Open):
    client = await opened(server_options={"heartbeat_s": 0.05})
    channel = await client.channel()

    async with dial(channel) as socket:
        await socket.send('{"message": "hello"}')
        await socket.send('{"message": "ping"}')
        messages = [(await receive(socket))["eventBody"]["message"] for _ in range(3)]

    assert sorted(messages) == ["WebSocket Heartbeat", "WebSocket Heartbeat", "pong"]


async def test_a_channel_is_dialled_without_a_token_and_by_its_id(opened: Open):
    client = await opened()
    channel = await client.channel()
    unknown = {"connectUri": channel["connectUri"].replace(channel["id"], QUEUE)}

    for wrong, headers, status in (
        (channel, {"Authorization": "Bearer x"}, 400),
        (unknown, {}, 404),
    ):
        with pytest.raises(InvalidStatus) as refused:
            async with dial(wrong, additional_headers=headers):
                pass
        assert refused.value.response.status_code == status


async def test_a_second_socket_takes_the_place_of_the_first(opened: Open):
    client = await opened()
    channel = await client.channel(f"v2.routing.queues.{QUEUE}.conversations")

    async with dial(channel) as first, dial(channel) as second:
        assert await closed(first) == 1000
        await client.replace()
        event = await receive(second)

    assert event["eventBody"]["id"] == CONVERSATION


async def test_a_closing_socket_leaves_time_to_move_to_another(opened: Open):
    client = await opened(faults={"socket_closing": 1.0}, server_options={"closing_s": 0.1})
    channel = await client.channel(f"v2.routing.queues.{ORIGIN}.conversations")

    async with dial(channel) as first:
        await client.replace()
        topics = [(await receive(first))["topicName"] for _ in range(3)]
        assert await closed(first) == 1001
    async with dial(channel) as second:
        await second.send('{"message": "ping"}')
        assert (await receive(second))["eventBody"] == {"message": "pong"}

    assert topics.count("v2.system.socket_closing") == 1


async def test_a_revoked_token_ends_channel_and_requests(opened: Open):
    client = await opened(faults={"token_expiry": 1.0})
    channel = await client.channel()

    async with dial(channel) as socket:
        answered = await client.replace()
        frame = await receive(socket)
        assert await closed(socket) == 1001

    assert answered.status_code == 401
    assert frame["topicName"] == f"v2.system.token_revoked.{channel['id']}"
    assert (await client.ask("GET", "/api/v2/tokens/me")).status_code == 401
    await client.log_in()
    assert (await client.ask("GET", "/api/v2/tokens/me")).status_code == 200


async def test_a_muted_command_hangs_and_a_cut_one_breaks_off_but_both_move(opened: Open):
    muted, cut = await opened(faults={"muted": 1.0}), await opened(faults={"cut": 1.0})

    hanging = asyncio.create_task(muted.replace())
    await until(lambda: muted.server.ledger.moves() == {CONVERSATION: 1})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(hanging, 0.2)
    with pytest.raises(httpx.RemoteProtocolError):
        await cut.replace()

    assert muted.server.ledger.moves() == cut.server.ledger.moves() == {CONVERSATION: 1}


async def test_stopping_closes_sockets_and_ends_what_hangs(opened: Open):
    client = await opened(faults={"muted": 1.0})
    channel = await client.channel(f"v2.routing.queues.{QUEUE}.conversations")

    async with dial(channel) as socket:
        hanging = asyncio.create_task(client.replace())
        await receive(socket)  # it is carried out
        async with asyncio.timeout(60):
            await client.server.stop()
        assert await closed(socket) == 1001
        with pytest.raises(httpx.HTTPError):
            await hanging


async def test_the_rate_is_kept_over_the_wire(opened: Open):
    client = await opened(GatewayBehaviour(rate_per_s=0.05))

    answers = [await client.ask("GET", "/api/v2/tokens/me") for _ in range(4)]

    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60


async def test_a_stalled_platform_answers_afterwards(opened: Open):
    client = await opened()
    client.server.stall(0.2)

    async with asyncio.timeout(60):
        assert (await client.ask("GET", "/api/v2/tokens/me")).status_code == 200


async def test_a_ledger_file_outlives_the_platform(opened: Open, tmp_path: Path):
    ledger = tmp_path / "ledger.jsonl"
    client = await opened(server_options={"ledger": ledger}, waiting={"billing-old": 2})
    held = await client.holder()
    await client.replace(held)
    await client.server.stop()

    again = await opened(server_options={"ledger": ledger}, waiting={"billing-old": 2})
    seen = (await again.ask("GET", f"/api/v2/conversations/{CONVERSATION}")).json()
    refused = await again.replace(held)

    (effect,) = read_ledger(ledger)
    assert seen["recentTransfers"][0]["id"] == effect.message_id
    assert refused.json()["code"] == "conversations.error.transfer.not.connected"
    assert (await again.holder(waiting_id("billing-old", 1))) is not None


async def test_a_ledger_that_cannot_be_written_ends_the_platform(opened: Open, tmp_path: Path):
    client = await opened(server_options={"ledger": tmp_path / "ledger.jsonl"})
    held = await client.holder()
    assert client.server.ledger._file is not None
    os.close(client.server.ledger._file)
    client.server.ledger._file = os.open("/dev/full", os.O_WRONLY)

    with pytest.raises(httpx.HTTPError):
        await client.replace(held)

    with pytest.raises(StorageError):
        await client.server.failed()
    assert client.server.ledger.moves() == {}


async def test_a_fault_of_the_other_face_is_refused_at_the_start():
    with pytest.raises(UsageError, match="codec_unsupported is not a fault"):
        GenesysServer(CONSTRAINTS, SimulatorOptions(faults={"codec_unsupported": 0.1}))
