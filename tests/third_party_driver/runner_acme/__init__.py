"""A driver for gateways of the make Acme; they keep their interactions in a file."""

# The registry reads this for facts alone; the adapters are imported when they are made.
# ruff: noqa: PLC0415

from __future__ import annotations

from runner.core.manifest.model import Endpoints
from runner.drivers import Codec, Connection, DriverSpec
from runner.ports import Gateway


def _gateway(connection: Connection) -> Gateway:
    from runner_acme.gateway import AcmeGateway

    return AcmeGateway(connection)


def _codec() -> Codec:
    from runner_acme.gateway import compose, find_fault

    return Codec(compose, find_fault)


SPEC = DriverSpec(
    name="acme",
    endpoints=("api_url",),
    regions={"moon": Endpoints(token_url="", api_url="https://moon.acme.example")},
    example_region="moon",
    needs_credentials=False,
    options_schema={
        "type": "object",
        "additionalProperties": False,
        "required": ["file"],
        "properties": {"file": {"type": "string", "minLength": 1}},
    },
    promises=frozenset(),
    plan_note="acme moves interactions at once",
    gateway=_gateway,
    codec=_codec,
)
