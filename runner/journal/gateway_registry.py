"""Records on this host which journal has the history of a gateway and account.

With two journals for one gateway, neither has the whole history, and interactions could be moved
twice. Entries are in the user's state folder (XDG Base Directory Specification), so that they do not
depend on the path of a manifest or the name of an environment.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from runner.core.errors import StorageError
from runner.journal.lock import FileLock
from runner.ports.journal_access import KnownHistory

_FOLDER = "gateways"
_NAME_LENGTH = 32  # hexadecimal digits of a file's name


def state_folder(variables: Mapping[str, str]) -> Path | None:
    """Return the program's state folder, which may not exist yet; None without a home folder.

    A relative `XDG_STATE_HOME` is ignored, as its specification requires.
    """
    named, home = variables.get("XDG_STATE_HOME", ""), variables.get("HOME", "")
    if Path(named).is_absolute():
        return Path(named) / "runner"
    return Path(home) / ".local" / "state" / "runner" if Path(home).is_absolute() else None


class FileGatewayEntry:
    """The registry's entry for one gateway and account, and its lock."""

    def __init__(self, folder: Path, origin: str, account: str) -> None:
        """Name the entry in the state folder `folder`; `account` is a digest, not a secret."""
        name = hashlib.sha256(json.dumps([origin, account]).encode()).hexdigest()[:_NAME_LENGTH]
        self.origin = origin
        self.path = folder / _FOLDER / f"{name}.json"
        self.lock = FileLock(self.path.with_suffix(".lock"), f"the gateway {origin}")

    def make_folder(self) -> bool:
        """Make the folder of entries; return False if that fails."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            return False
        return True

    def read(self) -> KnownHistory | None:
        """Return the gateway's known history, or None.

        Raises `StorageError` if the entry cannot be read.
        """
        try:
            return KnownHistory(**json.loads(self.path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise StorageError(
                f"{self.path} cannot be read ({error}): it names the journal with the history of"
                f" the gateway {self.origin}. Restore it, or apply with --new-history if only this"
                " run's journal has moved interactions there"
            ) from error

    def write(self, known: KnownHistory) -> None:
        """Record a history, atomically, mode 0600. Raises `StorageError`."""
        unfinished = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}.new")
        try:
            descriptor = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                # Earlier versions do not know the fields that only databases have.
                kept = {name: value for name, value in asdict(known).items() if value != ""}
                json.dump(kept, stream, indent=2)
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.replace(self.path)
            _sync_folder(self.path.parent)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise StorageError(
                f"{self.path} cannot be written ({error.strerror}): other runs would not know of"
                " this run's journal. Make the folder writable, or name another state folder with"
                " XDG_STATE_HOME"
            ) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
