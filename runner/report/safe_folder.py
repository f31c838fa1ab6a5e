"""Writes files into report folders: private to the user, each file whole or absent.

All paths are relative to an open folder, and links are not followed, so that a link planted inside
the report folder has no effect.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from runner.core.errors import StorageError
from runner.core.file_kinds import other_kind

LATEST = "latest"

REPORT = "report.json"

WITNESS = "journal.json"
"""The file with what a run saw of its journal (`runner.app.journal_checkpoint`)."""

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SYSTEM = 0  # root, which can change any file anyway

_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

UNFINISHED = re.compile(r"\.(.+)\.[0-9a-f]{16}\.tmp")
"""Names of files that are being written, or whose writer was killed."""

LINK_LIVES_S = 60.0
"""Age from which an unfinished link is removed; a live one is renamed immediately."""


class Folder:
    """An open folder below the report root; made by `open_folder`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @contextmanager
    def writing(self, name: str) -> Iterator[TextIO]:
        """Yield a stream whose text becomes the file `name` (mode 0600) when the block succeeds.

        Until then an existing file stays in place; a block that fails leaves nothing behind.
        Raises `StorageError`, naming the file.
        """
        self.clear(name)
        temporary = _temporary(_checked(name))
        try:
            with self._created(temporary) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            self._rename(temporary, name)
        except OSError as error:
            raise _unwritable(self.path / name, error) from error
        finally:
            with suppress(OSError):  # already renamed, or never made
                os.unlink(temporary, dir_fd=self._descriptor)

    def probe(self, name: str, size: int) -> None:
        """Check that a file of `size` bytes can be written here; it is removed again.

        Raises `StorageError`, naming the folder.
        """
        temporary = _temporary(_checked(name))
        try:
            with self._created(temporary) as stream:
                _fill(stream.fileno(), size)
                os.fsync(stream.fileno())
        except OSError as error:
            raise _unwritable(self.path, error) from error
        finally:
            with suppress(OSError):  # never made
                os.unlink(temporary, dir_fd=self._descriptor)

    def link(self, name: str, target: str) -> None:
        """Make `name` a relative symbolic link to `target` beside it, replacing an older link.

        Raises `StorageError`, naming the link.
        """
        temporary = _temporary(_checked(name))
        try:
            os.symlink(_checked(target), temporary, dir_fd=self._descriptor)
            self._rename(temporary, name)
        except OSError as error:
            with suppress(OSError):  # never made
                os.unlink(temporary, dir_fd=self._descriptor)
            raise _unwritable(self.path / name, error) from error

    def clear(self, name: str | None = None) -> None:
        """Remove the unfinished files of dead processes: those of `name`, or all.

        A writer holds its file's lock, so the files of a live run stay. Links have no lock, and stay
        for `LINK_LIVES_S`.
        """
        with suppress(OSError):  # leftovers that cannot be removed do no harm
            for entry in os.listdir(self._descriptor):  # noqa: PTH208 - of an open folder
                unfinished = UNFINISHED.fullmatch(entry)
                if unfinished is not None and name in {None, unfinished[1]}:
                    self._clear(entry)

    def _clear(self, entry: str) -> None:
        status = os.stat(entry, dir_fd=self._descriptor, follow_symlinks=False)
        if status.st_uid != os.geteuid():
            return
        if stat.S_ISLNK(status.st_mode):
            if time.time() - status.st_mtime > LINK_LIVES_S:
                os.unlink(entry, dir_fd=self._descriptor)
        elif stat.S_ISREG(status.st_mode):
            descriptor = os.open(entry, _READ_FLAGS, dir_fd=self._descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(entry, dir_fd=self._descriptor)
            except BlockingIOError:
                pass  # its writer lives
            finally:
                os.close(descriptor)

    def _created(self, name: str) -> TextIO:
        descriptor = os.open(name, _FILE_FLAGS, 0o600, dir_fd=self._descriptor)
        with suppress(OSError):  # a file system without locks: `clear` removes nothing there
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink == 0:  # cleared before it was locked
            os.close(descriptor)
            return self._created(name)
        # A lone surrogate has no UTF-8 form: it becomes "?", so that the report can be written.
        return os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="")

    def _rename(self, temporary: str, name: str) -> None:
        os.replace(temporary, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        os.fsync(self._descriptor)


@contextmanager
def open_folder(root: Path, *names: str) -> Iterator[Folder]:
    """Open `root`/`names`…, and make missing folders with mode 0700.

    Only the path to `root` may contain links. With `names`, all folders must belong to this account
    or to root. Raises `StorageError`, naming the folder, also for a name that leads out of `root`.
    """
    path = root
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(root, FOLDER_FLAGS & ~os.O_NOFOLLOW)
    except OSError as error:
        raise _unwritable(root, error) from error
    try:
        if names:
            _check_owner(descriptor, path)
        for name in names:
            path /= _checked(name)
            descriptor = _stepped_into(descriptor, name, path)
            _check_owner(descriptor, path)
        yield Folder(path, descriptor)
    finally:
        os.close(descriptor)


def _stepped_into(parent: int, name: str, path: Path) -> int:
    """Open `name` below `parent` and close `parent`; on an error `parent` stays open."""
    try:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
            os.fsync(parent)
        child = os.open(name, FOLDER_FLAGS, dir_fd=parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    os.close(parent)
    return child


def _check_owner(descriptor: int, path: Path) -> None:
    """Refuse a folder of another account: it may be planted, and its owner could change its files."""
    owner = os.fstat(descriptor).st_uid
    if owner not in {os.geteuid(), _SYSTEM}:
        raise StorageError(
            f"the report folder {path} belongs to another account ({_account(owner)}), which could"
            f" change the reports; this run's account is {_account(os.geteuid())}. Choose another folder"
            " with --report-dir, or change this one's owner"
        )


def _account(number: int) -> str:
    try:
        return f"{pwd.getpwuid(number).pw_name}, {number}"
    except KeyError:
        return str(number)


def _fill(descriptor: int, size: int) -> None:
    block = bytes(1 << 16)
    while size > 0:
        size -= os.write(descriptor, block[:size])


def _checked(name: str) -> str:
    if not name or name in {".", ".."} or any(c in name for c in "/\\\0"):
        raise StorageError(
            f"{name!r} cannot name a report's file or folder; use letters, digits, '.', '_', '-'"
        )
    return name


def _temporary(name: str) -> str:
    return f".{name}.{secrets.token_hex(8)}.tmp"


def _unwritable(path: Path, error: OSError) -> StorageError:
    why, fix = (
        (error.strerror or type(error).__name__).lower(),
        "free space or fix the permissions there",
    )
    if isinstance(error, FileExistsError | NotADirectoryError):
        why, fix = _obstacle(path), "move it to another place"
    elif error.errno == errno.ELOOP:
        why, fix = "its path has a circular link", "replace that link by a folder"
    return StorageError(
        f"cannot write {path}: {why}; {fix}, or choose another "
        "folder with --report-dir; a run's report can then be rendered again from the journal"
    )


def _obstacle(path: Path) -> str:
    """Return what is in a path where a folder should be."""
    for at in (path, *path.parents):
        with suppress(OSError):
            mode = at.lstat().st_mode
            if stat.S_ISLNK(mode) and not at.exists():
                return f"{at} is a link to {at.readlink()}, which is not there"
            if not at.is_dir():
                return f"{at} is {other_kind(at.stat().st_mode) or 'a file'}, not a folder"
    return "something in its path is not a folder"
