"""Reads one run of a journal in an SQLite file, for `journal.follower`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from runner.journal.sql_lists import IN_SENDS
from runner.journal.sqlite.connection import connect, reading

_BASE = "SELECT id FROM transfers WHERE run < ? ORDER BY id DESC LIMIT 1"
_TRANSFERS = "SELECT id, state FROM transfers WHERE id > ? AND run = ?"
_EVENTS = "SELECT seq, body FROM events WHERE seq > ? AND run = ? ORDER BY seq LIMIT ?"
_NAMED = (
    "SELECT body FROM events WHERE seq <= ? AND run = ?"
    " AND json_extract(body, '$.event') IN (SELECT value FROM json_each(?)) ORDER BY seq"
)
_TO_SEND = f"SELECT count(*) FROM rows WHERE run = ? AND action {IN_SENDS}"  # noqa: S608 - of constants
_OWED = "SELECT count(*) FROM outbox WHERE state = 'pending'"
_RUN = (
    "SELECT record, finished_at IS NOT NULL, no = (SELECT max(no) FROM runs) FROM runs WHERE no = ?"
)
_FIRST_EVENT = "SELECT body FROM events WHERE run = ? ORDER BY seq LIMIT 1"


class SqliteRunEvents:
    """Implements `follower.RunEvents` over a connection of its own."""

    def __init__(self, path: Path, run: int) -> None:
        self._path = path
        self._run = run
        with reading(path):
            self._connection = connect(path)

    def reading(self) -> AbstractContextManager[None]:
        """Raise `StorageError` for what goes wrong within."""
        return reading(self._path)

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """Let what is read within be of one moment."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    def first_event(self) -> str | None:
        """Return the body of the run's first event."""
        found = self._connection.execute(_FIRST_EVENT, [self._run]).fetchone()
        return None if found is None else str(found[0])

    def base(self) -> int:
        """Return the last transfer of earlier runs."""
        found = self._connection.execute(_BASE, [self._run]).fetchone()
        return int(found[0]) if found else 0

    def last_seq(self) -> int:
        """Return the number of the journal's last event."""
        (last,) = self._connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
        return int(last)

    def transfers(self, base: int) -> Iterable[tuple[int, str]]:
        """Yield id and state of the run's transfers behind `base`."""
        return self._connection.execute(_TRANSFERS, [base, self._run])

    def events(self, seq: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return number and body of the run's next events behind event `seq`."""
        return self._connection.execute(_EVENTS, [seq, self._run, limit]).fetchall()

    def named(self, seq: int, names: Sequence[str]) -> Sequence[str]:
        """Return the bodies of the run's events up to event `seq` that have one of the names."""
        found = self._connection.execute(_NAMED, [seq, self._run, json.dumps(names)])
        return [body for (body,) in found]

    def to_send(self) -> int:
        """Return how many rows of the plan are to be sent."""
        (count,) = self._connection.execute(_TO_SEND, [self._run]).fetchone()
        return int(count)

    def owed(self) -> int:
        """Return how many callbacks are owed."""
        (count,) = self._connection.execute(_OWED).fetchone()
        return int(count)

    def run(self) -> tuple[str, bool, bool]:
        """Return the run's record, whether it has ended, and whether it is the newest."""
        record, finished, newest = self._connection.execute(_RUN, [self._run]).fetchone()
        return str(record), bool(finished), bool(newest)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
