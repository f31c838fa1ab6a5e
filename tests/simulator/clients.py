"""Independent clients for the gateway on its socket."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from runner.core.manifest.model import Secret, SimulatorOptions
from runner.simulator.interaction_transfer.server import SimulatorServer
from runner.simulator.loopback_server import ServerOptions

INTERACTION = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
MESSAGE = "0e0f3a52-5b0c-4f5e-9d3a-2f6f1c1f7a10"
KNOWN = ServerOptions(client_id=Secret("ada"), client_secret=Secret("lovelace"))
FORM = {
    "grant_type": "client_credentials",
    "scope": "interaction:transfer websocket:use interaction:view",
}
PLAIN = SimulatorOptions(latency_s=0.0)

Start = Callable[..., Awaitable[SimulatorServer]]


async def fetch_token(server: SimulatorServer, http: httpx.AsyncClient, **form: str) -> str:
    answer = await http.post(server.endpoints.token_url, data=FORM | form, auth=("ada", "lovelace"))
    return str(answer.json()["access_token"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def dial(server: SimulatorServer, token: str, **more: Any) -> connect:
    assert server.endpoints.websocket_url is not None
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
    async with asyncio.timeout(60):
        return dict(json.loads(await session.recv()))
