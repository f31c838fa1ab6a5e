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


FRESH = ("test_happy", "test_secrets", "test_signals")
"""Modules whose commands are started as a user starts them, each by an interpreter of its own."""


@pytest.fixture
def harness(tmp_path: Path, request: pytest.FixtureRequest) -> Harness:
    return Harness(tmp_path, fresh=request.module.__name__.endswith(FRESH))
