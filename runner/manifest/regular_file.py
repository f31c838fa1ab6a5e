"""Opens regular files only: reading a pipe could block, and a device may have no end."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

from runner.core.file_kinds import other_kind

NOT_REGULAR = "not a regular file"

NOT_THERE = os.strerror(errno.ENOENT).lower()
"""What `path_fault` says where there is nothing."""


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file to read bytes.

    Raises `OSError`, also for a folder, a pipe, a device, a socket or a name with a NUL, with the reason in
    `strerror`.
    """
    try:
        _check(path.stat(), path)  # opening a device may have an effect
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except ValueError as error:
        raise OSError(errno.EINVAL, "its name has a NUL character", str(path)) from error
    except OSError as error:
        raise OSError(error.errno, _reason(path, error), str(path)) from error
    try:
        _check(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def path_fault(path: Path) -> str | None:
    """Return why no regular file can be read at a path, such as "a named pipe, …"; None: one can."""
    try:
        open_regular(path).close()
    except OSError as error:
        return (error.strerror or "the system does not say why").lower()
    return None


def _check(status: os.stat_result, path: Path) -> None:
    if (kind := other_kind(status.st_mode)) == "a folder":
        raise IsADirectoryError(errno.EISDIR, "a folder, not a file", str(path))
    if kind is not None:
        raise OSError(errno.EINVAL, f"{kind}, {NOT_REGULAR}", str(path))


def _reason(path: Path, error: OSError) -> str | None:
    if error.errno == errno.ELOOP:
        return "a circular link"
    if error.errno == errno.ENOENT and path.is_symlink():
        return f"a link to {path.readlink()}, which is not there"
    return error.strerror
