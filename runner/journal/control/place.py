"""The socket's folder: this account's own, closed to others, reached through no link.

See operations.md, "Control of a running batch".
"""

from __future__ import annotations

import grp
import hashlib
import os
import socket
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from runner.core.errors import StorageError

LONGEST_PATH = 103 if sys.platform == "darwin" else 107
"""Bytes of a socket's path that the system takes."""

BACKLOG = 128

_NAME = "socket"
_OTHERS = 0o077


def socket_path(journal: Path, variables: Mapping[str, str]) -> Path:
    """Return where a journal's socket is: beside it, or in `$XDG_RUNTIME_DIR` if that is too long.

    Raises `StorageError` if neither is possible.
    """
    journal = journal.resolve()
    beside = journal.with_name(f"{journal.name}.control") / _NAME
    if len(os.fsencode(beside)) <= LONGEST_PATH:
        return beside
    runtime = variables.get("XDG_RUNTIME_DIR", "")
    digest = hashlib.sha256(os.fsencode(journal)).hexdigest()[:32]
    elsewhere = Path(runtime) / f"runner-{digest}.control" / _NAME
    if not Path(runtime).is_absolute() or len(os.fsencode(elsewhere)) > LONGEST_PATH:
        raise StorageError(
            f"the path of the socket for commands is too long ({beside}); set XDG_RUNTIME_DIR, or"
            " name a journal with a shorter path"
        )
    return elsewhere


def bound_socket(path: Path, group: str | None) -> socket.socket:
    """Return a listening socket at `path`; one that a dead run left is removed.

    Call it under the journal's lock: only then is an older socket certainly stale. Raises
    `StorageError` if the folder is not this account's own, or is a link.
    """
    gid = None if group is None else _gid(group)
    descriptor = _own_folder(path.parent)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        _remove_stale(descriptor)
        listening.bind(str(path))
        _check_same(descriptor, path.parent)
        _open_to(gid, descriptor)
        listening.listen(BACKLOG)
        listening.setblocking(False)  # noqa: FBT003 - the library's signature
    except OSError as error:
        listening.close()
        raise StorageError(f"the socket {path} cannot be made ({error.strerror})") from error
    except BaseException:
        listening.close()
        raise
    finally:
        os.close(descriptor)
    return listening


def remove_socket(path: Path) -> None:
    """Remove a socket and its folder, as far as they are there; under the journal's lock."""
    with suppress(OSError):
        path.unlink()
        path.parent.rmdir()


def _gid(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise StorageError(
            f"there is no group {group} on this machine (policy.control_group); correct its name"
        ) from None


def _own_folder(folder: Path) -> int:
    """Return a descriptor of the folder, made if it is not there."""
    try:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(folder, flags)
    except OSError as error:
        raise StorageError(
            f"the folder {folder} for the socket of commands cannot be used ({error.strerror}):"
            " it must be a folder of this account, and no link; remove it"
        ) from error
    try:
        _close_to_others(descriptor, folder)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _close_to_others(descriptor: int, folder: Path) -> None:
    found = os.fstat(descriptor)
    if found.st_uid != os.geteuid():
        raise StorageError(
            f"the folder {folder} for the socket of commands belongs to another account"
            f" (uid {found.st_uid}); have it removed"
        )
    if stat.S_IMODE(found.st_mode) & _OTHERS:  # a group may have been allowed before
        os.fchmod(descriptor, 0o700)


def _check_same(descriptor: int, folder: Path) -> None:
    """Raise `StorageError` if a folder's path leads to another one by now."""
    if not os.path.samestat(os.fstat(descriptor), folder.lstat()):
        raise StorageError(f"the folder {folder} was replaced while it was opened")


def _remove_stale(folder: int) -> None:
    with suppress(FileNotFoundError):
        found = os.stat(_NAME, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            raise StorageError("a folder is in the place of the socket for commands; remove it")
        os.unlink(_NAME, dir_fd=folder)


def _open_to(gid: int | None, folder: int) -> None:
    """Allow the socket to this account, or to a group as well; the folder last."""
    if gid is not None:
        os.chown(_NAME, -1, gid, dir_fd=folder, follow_symlinks=False)
    os.chmod(_NAME, 0o600 if gid is None else 0o660, dir_fd=folder)
    if gid is not None:
        os.fchown(folder, -1, gid)
        os.fchmod(folder, 0o710)
