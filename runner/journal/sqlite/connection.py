"""Connects to the journal's file to read it, and reports damage as `StorageError`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.core.errors import StorageError
from runner.core.transfer.canonical_form import canonical_destination

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


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection that cannot write, for threads that take turns."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None,
        check_same_thread=False,
    )  # fmt: skip
    connection.create_function("canonical_destination", 1, canonical_destination)
    return connection
