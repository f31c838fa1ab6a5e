"""A foreign gateway and a folder to work in, fresh for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.bench import Bench
from tests.foreign.gateway import Gateway


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as serving:
        yield serving


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, fresh=True)  # what an interpreter does by itself is part of a hazard
