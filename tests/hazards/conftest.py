"""A foreign gateway and a folder to work in, fresh for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Harness
from tests.foreign.gateway import Gateway


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as serving:
        yield serving


FORKED = (
    "test_floods",
    "test_hostile_text",
    "test_leftovers",
    "test_names",
    "test_noise",
    "test_odd_answers",
    "test_places",
)
"""Modules whose hazards come from the gateway or from files, not from how an interpreter starts.

What an interpreter does by itself is part of every other hazard.
"""


@pytest.fixture
def harness(tmp_path: Path, request: pytest.FixtureRequest) -> Harness:
    return Harness(tmp_path, fresh=not request.module.__name__.endswith(FORKED))
