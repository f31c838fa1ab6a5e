"""The schemas themselves: complete, closed, explained, and what the rest of the program builds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from runner.core.manifest.media import Audio, MediaMatrix, Video
from runner.core.manifest.model import (
    Callback,
    Environment,
    Limits,
    Policy,
    RetryPolicy,
    SimulatorOptions,
)
from runner.core.manifest.quantity import parse_duration, parse_share
from runner.core.pacing.circuit_breaker import BreakerPolicy
from runner.core.transfer.doubt_evidence import Expires
from runner.core.transfer.message import Draft
from runner.gateways.interaction_transfer.protocol.request import build_text
from runner.gateways.interaction_transfer.spec import SPEC as INTERACTION_WEBSOCKET
from runner.schemas_lookup import schema
from tests.manifest.rendering import load_rows

OURS = ("interaction-transfer.v1", "manifest.v1")


def parts(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, dict):
        yield path, part
        for key, inner in part.items():
            if key == "properties":  # its keys are names of fields, not keywords
                for name, field in inner.items():
                    yield from parts(field, f"{path}/{name}")
            elif key not in ("examples", "default", "const", "enum"):
                yield from parts(inner, f"{path}/{key}")


@pytest.mark.parametrize("name", OURS)
def test_every_schema_is_found(name: str):
    assert schema(name)["$id"]


@pytest.mark.parametrize("name", OURS)
def test_every_object_is_closed_and_every_property_explained(name: str):
    for path, part in parts(schema(name)):
        if "properties" in part and not path.endswith("/if"):
            assert part["additionalProperties"] is False, path
            for key, field in part["properties"].items():
                assert field.get("description"), f"{path}/{key}"
                assert field.get("examples"), f"{path}/{key}"


@pytest.mark.parametrize("name", OURS)
def test_examples_and_defaults_obey_their_own_schema(name: str):
    whole = schema(name)
    for path, part in parts(whole):
        check = jsonschema_rs.validator_for({**part, "$defs": whole.get("$defs", {})})
        given = [*part.get("examples", ()), *([part["default"]] if "default" in part else ())]
        assert all(check.is_valid(value) for value in given), path


DEFAULTS: dict[str, dict[str, Any]] = {
    "limits": {"burst": Limits().burst, "in_flight": Limits().in_flight},
    "environment": {"scopes": list(Environment("", INTERACTION_WEBSOCKET, "").scopes)},
    "simulator": {
        "latency": SimulatorOptions().latency_s,
        "seed": SimulatorOptions().seed,
        "ended": 0.0,
    },
    "delivery": {"visible": Expires(1.0).visible_s, "skew": Expires(1.0).skew_s},
    "callback": {
        "method": Callback("", "").method,
        "on": Callback("", "").on,
        "allow_private": False,
    },
    "policy": {
        "preflight": Policy().preflight,
        "negotiation_timeout": Policy().negotiation_timeout_s,
    },
    "retry": {
        "attempts": RetryPolicy().attempts,
        "base": RetryPolicy().base_s,
        "cap": RetryPolicy().cap_s,
    },
    "circuitBreaker": {
        "failures": BreakerPolicy().failures,
        "cool_down": BreakerPolicy().cool_down_s,
        "give_up": BreakerPolicy().give_up_s,
    },
}


@pytest.mark.parametrize(
    ("part", "name"), [(part, name) for part, names in DEFAULTS.items() for name in names]
)
def test_the_defaults_in_the_schema_are_those_in_force(part: str, name: str):
    default = schema("manifest.v1")["$defs"][part]["properties"][name]["default"]
    if isinstance(default, str) and default.endswith("%"):
        default = parse_share(default)
    elif isinstance(default, str) and default[0].isdigit():  # not a method's name
        default = parse_duration(default)
    expected = DEFAULTS[part][name]
    assert (frozenset(default) if isinstance(expected, frozenset) else default) == expected


@pytest.mark.parametrize("video", [None, Video("vp8", 1200, "1280x720", 30)])
def test_the_frame_that_the_core_builds_is_valid(video: Video | None):
    frame = json.loads(
        build_text(
            Draft(
                message_id="0e0f3a52-5b0c-4f5e-9d3a-2f6f1c1f7a10",
                interaction_id="call-1",
                destination_uri="tel:+441234567890",
                media=MediaMatrix(Audio("opus", 64, 16), video),
                timestamp="2026-12-01T21:00:00.123456Z",
            )
        )
    )
    check = jsonschema_rs.validator_for(schema("interaction-transfer.v1"))
    assert check.is_valid(frame)
    assert not check.is_valid(frame | {"id": "call-1"})
    assert not check.is_valid(frame | {"extra": 1})


def test_what_init_writes_holds_with_every_suggestion_taken(tmp_path: Path):
    """A comment that looks like a field is one: taking it in leaves the manifest valid."""
    text = files("runner.app").joinpath("first_manifest.yaml").read_text("utf-8")
    taken = re.sub(
        r"^( *)# ((?: {2})*(?:delivery|statuses|policy|retry|circuit_breaker|waves|max_failures):)",
        r"\1\2",
        text,
        flags=re.MULTILINE,
    )
    assert taken.count("#") == text.count("#") - 7
    (tmp_path / "manifest.yaml").write_text(taken, encoding="utf-8")
    loaded, rows = load_rows(tmp_path / "manifest.yaml")
    assert loaded.problems == ()
    assert len(rows) == 3
