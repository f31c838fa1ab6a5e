"""Temporary databases for what is too large for memory; removed when closed."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sqlite3
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from runner.core.errors import StorageError

_UNSAFE = "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;"


_PREFIX, _FILE = "runner-", "scratch.db"
_OURS = re.compile(r"runner-[a-z0-9_]{8}")
_AGE_S = 60.0  # a folder is locked sooner than this after it was made


class Scratch:
    """A database in a temporary folder, with some `tables`.

    Raises `StorageError` when the folder cannot be written: `what` was not possible there.
    """

    def __init__(self, tables: str, what: str) -> None:
        self._what = what
        self.path = Path(os.environ.get("TMPDIR") or "any folder for temporary files")
        with self._working():
            self.path = Path(tempfile.gettempdir())
            _clear_left(self.path)
            self._folder = tempfile.TemporaryDirectory(prefix=_PREFIX)
            self._lock = os.open(self._folder.name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            with suppress(OSError):  # without locks it is never cleared by others either
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.path = Path(self._folder.name) / _FILE
            self._connection = sqlite3.connect(self.path, isolation_level=None)
            self._connection.executescript(_UNSAFE + tables)

    def make_folder(self, name: str) -> Path:
        """Return a new folder for files that go with the database, after a kill too."""
        folder = self.path.with_name(f"{_FILE}-{name}")
        with self._working():
            folder.mkdir(mode=0o700)
        return folder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._connection.close()
        os.close(self._lock)
        self._folder.cleanup()

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Raise `StorageError` for what goes wrong."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StorageError(
                f"{self._what} in {self.path} ({error}); free space there, or choose another"
                " folder with TMPDIR"
            ) from error


def _clear_left(folder: Path) -> None:
    """Remove the temporary databases of processes that were killed: their lock is free."""
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name):
            with suppress(OSError):  # what cannot be looked at or removed does no harm
                _clear(path)


def _clear(path: Path) -> None:
    status = path.lstat()
    is_old = time.time() - status.st_mtime > _AGE_S
    if status.st_uid != os.geteuid() or not stat.S_ISDIR(status.st_mode) or not is_old:
        return
    names = [each.name for each in path.iterdir()]
    if not names or any(not name.startswith(_FILE) for name in names):
        return  # another program's of the same name
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path)
    finally:
        os.close(descriptor)
