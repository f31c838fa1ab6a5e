"""The schema means the same to two validators: what we decide is what an editor decides."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry

from runner.manifest.problem_collector import Collector
from runner.manifest.schema.check import validator
from runner.manifest.yaml.tree import Source
from runner.manifest.yaml.tree_builder import build
from runner.schemas_lookup import schema

NAMES = ("complete", "gateway-promises", "minimal", "jsonl", "no-transfers", "waves-and-window")


def read(path: Path) -> Any:
    tree = build(Source(path.name, path.read_text("utf-8"), ""), Collector())
    assert tree is not None
    return tree.root


WHOLES = [read(Path(f"tests/manifests/valid/{name}.yaml")) for name in NAMES]
OTHER = Draft202012Validator(schema("manifest.v1"), registry=Registry())
"""With an empty registry: a reference that left the schema would raise, and fetch nothing."""

WORDS = ["", "x", "0s", "10s", "1m", "0.5%", "100%", "101%", "25/s", "300/min", "0/s", "hd-voice"]
WORDS += ["opus", "vp8", "production", "simulator", "https://a.example/", "wss://a.example/", "ü"]
WORDS += ["2026-12-01T22:00:00+01:00", "2026-12-01t22:00:00.5z", "0.0%"]
WORDS += ["http://u:p@a.example/", "-x", "1280x720", "a.csv", "../b.jsonl", "POST", "failed", "\t"]
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text("az09._-:/%@ é", max_size=12)
)
FIELDS = sorted({
    name
    for part in (schema("manifest.v1"), *schema("manifest.v1")["$defs"].values())
    for name in part.get("properties", {})
})  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text("ab -", max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the ways to all parts of a document, the document itself left out."""
    if isinstance(value, dict):
        members: Any = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    else:
        return []
    found = []
    for at, inner in members:
        found += [(*path, at), *places(inner, (*path, at))]
    return found


@st.composite
def manifests(draw: st.DrawFn) -> Any:
    """Draw a valid manifest with one to three of its parts changed, renamed, doubled or gone."""
    whole = copy.deepcopy(draw(st.sampled_from(WHOLES)))
    for _ in range(draw(st.integers(1, 3))):
        ways = places(whole)
        if not ways:
            return draw(values)
        *path, last = draw(st.sampled_from(ways))
        holder = whole
        for step in path:
            holder = holder[step]
        change = draw(st.sampled_from(["replace", "replace", "delete", "rename", "copy"]))
        if change == "replace":
            holder[last] = draw(values)
        elif change == "delete":
            del holder[last]
        elif isinstance(holder, dict):
            name = draw(st.sampled_from(FIELDS) | st.text("ab -", max_size=3))
            holder[name] = holder.pop(last) if change == "rename" else copy.deepcopy(holder[last])
        else:
            holder.append(copy.deepcopy(holder[last]))
    return whole


def test_the_manifests_that_are_changed_are_valid_before():
    assert all(OTHER.is_valid(whole) and validator().is_valid(whole) for whole in WHOLES)


@settings(max_examples=400, deadline=None)
@given(manifests())
def test_both_validators_agree(document: Any):
    assert validator().is_valid(document) == OTHER.is_valid(document)


@settings(max_examples=100, deadline=None)
@given(manifests())
def test_what_is_invalid_is_invalid_by_its_findings_too(document: Any):
    found = list(validator().iter_errors(document))
    assert bool(found) != validator().is_valid(document)


def test_no_reference_leads_out_of_the_schema():
    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return own + [found for inner in part.values() for found in references(inner)]
        return (
            [found for inner in part for found in references(inner)]
            if isinstance(part, list)
            else []
        )

    assert all(found.startswith("#/$defs/") for found in references(schema("manifest.v1")))
