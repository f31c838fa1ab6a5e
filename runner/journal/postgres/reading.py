"""Reads within the journal's database: errors as `StorageError`, and several answers of one moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from runner.core.errors import StorageError
from runner.journal.postgres.connection import Connection, JournalUrl

_DAMAGE = (ValueError, TypeError, LookupError, AttributeError)


@contextmanager
def reading(url: JournalUrl) -> Iterator[None]:
    """Raise `StorageError` for the database's errors, and for a value that is not as written."""
    try:
        yield
    except (psycopg.Error, *_DAMAGE) as error:
        words = (
            " ".join(str(error).split())
            if isinstance(error, psycopg.Error)
            else f"a value in it is not as it was written: {type(error).__name__}"
        )
        raise StorageError(
            f"the journal {url} cannot be read ({words}); see that the server is up and that the"
            " journal is whole, or name another with --journal"
        ) from error


@contextmanager
def reading_as_one(connection: Connection) -> Iterator[None]:
    """Let all that is read within be of one moment."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("ROLLBACK")
