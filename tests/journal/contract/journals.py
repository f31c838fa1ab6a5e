"""The journals that the contract is held against: a database is one entry more in each table."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

from runner.core.journal_location import JournalLocation
from runner.core.transfer.rows import PlannedRow, TransferRow
from runner.core.transfer.states import Event
from runner.journals import journal_at
from runner.ports import Journal
from runner.ports.journal_access import JournalAccess, JournalStore
from runner.staging.rows import Selection, Staging
from runner.testing.journal import FakeJournal
from tests.journal.builders import ORIGIN, Written, begun, manifest_rows, owed
from tests.postgres_server import fresh_database

Opened = tuple[Journal, Sequence[PlannedRow]]
OpenRun = Callable[[Path, Sequence[TransferRow]], AbstractAsyncContextManager[Opened]]


def sqlite(folder: Path) -> JournalAccess:
    """Return a journal in a file that does not exist yet."""
    return journal_at(JournalLocation(str(folder / "production.db")))


def postgres(folder: Path) -> JournalAccess:
    """Return a lane that does not exist yet, in a database where another lane has the same ids."""
    if folder not in _urls:
        _urls[folder] = fresh_database(like=_with_a_neighbour())
    return journal_at(JournalLocation(f"{_urls[folder]}&lane=edge"))


@cache
def _with_a_neighbour() -> str:
    """Make a database with a lane whose transfers have the ids and names of the tests'."""
    url = fresh_database()
    journal = journal_at(JournalLocation(f"{url}&lane=neighbour"))
    with journal.lock() as lock:
        lock.acquire(0)
        store = lock.open_store(environment="production", origin=ORIGIN)
        run = started(store, journal, manifest_rows(4, callbacks=("crm",)))
        run.go("k0", Event.INTENT, Event.LOST)
        run.go("k1", Event.INTENT, Event.ACCEPTED)
        life = run.life("k3")
        store.record([life.intent()])
        store.record([life.answer(Event.ACCEPTED, notifications=[owed("w1")])])
        run.go("k2", Event.INTENT)
    return url


_urls: dict[Path, str] = {}
"""The database of each test, by its folder."""

DATABASES: Mapping[str, Callable[[Path], JournalAccess]] = {
    "sqlite": sqlite,
    "postgresql": postgres,
}
"""By name, how a journal that was not made yet is named in a folder."""


def started(store: JournalStore, journal: JournalAccess, rows: Sequence[TransferRow]) -> Written:
    """Begin a run of these rows, planned by the history."""
    return begun(cast("Any", store), rows, history=journal)  # it uses what every database has


def run_of(database: str) -> OpenRun:
    """Return how a run is opened in a database."""

    @asynccontextmanager
    async def opened(folder: Path, rows: Sequence[TransferRow]) -> AsyncIterator[Opened]:
        journal = DATABASES[database](folder)
        with journal.lock() as lock:
            lock.acquire(0)
            store = lock.open_store(environment="production", origin=ORIGIN)
            try:
                run = started(store, journal, rows)
                with journal.open_history() as history:
                    writer = store.start_writer(history)
                    try:
                        yield writer, run.plan
                    finally:
                        await writer.close()
            finally:
                store.close()

    return opened


@asynccontextmanager
async def in_memory(_folder: Path, rows: Sequence[TransferRow]) -> AsyncIterator[Opened]:
    """Open a run in the fake that the engine's tests use."""
    with Staging() as staging:
        for row in rows:
            staging.add(row)
        staging.plan(None, Selection())
        plan = [row for row, _ in staging.planned()]
    yield FakeJournal(plan), plan


RUNS: Mapping[str, OpenRun] = {name: run_of(name) for name in DATABASES} | {"memory": in_memory}
"""By name, how a run's journal is opened for the engine."""
