"""Reads one run of a lane, for `journal.follower`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from runner.journal.postgres.connection import JournalUrl, ask, connect
from runner.journal.postgres.reading import reading, reading_as_one
from runner.journal.sql_lists import IN_SENDS

_BASE = "SELECT coalesce(max(id), 0) FROM runner.transfers WHERE lane = %(lane)s AND run < %(run)s"
_TRANSFERS = (
    "SELECT id, state FROM runner.transfers"
    " WHERE lane = %(lane)s AND id > %(base)s AND run = %(run)s"
)
_EVENTS = (
    "SELECT seq, body FROM runner.events WHERE lane = %(lane)s AND run = %(run)s AND seq > %(seq)s"
    " ORDER BY seq LIMIT %(limit)s"
)
_NAMED = (
    "SELECT body FROM runner.events WHERE lane = %(lane)s AND run = %(run)s AND seq <= %(seq)s"
    " AND body::json->>'event' = ANY(%(names)s) ORDER BY seq"
)
_TO_SEND = (
    "SELECT count(*) FROM runner.rows WHERE lane = %(lane)s AND run = %(run)s"  # noqa: S608 - of constants
    f" AND action {IN_SENDS}"
)
_OWED = "SELECT count(*) FROM runner.outbox WHERE lane = %(lane)s AND state = 'pending'"
_RUN = (
    "SELECT record, finished_at IS NOT NULL,"
    " no = (SELECT max(no) FROM runner.runs WHERE lane = %(lane)s)"
    " FROM runner.runs WHERE lane = %(lane)s AND no = %(run)s"
)
_LAST = "SELECT seq FROM runner.lanes WHERE lane = %(lane)s"


class PostgresRunEvents:
    """Implements `follower.RunEvents` over a connection of its own."""

    def __init__(self, url: JournalUrl, lane: int, run: int) -> None:
        self._url = url
        self._known = {"lane": lane, "run": run}
        self._connection = connect(url)

    def reading(self) -> AbstractContextManager[None]:
        """Raise `StorageError` for what goes wrong within."""
        return reading(self._url)

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Let what is read within be of one moment."""
        with reading_as_one(self._connection):
            yield

    def first_event(self) -> str | None:
        """Return the body of the run's first event."""
        found = self._ask(_EVENTS, seq=0, limit=1)
        return str(found[0][1]) if found else None

    def base(self) -> int:
        """Return the last transfer of earlier runs."""
        return int(self._ask(_BASE)[0][0])

    def last_seq(self) -> int:
        """Return the number of the lane's last event."""
        return int(self._ask(_LAST)[0][0])

    def transfers(self, base: int) -> Iterable[tuple[int, str]]:
        """Yield id and state of the run's transfers behind `base`."""
        return [(row[0], row[1]) for row in self._ask(_TRANSFERS, base=base)]

    def events(self, seq: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return number and body of the run's next events behind event `seq`."""
        return [(row[0], row[1]) for row in self._ask(_EVENTS, seq=seq, limit=limit)]

    def named(self, seq: int, names: Sequence[str]) -> Sequence[str]:
        """Return the bodies of the run's events up to event `seq` that have one of the names."""
        return [body for (body,) in self._ask(_NAMED, seq=seq, names=list(names))]

    def to_send(self) -> int:
        """Return how many rows of the plan are to be sent."""
        return int(self._ask(_TO_SEND)[0][0])

    def owed(self) -> int:
        """Return how many callbacks are owed."""
        return int(self._ask(_OWED)[0][0])

    def run(self) -> tuple[str, bool, bool]:
        """Return the run's record, whether it has ended, and whether it is the newest."""
        ((record, finished, newest),) = self._ask(_RUN)
        return str(record), bool(finished), bool(newest)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        return ask(self._connection, query, self._known | values)
