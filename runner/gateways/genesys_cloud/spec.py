"""The driver `genesys-cloud` for the registry; adapters are imported when they are made."""

# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from runner.core.manifest.model import NoEffect, SimulatedPlatform
from runner.drivers import Codec, Connection, DriverSpec, Examined, PlannedUse, Prober
from runner.gateways.genesys_cloud.regions import REGIONS
from runner.ports import Directory, Gateway

REQUEST_TIMEOUT_S = 60.0
"""The platform's own time limit for a request (genesys-cloud.md, "Order of work", 6)."""


def _gateway(connection: Connection) -> Gateway:
    from runner.gateways.genesys_cloud.driver import GenesysCloud

    return GenesysCloud(
        connection.environment,
        connection.policy,
        connection.clock,
        connection.jitter,
        destinations=connection.destinations,
    )


def _codec() -> Codec:
    from runner.gateways.genesys_cloud.protocol.command import build_command, find_command_fault

    return Codec(build_command, find_command_fault)


@asynccontextmanager
async def _directory(connection: Connection) -> AsyncIterator[Directory]:
    from runner.gateways.genesys_cloud.directory import GenesysDirectory
    from runner.gateways.genesys_cloud.rest import GenesysRest

    rest = GenesysRest.connected(connection)
    try:
        yield GenesysDirectory(rest)
    finally:
        await rest.close()


async def _examine(connection: Connection, use: PlannedUse) -> Examined:
    from runner.gateways.connection_check import ConnectionCheck
    from runner.gateways.genesys_cloud.permissions import SUBJECT_PATH, permissions_check

    return await ConnectionCheck(connection, SUBJECT_PATH, permissions_check(use)).run()


def _prober() -> Prober[Any]:
    from runner.gateways.genesys_cloud.prober import GenesysProber

    return GenesysProber()


SPEC = DriverSpec(
    name="genesys-cloud",
    endpoints=("token_url", "api_url"),
    regions=REGIONS,
    example_region="eu-central-1",
    http_rate="300/min",
    no_effect={
        "scopes": NoEffect(
            "an OAuth client's roles grant its rights",
            "delete `scopes`; give the OAuth client the roles that docs/genesys-cloud.md lists",
        ),
        "endpoints.websocket_url": NoEffect("the platform supplies it", "delete `websocket_url`"),
    },
    promises=frozenset({"expires"}),
    no_dedupes=NoEffect(
        "each one transfers again",
        "delete it, or write `{expires: 90s}` if no request takes effect later in your organisation",
    ),
    longest_request_s=REQUEST_TIMEOUT_S,
    requests_per_delivery=1,
    needs_lookup=True,
    waits_for_outcome=True,
    can_select=True,
    can_observe_capacity=True,
    plan_note=(
        "genesys-cloud takes no codec with a transfer: media is checked against the gateway's"
        " constraints and recorded, and the platform chooses"
    ),
    gateway=_gateway,
    codec=_codec,
    directory=_directory,
    examine=_examine,
    prober=_prober,
    simulated=SimulatedPlatform(
        name="genesys-cloud",
        faults=frozenset(
            {
                *("rate_limited", "rejected", "slow", "muted", "cut", "token_expiry", "cut_before"),
                *("server_error", "server_error_after", "transfer_failed"),
                *("event_lost", "event_late", "event_doubled"),
                *("channel_evicted", "socket_closing", "pages_shift", "truncated"),
                *("hidden", "long", "answered", "moved", "consulting"),
                *("hung_up", "outrun", "answer_late"),
            }
        ),
        options=frozenset(
            {
                *("waiting", "served", "queues", "users", "former_users", "http_rate", "presence"),
                *("skills", "languages"),
            }
        ),
    ),
)
