"""Connects to the journal's file to read it, and reports damage as `StorageError`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.core.errors import StorageError
from runner.core.transfer.canonical_form import canonical_destination, canonical_interaction
from runner.journal.sql_lists import IN_HELD
from runner.journal.sqlite.schema import ADDED, CLAIMS, MESSAGES

DAMAGE = (sqlite3.Error, ValueError, TypeError, LookupError, AttributeError)
"""Errors of reading a damaged journal: SQLite's, and those that unexpected values lead to."""


_PRIMARY = 0xFF
"""The part of SQLite's codes that is the kind of an error."""

_NO_RIGHTS = {sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise `StorageError` for what is wrong with a journal's file, or with a value in it."""
    try:
        yield
    except DAMAGE as error:
        if getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _NO_RIGHTS and path.exists():
            raise StorageError(
                f"the journal {path} is another account's ({damage(error)}): who reads it also needs"
                " the right to write it and the files beside it; use the account of its runs, or root"
            ) from error
        raise StorageError(
            f"the journal {path} cannot be read ({damage(error)}); it may be damaged, or not a journal."
            " Restore it from a copy, or name another with --journal"
        ) from error


def damage(error: BaseException) -> str:
    """Return in a few words why reading a journal failed."""
    if isinstance(error, sqlite3.Error | OSError):
        return str(error)
    return f"a value in it is not as it was written: {type(error).__name__}"


def has_column(connection: sqlite3.Connection, table: str, column: str) -> bool:
    """Return whether a table has a column that was added to the format later."""
    names = connection.execute("SELECT name FROM pragma_table_info(?)", [table])
    return (column,) in names.fetchall()


def lacking_columns(
    connection: sqlite3.Connection, table: str, columns: Iterable[str]
) -> frozenset[str]:
    """Return those of a table's columns that an older journal lacks."""
    names = connection.execute("SELECT name FROM pragma_table_info(?)", [table])
    return frozenset(columns) - {name for (name,) in names}


def has_table(connection: sqlite3.Connection, table: str) -> bool:
    """Return whether there is a table that was added to the format later."""
    found = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", [table]
    )
    return found.fetchone() is not None


def add_columns(connection: sqlite3.Connection) -> None:
    """Add the columns that later versions introduced."""
    for table, column, kind in ADDED:
        if not has_column(connection, table, column):
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")


def index_claims(connection: sqlite3.Connection) -> None:
    """Index transfers by their interactions' canonical form.

    Earlier versions of the program knew interactions as the manifest wrote them.
    """
    connection.create_function("canonical_interaction", 1, canonical_interaction)
    connection.execute("BEGIN IMMEDIATE")
    for (index,) in connection.execute(
        "SELECT name FROM sqlite_schema WHERE name IN ('transfers_of_interaction', 'held')"
        " AND sql LIKE '%interaction_id%'"
    ).fetchall():
        connection.execute(f"DROP INDEX {index}")
    connection.execute(
        "UPDATE transfers SET interaction = canonical_interaction(interaction_id)"
        " WHERE interaction IS NULL"
    )
    held_twice = connection.execute(
        f"SELECT 1 FROM transfers WHERE state {IN_HELD} GROUP BY interaction HAVING count(*) > 1"  # noqa: S608 - of constants
    ).fetchone()
    # An earlier version may have left one interaction in doubt twice, in two spellings. Until
    # these are settled, the plan alone keeps it from being sent.
    for statement in CLAIMS[: 1 if held_twice else None]:
        connection.execute(statement)
    connection.execute("COMMIT")


def index_messages(connection: sqlite3.Connection) -> None:
    """Index the deliveries that a late reply may still be for, as earlier versions did with all."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in MESSAGES:
        connection.execute(statement)
    connection.execute("COMMIT")


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection that cannot write, for threads that take turns."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None,
        check_same_thread=False,
    )  # fmt: skip
    connection.create_function("canonical_destination", 1, canonical_destination)
    return connection
