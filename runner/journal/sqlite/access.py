"""A journal in an SQLite file: implements `ports.JournalAccess`.

What reads and writes the file is loaded by what opens it: a first dry run has no journal.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runner.core.errors import StorageError, UsageError
from runner.core.journal_location import JournalLocation
from runner.journal.control.client import SocketClient
from runner.journal.control.place import socket_path
from runner.journal.control.server import SocketControl
from runner.journal.filesystem import refuse_network, refuse_shared, without_link
from runner.journal.follower import Follower
from runner.journal.lock import JournalLock, holder_of
from runner.journal.sqlite.connection import connect
from runner.journal.sqlite.format_check import destination_of
from runner.journal.sqlite.reader import Reader
from runner.journal.sqlite.run_events import SqliteRunEvents
from runner.journal.sqlite.store import Store
from runner.ports.journal_access import Holder, Lane

if TYPE_CHECKING:
    from runner.ports.control import Control


class SqliteJournal:
    """A journal by the path of its file; a path that is a symbolic link is followed."""

    def __init__(self, location: JournalLocation) -> None:
        self.path = without_link(Path(location.text))

    @property
    def location(self) -> JournalLocation:
        """The file's path."""
        return JournalLocation(str(self.path))

    @property
    def address(self) -> str:
        """The absolute path."""
        return str(self.path.absolute())

    @property
    def real_address(self) -> str:
        """The absolute path without symbolic links."""
        return str(self.path.resolve())

    def for_lane(self, lane: Lane) -> SqliteJournal:
        """Return itself: a file holds one gateway's history, which `open_store` checks."""
        del lane
        return self

    def exists(self) -> bool:
        """Return whether the file exists. Raises `OSError` where that cannot be seen.

        Not by `Path.exists`: from Python 3.14 on it takes a folder without permission for a file
        that is not there, and the plan of a batch that was moved would say that nobody was.
        """
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def is_reachable(self) -> bool:
        """Return whether it is a file in folders that may be entered, with a history of its own."""
        try:
            return self.path.is_file() and not self._is_imported()
        except OSError:
            return False

    def is_same(self, other: JournalLocation) -> bool:
        """Return whether a path leads to this very file; False if it cannot be reached."""
        try:
            return Path(other.text).samefile(self.path)
        except OSError:
            return False

    def check_place(self) -> None:
        """Raise `StorageError` for a folder, a network file system, or a file with two names."""
        refuse_network(self.path)
        refuse_shared(self.path)

    @contextmanager
    def open_history(self) -> Iterator[Reader]:
        """Open the file to read.

        Raises `UsageError` if there is none, `StorageError` if it is not a journal.
        """
        self._check_there()
        reader = Reader(self.path)
        try:
            reader.check()
            yield reader
        finally:
            reader.close()

    def _is_imported(self) -> bool:
        """Return whether the history goes on in a database; a file that cannot be read: False."""
        with suppress(sqlite3.Error), closing(connect(self.path)) as connection:
            found = connection.execute("SELECT name, value FROM meta").fetchall()
            return destination_of(dict(found)) is not None
        return False

    def _check_there(self) -> None:
        """Raise `UsageError` if there is no journal yet, `StorageError` for a folder or a device.

        One look decides: the first run may make the journal at this very moment.
        """
        try:
            kind = self.path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise UsageError(
                f"there is no journal {self.path}: nothing was applied with it yet;"
                " name another with --journal, or with --manifest and --env"
            ) from None
        if not stat.S_ISREG(kind):
            raise StorageError(
                f"the journal {self.path} is not a file; name another with --journal"
            )

    def follow(self, run: int) -> Follower:
        """Open one run of the file to be looked at again and again."""
        return Follower(SqliteRunEvents(self.path, run), str(self.location))

    def control_client(self, holder: Holder) -> SocketClient:
        """Return how to give commands to the run that holds the lock."""
        return SocketClient(holder, self.address)

    def lock(self) -> SqliteLock:
        """Return the lock of the file, not acquired yet."""
        return SqliteLock(self.path)

    def holder(self) -> Holder | None:
        """Return the process that holds the lock; None: it is free."""
        return holder_of(self.path)


class SqliteLock(JournalLock):
    """The lock beside the file and on the file itself, and the way to write it."""

    def acquire(self, timeout_s: float, sleep: Callable[[float], None] = time.sleep) -> float:
        """Take both locks; return the seconds waited. Raises `Locked`, `StorageError`."""
        waited_s = super().acquire(timeout_s, sleep)
        self.hold_file()
        return waited_s

    def open_store(self, *, environment: str, origin: str) -> Store:
        """Open the file to write, or make it. Raises `StorageError`."""
        store = Store(self.journal, environment=environment, origin=origin)
        try:
            self.hold_file()  # which may have been made just now
        except BaseException:
            store.close()
            raise
        return store

    def open_control(self, group: str | None) -> Control:
        """Return the socket that takes commands; its path stands in the lock's note.

        Raises `StorageError` if it cannot be made.
        """
        control = SocketControl(socket_path(self.journal, os.environ), group)
        self.add_to_note(control=str(control.path))
        return control
