"""A journal of each database, and its store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.ports.journal_access import JournalAccess, JournalStore
from tests.journal.builders import ORIGIN
from tests.journal.contract.journals import DATABASES


@pytest.fixture(params=DATABASES)
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> JournalAccess:
    return DATABASES[request.param](tmp_path)


@pytest.fixture
def store(journal: JournalAccess) -> Iterator[JournalStore]:
    with journal.lock() as lock:
        lock.acquire(0)
        made = lock.open_store(environment="production", origin=ORIGIN)
        yield made
        made.close()
