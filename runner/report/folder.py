"""Where reports lie on disk: folders nobody else reads, files that are whole or not there.

Every step is taken relative to an open folder and without following links, so that a link
planted inside the report folder leads nowhere.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from runner.core.errors import StorageError

LATEST = "latest"

REPORT = "report.json"

WITNESS = "journal.json"
"""What a run saw of its journal, in its report folder (`runner.wiring.witness`)."""

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """An open folder below the report root; made by `open_folder`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @contextmanager
    def writing(self, name: str) -> Iterator[TextIO]:
        """Give a stream whose text becomes the file `name` (mode 0600) when the block ends well.

        Until then the file as it was stays in place; a block that fails leaves nothing behind.
        Raises `StorageError`, naming the file.
        """
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

    def _created(self, name: str) -> TextIO:
        descriptor = os.open(name, _FILE_FLAGS, 0o600, dir_fd=self._descriptor)
        # A lone surrogate has no UTF-8 form: it becomes "?" rather than the end of the report.
        return os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="")

    def _rename(self, temporary: str, name: str) -> None:
        os.replace(temporary, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        os.fsync(self._descriptor)


@contextmanager
def open_folder(root: Path, *names: str) -> Iterator[Folder]:
    """Open `root`/`names`…, making what is missing with mode 0700.

    `root` itself may be reached through links, nothing below it. Raises `StorageError`, naming
    the folder, also where a name could lead out of `root`.
    """
    path = root
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(root, FOLDER_FLAGS & ~os.O_NOFOLLOW)
    except OSError as error:
        raise _unwritable(root, error) from error
    try:
        for name in names:
            path /= _checked(name)
            descriptor = _stepped_into(descriptor, name, path)
        yield Folder(path, descriptor)
    finally:
        os.close(descriptor)


def _stepped_into(parent: int, name: str, path: Path) -> int:
    """Return `name` opened below `parent`, which is closed; on an error `parent` stays open."""
    try:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
            os.fsync(parent)
        child = os.open(name, FOLDER_FLAGS, dir_fd=parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    os.close(parent)
    return child


def _checked(name: str) -> str:
    if not name or name in {".", ".."} or any(c in name for c in "/\\\0"):
        raise StorageError(
            f"{name!r} is no name for a report's file or folder; use letters, digits, '.', '_', '-'"
        )
    return name


def _temporary(name: str) -> str:
    return f".{name}.{secrets.token_hex(8)}.tmp"


def _unwritable(path: Path, error: OSError) -> StorageError:
    why = (error.strerror or type(error).__name__).lower()
    if isinstance(error, FileExistsError | NotADirectoryError):
        why = "it is, or lies in, a file and no folder"
    return StorageError(
        f"cannot write {path}: {why}; free space or mend the permissions there, or choose another "
        "folder with --report-dir; the report can then be rendered again from the journal"
    )
