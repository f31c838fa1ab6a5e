"""Opening the journal to read it: never to write, and damage told as such."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.core.errors import StorageError
from runner.journal.tables import ADDED


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Tell what SQLite finds wrong with a journal as `StorageError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(
            f"the journal {path} cannot be read ({error}); it may be damaged."
            " Restore it from a copy, or name another with --journal"
        ) from error


def has_column(
    connection: sqlite3.Connection, table: str, column: str, *, schema: str = "main"
) -> bool:
    """Tell whether a table has a column that was added to the format later."""
    names = connection.execute("SELECT name FROM pragma_table_info(?, ?)", [table, schema])
    return (column,) in names.fetchall()


def add_columns(connection: sqlite3.Connection) -> None:
    """Give a journal that was made before them the columns that it lacks."""
    for table, column, kind in ADDED:
        if not has_column(connection, table, column):
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection that cannot write, for threads that take turns."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None,
        check_same_thread=False,
    )  # fmt: skip
