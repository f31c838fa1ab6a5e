"""Statements over many rows at a time.

Python's lock is let go and taken again around every step of SQLite. A step per row would have the
journal's thread and the event loop wrestle for it all the time; a step per chunk does not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

CHUNKS = (64, 8, 1)
"""Rows of one step. Few sizes, so that every statement stays prepared."""


class Bulk:
    """`before` VALUES (…), (…) `after`, with `columns` values a row."""

    def __init__(self, columns: int, before: str, after: str = "") -> None:
        row = f"({','.join('?' * columns)})"
        self._statements = {
            size: f"{before} VALUES {','.join([row] * size)} {after}" for size in CHUNKS
        }

    def run(self, connection: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> int:
        """Execute for every row, in order; return how many rows of the table were changed."""
        changed = start = 0
        for size, statement in self._statements.items():
            while len(rows) - start >= size:
                values = [value for row in rows[start : start + size] for value in row]
                changed += connection.execute(statement, values).rowcount
                start += size
        return changed
