"""Closes the journals that a test opened."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.journal import builders


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    yield
    while builders.OPEN:
        builders.OPEN.pop().close()
