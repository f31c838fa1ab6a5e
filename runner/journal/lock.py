"""The one lock of a journal: `flock` on a file beside it that is never unlinked."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from runner.core.errors import Locked, StorageError

POLL_S = 0.2


class JournalLock:
    """Exclusive for whoever writes the journal; it dies with its owner."""

    def __init__(self, journal: Path) -> None:
        self._path = journal.with_name(journal.name + ".lock")
        self._descriptor: int | None = None

    def acquire(self, timeout_s: float, sleep: Callable[[float], None] = time.sleep) -> None:
        """Take the lock, waiting `timeout_s` at most; raise `Locked` naming who holds it."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(
                self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
        except OSError as error:
            raise StorageError(
                f"the lock {self._path} cannot be opened ({error.strerror});"
                " see that the journal's folder can be written"
            ) from error
        waited_s = 0.0
        while not _try_lock(descriptor):
            if waited_s >= timeout_s:
                holder = _read_holder(descriptor)
                os.close(descriptor)
                raise Locked(
                    f"another run holds the journal: {holder}; wait for it to end,"
                    " or give --lock-timeout (such as 10m) to queue behind it"
                )
            sleep(POLL_S)
            waited_s += POLL_S
        self._descriptor = descriptor
        holder_note = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        with suppress(OSError):  # a full disk: the note is a courtesy, the lock is the truth
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(holder_note).encode(), 0)

    def release(self) -> None:
        """Give the lock up; the file stays."""
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


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_holder(descriptor: int) -> str:
    """Tell who wrote the note in the lock file; the note is a courtesy, the lock is the truth."""
    try:
        note = json.loads(os.pread(descriptor, 1000, 0))
        return f"process {note['pid']} on {note['host']}, since {note['since']}"
    except (ValueError, KeyError, TypeError):
        return "a process that has not said who it is"
