"""What a manifest needs from its gateway, and the vendor's permissions for it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from runner.app.doctor import planned_use
from runner.core.gates import QueueGate, parse_bound
from runner.core.manifest.destinations import DestinationLimits, DestinationTable
from runner.core.manifest.model import (
    Environment,
    GatewayConstraints,
    Manifest,
    Policy,
    QueueSelection,
)
from runner.core.transfer.rows import TransferRow
from runner.gateways.genesys_cloud.permissions import permissions_check
from runner.gateways.genesys_cloud.spec import SPEC as GENESYS_CLOUD
from runner.gateways.http.client import Answer
from runner.staging.rows import Staging
from tests.core.manifest.builders import VOICE, selection

MANIFEST = Manifest(
    "m.yaml", "0" * 64, "evacuate",
    Environment("production", GENESYS_CLOUD, "edge"),
    GatewayConstraints("edge", 1024, ("opus",), 30), {}, Policy(),
)  # fmt: skip
ID, OTHER = (f"3f2504e0-4f89-41d3-9a0c-0305e82c330{n}" for n in (1, 2))
BOUNDS = {"waiting": parse_bound("< 3")}
STATES = {"presence": frozenset({"available"})}
HELD = ("conversation:communication:view", "conversation:communication:blindTransfer")


def subject(*permissions: str) -> Answer:
    """Return the platform's answer on a client with these permissions."""
    named = [each.split(":") for each in permissions]
    policies = [{"domain": d, "entityName": e, "actions": [action]} for d, e, action in named]
    body = {"grants": [{"role": {"policies": policies}}]}
    return Answer(200, httpx.Headers(), json.dumps(body).encode())


def lacking(manifest: Manifest, uri: str, *selections: QueueSelection) -> list[str]:
    """Return what `doctor` says that a client lacks who may look up and move anything."""
    with Staging() as staging:
        staging.add(TransferRow("i1", "i1", uri, VOICE, (), "m.yaml:20"))
        for each in selections:
            staging.select(each)
        judge = permissions_check(planned_use(manifest, staging))
    seen = judge(subject(*HELD), "https://api.example.net").seen
    return seen.removeprefix("missing: ").split(", ") if "missing" in seen else []


def limited(pattern: str, **limits: Any) -> Manifest:
    entry = DestinationLimits(pattern=pattern, source="m.yaml:9", **limits)
    return replace(MANIFEST, destinations=DestinationTable((entry,)))


FIGURES = "analytics:queueObservation:view (observing queues (while))"
PRESENCE = "directory:user:view (observing users (while))"
QUEUE_NAMES = "routing:queue:view (finding queues by name)"
USER_NAMES = "directory:user:view (finding users by name)"
QUEUE, USER = f"genesys://queue/{ID}", f"genesys://user/{ID}"


@pytest.mark.parametrize(
    ("manifest", "uri", "expected"),
    [
        (MANIFEST, QUEUE, []),
        (MANIFEST, "sips:desk@example.net", []),
        (MANIFEST, "genesys://queue/Sales", [QUEUE_NAMES]),
        (limited("genesys://queue/Old", in_flight=1), QUEUE, [QUEUE_NAMES]),
        (limited("genesys://queue/Old*", in_flight=1), QUEUE, []),
        (limited("genesys://user/Ada", in_flight=1), QUEUE, [USER_NAMES]),
        (limited(QUEUE, bounds=BOUNDS), QUEUE, [FIGURES]),
        (limited(QUEUE, bounds=BOUNDS), f"genesys://queue/{OTHER}", []),
        (limited(QUEUE, bounds=BOUNDS), "genesys://queue/Sales", [QUEUE_NAMES, FIGURES]),
        (limited("genesys://queue/Old", bounds=BOUNDS), QUEUE, [QUEUE_NAMES, FIGURES]),
        (limited(QUEUE, bounds=BOUNDS), "genesys://user/Ada", [USER_NAMES]),
        (limited(USER, states=STATES), "genesys://user/Ada", [USER_NAMES, PRESENCE]),
        (limited(USER, states=STATES), "genesys://queue/Sales", [QUEUE_NAMES]),
    ],
)
def test_the_doctor_names_what_destinations_and_their_limits_need(
    manifest: Manifest, uri: str, expected: list[str]
):
    assert lacking(manifest, uri) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"skill": "Invoices"}, ["routing:skill:view (finding skills by name)"]),
        ({"skill": ID, "language": "German"}, []),
        ({"held_by": "Ada", "queue": None}, [USER_NAMES]),
        ({"queue": "Old"}, [QUEUE_NAMES]),
        (
            {"priority": parse_bound(">= 5")},
            ["analytics:queueObservation:view (selecting by priority)"],
        ),
    ],
)
def test_the_doctor_names_what_a_selection_needs(fields: dict[str, Any], expected: list[str]):
    found = lacking(MANIFEST, QUEUE, selection(destination_uri=QUEUE, **{"queue": ID, **fields}))
    selecting = [each for each in found if each.endswith("(selecting what waits in a queue)")]
    assert len(selecting) == 1
    assert [each for each in found if each not in selecting] == expected


@pytest.mark.parametrize(("queue", "names"), [(ID, []), ("Old", [QUEUE_NAMES])])
def test_the_doctor_names_what_a_gate_of_a_queue_needs(queue: str, names: list[str]):
    gate = QueueGate(name="calm", queue=queue, bounds=BOUNDS, source="m.yaml:30")
    assert lacking(replace(MANIFEST, gates={"calm": gate}), QUEUE) == [
        *names,
        "analytics:queueObservation:view (figures for gates)",
        "routing:queue:view (estimated waits for gates)",
    ]
