"""Which gateway a manifest's environment speaks to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from runner.core.manifest import Driver, Manifest
from runner.gateways import InteractionWebSocket
from runner.ports import Clock, Gateway
from runner.simulator.server import SimulatorServer


@asynccontextmanager
async def opened_gateway(
    manifest: Manifest, clock: Clock, jitter: Callable[[], float]
) -> AsyncIterator[Gateway]:
    """Give the gateway of the chosen environment; the embedded one is started and stopped here."""
    if manifest.environment.driver is not Driver.SIMULATOR:
        yield InteractionWebSocket(manifest.environment, manifest.policy.retry, clock, jitter)
        return
    server = SimulatorServer(manifest.gateway, manifest.environment.simulator)
    await server.start()
    try:
        at_home = replace(
            manifest.environment,
            endpoints=server.endpoints,
            client_id=server.client_id,
            client_secret=server.client_secret,
        )
        yield InteractionWebSocket(at_home, manifest.policy.retry, clock, jitter)
    finally:
        await server.stop()
