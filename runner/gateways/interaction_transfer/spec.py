"""The driver `interaction-websocket` for the registry; adapters are imported when they are made."""

# ruff: noqa: PLC0415

from __future__ import annotations

from functools import partial

from runner.core.manifest.model import Endpoints, SimulatedPlatform
from runner.core.transfer.states import classify
from runner.drivers import Codec, Connection, DriverSpec, Examined, PlannedUse
from runner.ports import Gateway


def _gateway(connection: Connection) -> Gateway:
    from runner.gateways.interaction_transfer.driver import InteractionWebSocket

    policy, constraints = connection.policy, connection.constraints
    return InteractionWebSocket(
        connection.environment,
        policy.retry,
        connection.clock,
        connection.jitter,
        policy.circuit_breaker.give_up_s,
        meaning=partial(
            classify,
            carried_out=constraints.carried_out,
            not_carried_out=constraints.not_carried_out,
        ),
    )


def _codec() -> Codec:
    from runner.gateways.interaction_transfer.format_verification import FormatVerifier
    from runner.gateways.interaction_transfer.protocol.request import build_message

    return Codec(build_message, FormatVerifier().find_fault)


async def _examine(connection: Connection, _use: PlannedUse) -> Examined:
    from runner.gateways.connection_check import ConnectionCheck
    from runner.gateways.interaction_transfer.lookups import DOCTOR_PATH, check_lookup

    return await ConnectionCheck(connection, DOCTOR_PATH, check_lookup).run()


SPEC = DriverSpec(
    name="interaction-websocket",
    endpoints=("token_url", "api_url", "websocket_url"),
    regions={
        "us": Endpoints(
            token_url="https://api.us.mypurecloud.com/oauth/token",  # noqa: S106 - an address
            api_url="https://api.us.mypurecloud.com",
            websocket_url="wss://api.us.mypurecloud.com/api/v2/websocket",
        ),
    },
    example_region="us",
    scopes=("interaction:transfer", "websocket:use", "interaction:view"),
    gateway=_gateway,
    codec=_codec,
    examine=_examine,
    simulated=SimulatedPlatform(
        name="interaction-transfer",
        faults=frozenset(
            {
                *("rate_limited", "codec_unsupported", "rejected", "unlisted"),
                *("doubled", "slow", "muted", "cut", "token_expiry", "cut_before"),
            }
        ),
    ),
)
