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


@pytest.fixture
def harness(tmp_path: Path) -> Harness:
    return Harness(tmp_path, fresh=True)  # what an interpreter does by itself is part of a hazard
