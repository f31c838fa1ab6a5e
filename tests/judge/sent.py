"""Lets our own driver work against the embedded gateway, and keeps what it sends.

To be run by the Python that `runner` is installed for; prints JSON: the operations that the gateway
offers and those that the driver used, each with method, path, query parameters and body, in which a
text stands for any value.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from runner.core.manifest.model import GatewayConstraints, Secret, SimulatorOptions
from runner.simulator.behaviour import GatewayBehaviour
from runner.simulator.genesys_cloud.actions import Decisions, Request
from runner.simulator.genesys_cloud.entities import make_id
from runner.simulator.genesys_cloud.model import GenesysModel
from runner.simulator.genesys_cloud.routes import ROUTES, find_route
from runner.simulator.genesys_cloud.server import GenesysServer
from runner.simulator.loopback_server import ServerOptions

MANIFEST = """
version: 1
name: judged
environments:
  organisation:
    driver: genesys-cloud
    endpoints: {{token_url: "{token_url}", api_url: "{api_url}"}}
    credentials: {{client_id: {{env: JUDGED_ID}}, client_secret: {{env: JUDGED_SECRET}}}}
    gateway: any
    limits: {{http_rate: 60000/min}}
gateways:
  any: {{max_bandwidth_kbps: 1024, supported_codecs: [opus], max_fps: 30}}
media:
  voice: {{audio: {{codec: opus, bandwidth_kbps: 64, bit_depth: 16}}}}
defaults: {{media: voice}}
transfers:
  - {{select: {{queue: Billing Old}}, destination_uri: genesys://queue/Billing New}}
  - {{select: {{queue: Billing Old, state: connected}}, destination_uri: genesys://queue/Billing New}}
  - {{interaction_id: {to_user}, destination_uri: genesys://user/Ada Lovelace}}
  - {{interaction_id: {to_address}, destination_uri: "tel:+441234567890"}}
"""
COMMANDS = (("doctor",), ("apply",))
OPTIONS = SimulatorOptions(
    latency_s=0.0,
    platform="genesys-cloud",
    waiting={"Billing Old": 90},
    served={"Billing Old": 2},
    faults={"truncated": 1.0},
    queues=("Billing New",),
    users=("Ada Lovelace",),
)


class Listening(GenesysModel):
    """The platform's mind, which remembers what it was asked."""

    __slots__ = ("asked",)

    asked: list[Request]

    def receive(self, request: Request, now: float) -> Decisions:
        """Remember the request and act upon it."""
        self.asked.append(request)
        return super().receive(request, now)


def plain(shape: Any) -> Any:
    """Return `shape` with a text in the place of every value, every type and every choice."""
    if isinstance(shape, dict):
        return {name: plain(inner) for name, inner in shape.items()}
    if isinstance(shape, list):
        return [plain(inner) for inner in shape]
    return None if shape is None else "any"


def offered() -> list[dict[str, Any]]:
    """Return every operation that the embedded gateway offers."""
    return [
        operation(route.method, route.path, sorted(route.query), plain(route.body))
        for route in ROUTES
    ]


def operation(method: str, path: str, query: list[str], body: Any) -> dict[str, Any]:
    """Return one operation as it is compared."""
    return {"method": method, "path": path, "query": query, "body": body}


async def used() -> list[dict[str, Any]]:
    """Return every operation that the driver used, once for each form of its body."""
    server_options = ServerOptions(client_id=Secret("judged"), client_secret=Secret("judged"))
    any_gateway = GatewayConstraints("any", 1024, ("opus",), 30)
    behaviour = GatewayBehaviour(rate_per_s=1000.0)
    server = GenesysServer(any_gateway, OPTIONS, behaviour=behaviour, server_options=server_options)
    model = server.model
    listening = Listening(model.options, model.tokens, model.started_at, behaviour)
    listening.asked = []
    server.model = listening
    await server.start()
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "judged.yaml"
        manifest.write_text(fill(server, listening), encoding="utf-8")
        for command in COMMANDS:
            await run(folder, *command, manifest)
    await server.stop()
    found = {
        json.dumps(described): described
        for request in listening.asked
        if request.path != "/oauth/token" and (described := describe(request))
    }
    return list(found.values())


def fill(server: GenesysServer, model: GenesysModel) -> str:
    """Return the manifest, with two conversations that are no callbacks."""
    ids = (make_id("judged", number) for number in range(100))
    get = model.organisation.conversations.get
    to_user, to_address = [one for one in ids if get(one).media != "callback"][:2]
    return MANIFEST.format(
        token_url=server.endpoints.token_url,
        api_url=server.endpoints.api_url,
        to_user=to_user,
        to_address=to_address,
    )


async def run(folder: str, *arguments: str | Path) -> None:
    """Run a command of the program in `folder`; its exit code must be 0."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runner", *arguments),
        cwd=folder,
        env=os.environ | {"JUDGED_ID": "judged", "JUDGED_SECRET": "judged"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    if process.returncode != 0:
        sys.exit(told.decode())


def describe(request: Request) -> dict[str, Any]:
    """Return the operation that a request is of."""
    route, _ = find_route(request.method, request.path)
    body = json.loads(request.body) if request.body.strip() else None
    return operation(route.method, route.path, sorted(request.query), plain(body))


if __name__ == "__main__":
    print(json.dumps({"offered": offered(), "used": asyncio.run(used())}))  # noqa: T201 - a pipe
