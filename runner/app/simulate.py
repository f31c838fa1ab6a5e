"""`simulate`: serves the embedded gateway to other programs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from runner.app.plan import read_manifest
from runner.app.run_options import RunOptions
from runner.app.signals import Signals
from runner.core.frozen import frozen
from runner.core.manifest.model import (
    Endpoints,
    GatewayConstraints,
    Secret,
    SimulatorOptions,
)
from runner.simulator.behaviour import GatewayBehaviour
from runner.simulator.loopback_server import ServerOptions
from runner.simulator.loopback_server import serve as serve_until_cancelled
from runner.simulator.platforms import server_of
from runner.staging.rows import Staging

ANY_GATEWAY = GatewayConstraints(
    name="simulated",
    max_bandwidth_kbps=10_000,
    supported_codecs=("opus", "g722", "g729", "pcmu", "pcma", "vp8", "vp9", "h264"),
    max_fps=60,
)
"""The gateway's constraints without a manifest."""


@frozen
class ServeOptions:
    """Options of `simulate`; None if not given."""

    host: str
    port: int
    manifest: Path | None
    environment: str | None
    ledger: Path | None
    rate_per_s: float | None
    client_id: str | None
    certificate: Path | None
    key: Path | None
    platform: str | None = None


SECRET_VARIABLE = "RUNNER_SIMULATE_CLIENT_SECRET"  # noqa: S105 - the name of a variable
"""The variable with the client's secret; not an option, because process arguments are public."""


def serve(served: ServeOptions, write: Callable[[str], object]) -> None:
    """Serve until a signal raises `Interrupted`; `write` gets the gateway's addresses and credentials."""
    constraints, options = _behaviour(served)
    options = options or SimulatorOptions()
    if served.platform is not None:
        options = replace(options, platform=served.platform)
    asyncio.run(_serve(served, constraints, options, write))


def _behaviour(served: ServeOptions) -> tuple[GatewayConstraints, SimulatorOptions | None]:
    if served.manifest is None:
        return ANY_GATEWAY, None
    request = RunOptions(served.manifest, environment=served.environment, validate_only=True)
    with Staging() as staging:
        manifest, _ = read_manifest(request, staging)
    return manifest.gateway, manifest.environment.simulator


async def _serve(
    served: ServeOptions,
    constraints: GatewayConstraints,
    options: SimulatorOptions,
    write: Callable[[str], object],
) -> None:
    secret = _secret(os.environ.get(SECRET_VARIABLE))
    server = server_of(options.platform)(
        constraints,
        options,
        behaviour=GatewayBehaviour.keeping(constraints.promise, rate_per_s=served.rate_per_s),
        server_options=ServerOptions(
            client_id=_secret(served.client_id),
            client_secret=secret,
            ledger=served.ledger,
            certificate=served.certificate,
            key=served.key,
        ),
    )

    def ready(endpoints: Endpoints, client_id: Secret, client_secret: Secret) -> None:
        socket = endpoints.websocket_url  # None if clients get it from the gateway
        write(
            f"token_url: {endpoints.token_url}\n"
            f"api_url: {endpoints.api_url}\n"
            f"{f'websocket_url: {socket}{chr(10)}' if socket else ''}"
            f"client_id: {client_id.reveal()}\n"
            # A generated secret is valid for this process only, so it may be shown; a given one may not.
            f"client_secret: {'as given' if secret else client_secret.reveal()}\n"
        )

    with Signals().cancelling():
        await serve_until_cancelled(server, host=served.host, port=served.port, on_ready=ready)


def _secret(text: str | None) -> Secret | None:
    return None if text is None else Secret(text)
