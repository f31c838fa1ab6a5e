"""Gives the history in an SQLite file to another database; the file is refused from then on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

from runner.core.errors import StorageError, UsageError
from runner.core.records.audit_chain import GENESIS
from runner.journal.export import META, TABLES
from runner.journal.sqlite.access import SqliteLock
from runner.journal.sqlite.connection import connect, reading
from runner.journal.sqlite.format_check import MOVED, destination_of
from runner.journal.sqlite.schema import FORMAT

_KEYS = {"manifests": "sha256", "ladders": "id", "runs": "no", "rows": "run, n", "outbox": "no"}
_SET_FORMAT = "UPDATE meta SET value = ? WHERE name = 'format'"


class SqliteExport:
    """Implements `export.Export` over a file whose lock is held until the context ends."""

    def __init__(self, path: Path) -> None:
        """Name the file. Raises `UsageError` if there is none."""
        if not path.is_file():
            raise UsageError(f"there is no journal {path}; name the file that is to be imported")
        self._path = path
        self._lock = SqliteLock(path)

    def __enter__(self) -> Self:
        """Take the lock, and check the file's format and its content.

        Raises `Locked`, `StorageError`.
        """
        self._lock.acquire(0.0)
        try:
            with reading(self._path), closing(connect(self._path)) as connection:
                meta = dict(connection.execute("SELECT name, value FROM meta").fetchall())
                origin, environment = str(meta["origin"]), str(meta["environment"])
            self.meta: Mapping[str, str] = {name: meta[name] for name in META if name in meta}
            self.destination = destination_of(meta)
            if self.destination is None:
                self._lock.open_store(environment=environment, origin=origin).close()
            self._connection = connect(self._path)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._lock.release()

    @property
    def address(self) -> str:
        """The absolute path."""
        return str(self._path.absolute())

    @property
    def last_event(self) -> tuple[int, str]:
        """Number and hash of the chain's last event."""
        with reading(self._path):
            rows = self._connection.execute("SELECT seq, hash FROM events ORDER BY seq DESC")
            seq, head = rows.fetchone() or (0, GENESIS)
        return int(seq), str(head)

    def mark(self, destination: str) -> None:
        """Let every version of the program refuse the file: none knows such a format."""
        self._set_format(MOVED + destination)

    def unmark(self) -> None:
        """Take the mark back: nothing was imported."""
        self._set_format(str(FORMAT))

    def rows(self, table: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of one of `TABLES`."""
        columns = ", ".join(TABLES[table])
        order = _KEYS.get(table, "1, 2")
        with reading(self._path):
            yield from self._connection.execute(
                f"SELECT {columns} FROM {table} ORDER BY {order}"  # noqa: S608 - of constants
            )

    def _set_format(self, value: str) -> None:
        with _writing(self._path) as connection:
            connection.execute(_SET_FORMAT, [value])


@contextmanager
def _writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file to write what must last, in itself and not in a log beside it."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA fullfsync=ON")
            connection.execute("PRAGMA checkpoint_fullfsync=ON")
            yield connection
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise StorageError(f"the journal {path} could not be written ({error})") from error
