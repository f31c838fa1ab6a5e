"""Temporary databases: what is too much for memory waits there, and is gone when it is closed."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from runner.core.errors import StorageError

_UNSAFE = "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-16000;"


class Scratch:
    """A database in a temporary folder, with some `tables`.

    Raises `StorageError` when the folder cannot be written: that `what` was not possible there.
    """

    def __init__(self, tables: str, what: str) -> None:
        self._what = what
        self.path = Path(os.environ.get("TMPDIR") or "any folder for temporary files")
        with self._working():
            self.path = Path(tempfile.gettempdir())
            self._folder = tempfile.TemporaryDirectory(prefix="runner-")
            self.path = Path(self._folder.name) / "scratch.db"
            # As a URI, so that the journal may be attached as one: read-only.
            self._connection = sqlite3.connect(self.path.as_uri(), uri=True, isolation_level=None)
            self._connection.executescript(_UNSAFE + tables)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._connection.close()
        self._folder.cleanup()

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Tell what goes wrong as `StorageError`."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StorageError(
                f"{self._what} in {self.path} ({error}); free space there, or choose another"
                " folder with TMPDIR"
            ) from error
