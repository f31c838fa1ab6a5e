"""A database with one lane, and a clock that goes on only where it is told to."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, field

from runner.core.journal_location import JournalLocation
from runner.core.transfer.states import Event
from runner.journal.postgres.access import LaneLock, PostgresJournal
from runner.journal.postgres.connection import JournalUrl
from runner.journal.postgres.store import Store
from tests.journal.builders import ORIGIN, manifest_rows
from tests.journal.contract.journals import started
from tests.postgres_server import execute

TTL_S = 15.0


@dataclass
class Clock:
    """A clock that goes on only where it is told to."""

    at: float = 100.0

    def __call__(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@dataclass
class Database:
    """A database with the lane `edge`."""

    url: str
    open: ExitStack = field(default_factory=ExitStack)

    @property
    def journal(self) -> PostgresJournal:
        return PostgresJournal(JournalLocation(f"{self.url}&lane=edge"))

    def lock(self, clock: Clock) -> LaneLock:
        lock = LaneLock(JournalUrl.parse(f"{self.url}&lane=edge"), ttl_s=TTL_S, clock=clock)
        return self.open.enter_context(lock)

    def owned(self, clock: Clock, *, timeout_s: float = 0.0) -> Store:
        lock = self.lock(clock)
        lock.acquire(timeout_s, clock.sleep)
        return lock.open_store(environment="production", origin=ORIGIN)

    def ask(self, query: str) -> list[tuple[object, ...]]:
        return execute(self.url, query)

    def bodies(self) -> list[dict[str, object]]:
        rows = self.ask("SELECT body FROM runner.events ORDER BY seq")
        return [json.loads(str(body)) for (body,) in rows]


def use(journal: PostgresJournal) -> None:
    """Carry one transfer out in a journal's lane."""
    with journal.lock() as lock:
        lock.acquire(0.0)
        store = lock.open_store(environment="production", origin=ORIGIN)
        started(store, journal, manifest_rows(1)).go("k0", Event.INTENT, Event.ACCEPTED)
