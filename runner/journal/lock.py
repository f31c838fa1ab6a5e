"""Locks a journal or a gateway by `flock`, on a file that only its holder removes."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from runner.core.errors import Locked, StorageError
from runner.ports.journal_access import Holder

POLL_S = 0.2


class FileLock:
    """An exclusive lock, which ends with its process. `what` names the locked thing."""

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self._what = what
        self._descriptor: int | None = None
        self._holder_note: dict[str, str | int] = {}

    def acquire(self, timeout_s: float, sleep: Callable[[float], None] = time.sleep) -> float:
        """Take the lock within `timeout_s`; return the seconds waited.

        Raises `Locked`, naming the holder, and `StorageError`.
        """
        descriptor = self._opened()
        waited_s = 0.0
        while True:
            if _try_lock(descriptor, self.path):
                if self._is_at_its_place(descriptor):
                    break
                os.close(descriptor)  # its holder has removed it: lock the one that is there now
                descriptor = self._opened()
                continue
            if waited_s >= timeout_s:
                holder = _read_holder(descriptor)
                os.close(descriptor)
                raise Locked(
                    f"another run holds {self._what}: {holder}; wait for it to end,"
                    " or give --lock-timeout (such as 10m) to queue behind it"
                )
            sleep(POLL_S)
            waited_s += POLL_S
        self._descriptor = descriptor
        self._holder_note = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "uid": os.geteuid(),
        }
        self._write_note(descriptor)
        return waited_s

    def _opened(self) -> int:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StorageError(
                f"the lock {self.path} cannot be opened ({error.strerror});"
                " make its folder writable"
            ) from error

    def _is_at_its_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.lstat())
        except FileNotFoundError:
            return False

    def add_to_note(self, **fields: str) -> None:
        """Add to what others read of the holder, while the lock is held."""
        assert self._descriptor is not None  # noqa: S101 - it is held
        self._holder_note |= fields
        self._write_note(self._descriptor)

    def _write_note(self, descriptor: int) -> None:
        with suppress(OSError):  # a full disk: the note is only information, the lock counts
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(self._holder_note).encode(), 0)

    def release(self) -> None:
        """Release the lock; the file stays."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.release()


class JournalLock(FileLock):
    """Lets one process at a time write a journal: locks a file beside it, and the journal's file.

    The lock file alone is not enough: a journal that is renamed during a run has another lock file
    beside its new name.
    """

    def __init__(self, journal: Path) -> None:
        super().__init__(journal.with_name(journal.name + ".lock"), "the journal")
        self.journal = journal
        self._file: int | None = None

    def hold_file(self) -> None:
        """Lock the journal's file too, where it exists; held until `release`.

        Raises `Locked`, and `StorageError` if the file cannot be opened. SQLite locks by `fcntl`,
        which is independent of `flock` on Linux only; elsewhere nothing is done. The descriptor must be
        closed after SQLite's: closing it drops all `fcntl` locks of this process.
        """
        if sys.platform != "linux" or self._file is not None:
            return
        try:
            descriptor = os.open(self.journal, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(
                f"the journal {self.journal} cannot be opened ({error.strerror})"
            ) from error
        if not _try_lock(descriptor, self.journal):
            os.close(descriptor)
            raise Locked(
                f"another run holds the file of the journal {self.journal} under another name;"
                " wait for it to end"
            )
        self._file = descriptor

    def release(self) -> None:
        """Release the locks; the files stay, unless no journal was made."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._descriptor is not None and not self.journal.exists():
            with suppress(OSError):
                self.path.unlink()  # while it is locked: who waits for it notices
        super().release()


def holder_of(journal: Path) -> Holder | None:
    """Return the process that holds a journal's lock, or None if it is free; takes no lock.

    Raises `StorageError` if the lock cannot be read.
    """
    path = JournalLock(journal).path
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"the lock {path} cannot be read ({error.strerror})") from error
    try:
        holder = _note(descriptor)
        # A process that has certainly ended needs no test by locking, which could briefly block a run
        # that is about to begin.
        if holder is None or _is_gone(holder) or _try_lock(descriptor, path, fcntl.LOCK_SH):
            return None
        return _note(descriptor) or holder
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, path: Path, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # ENOLCK: a file system without locks, or the system has none left
        raise StorageError(
            f"the lock {path} cannot be taken ({error.strerror}), and without it two runs could"
            " move the same interaction; name a journal on a local disk with --journal"
        ) from error
    return True


def _read_holder(descriptor: int) -> str:
    """Return the process in the lock file's note, as text; the note is only information."""
    return str(_note(descriptor) or "an unknown process")


def _note(descriptor: int) -> Holder | None:
    try:
        note = json.loads(os.pread(descriptor, 1000, 0))
        control, uid = note.get("control"), note.get("uid")
        return Holder(
            int(note["pid"]),
            str(note["host"]),
            str(note["since"]),
            None if control is None else str(control),
            None if uid is None else int(uid),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _is_gone(holder: Holder) -> bool:
    """Return whether a process of this host has certainly ended."""
    if holder.host != socket.gethostname():
        return False
    try:
        os.kill(holder.pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False
