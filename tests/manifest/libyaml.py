"""What PyYAML's own parser, used where libyaml is missing, tells by another place or word."""

from __future__ import annotations

import os

import pytest
import yaml

needs_libyaml = pytest.mark.skipif(
    not yaml.__with_libyaml__ and "RUNNER_REQUIRE_ALL" not in os.environ,
    reason="PyYAML was built without libyaml",
)

TOLD_OTHERWISE = {"schema-unquoted-texts", "yaml-surrogate-escape", "yaml-unknown-escape"}
"""Manifests of `tests/manifests/invalid` whose places are libyaml's."""


def named(names: list[str]) -> list[object]:
    """Return names of manifests as parameters of a test; some need libyaml."""
    return [
        pytest.param(name, marks=[needs_libyaml] if name in TOLD_OTHERWISE else [])
        for name in names
    ]
