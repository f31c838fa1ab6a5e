"""Checks a journal's format, and which gateway it belongs to."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from runner.core.errors import StorageError
from runner.core.next_steps import shell_line
from runner.journal.sqlite.schema import FORMAT

WAIVED = "waived"

MOVED = "imported into "
"""Begins the format of a file whose history goes on in a database, whose URL follows.

Versions that do not know it show the format, and refuse it.
"""


def destination_of(meta: Mapping[str, str]) -> str | None:
    """Return the URL that a file's history was imported into; None: it is still this file's."""
    found = str(meta.get("format", ""))
    return found.removeprefix(MOVED) if found.startswith(MOVED) else None


def refuse_imported(meta: Mapping[str, str], path: Path) -> None:
    """Raise `StorageError` for a file whose history goes on elsewhere, naming where."""
    if (destination := destination_of(meta)) is not None:
        raise StorageError(
            f"the history in the journal {path} was imported into {destination}, and goes on there:"
            " what this file holds is out of date. Use the option"
            f" {shell_line(('--journal', destination))}"
        )


def refuse_other_format(meta: Mapping[str, str], path: Path) -> None:
    """Raise `StorageError` for a file that another version of the program wrote."""
    if meta.get("format") != str(FORMAT):
        raise StorageError(
            f"the journal {path} is of format {meta.get('format')}, this program writes {FORMAT};"
            " use the version of the program that wrote it to finish its batches, and only then a new"
            " journal (--journal), which does not know whom this one moved"
        )


def read_waived(meta: Mapping[str, str]) -> frozenset[str]:
    """Return the heads of other histories that a run with --new-history did without."""
    return frozenset(json.loads(meta.get(WAIVED, "[]")))


def claim(connection: sqlite3.Connection, path: Path, origin: str) -> None:
    """Refuse a journal of another format or another gateway.

    A journal without transfers belongs to no gateway yet, so that an address that was mistyped at
    the first run can be corrected. Raises `StorageError` and SQLite's errors.
    """
    meta = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    refuse_imported(meta, path)
    refuse_other_format(meta, path)
    if meta.get("origin") == origin:
        return
    if connection.execute("SELECT 1 FROM transfers LIMIT 1").fetchone() is not None:
        raise StorageError(
            f"the journal {path} belongs to the gateway {meta.get('origin')},"
            f" not to {origin}; name another journal with --journal"
        )
    connection.execute("UPDATE meta SET value = ? WHERE name = 'origin'", [origin])
