"""Refuses paths without reliable locks and syncs, such as network file systems."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from runner.core.errors import StorageError
from runner.core.file_kinds import other_kind

NETWORK = frozenset({
    "9p", "afpfs", "afs", "beegfs", "ceph", "cifs", "coda", "fuse.glusterfs", "fuse.s3fs",
    "fuse.sshfs", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "smb3", "smbfs",
    "webdav",
})  # fmt: skip

_MOUNTS = Path("/proc/self/mountinfo")


def refuse_network(path: Path) -> None:
    """Raise `StorageError` for a folder, a path out of reach, or a network file system."""
    try:
        kind = other_kind(path.stat().st_mode) if path.name else "a folder"
        if kind is not None:
            raise StorageError(f"the journal {path} is {kind}; name a file with --journal")
    except FileNotFoundError:
        pass  # it does not exist yet
    except OSError as error:  # circular links, a folder without permission
        raise StorageError(
            f"the journal {path} cannot be reached ({error.strerror}); name another with --journal"
        ) from error
    kind = filesystem_type(path)
    if kind in NETWORK:
        raise StorageError(
            f"the journal {path} is on a network file system ({kind}), whose locks and syncs"
            " cannot be relied on; name a journal on a local disk with --journal"
        )


def refuse_shared(path: Path) -> None:
    """Raise `StorageError` if a journal's file has hard links, or is a mount point itself.

    SQLite keeps recent writes in files beside the path. Opened by another path, the journal would be
    damaged or lack history.
    """
    try:
        links = path.stat().st_nlink
    except OSError:  # it does not exist yet; other errors are raised by `refuse_network`
        return
    if links > 1:
        raise StorageError(
            f"the journal {path} has {links} names (hard links), and what was written under one"
            " may be missing under another; delete all but one"
            f" (find FOLDER -samefile {path.name} shows them)"
        )
    if path.resolve() in _mount_points():
        raise StorageError(
            f"the journal {path} is mounted without the files beside it, which belong to it;"
            " mount its folder instead"
        )


def _mount_points() -> frozenset[Path]:
    if not _MOUNTS.exists():
        return frozenset()
    text = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    return frozenset(point for point, _ in read_mountinfo(text))


def default_folder(manifest: Path | None) -> Path:
    """Return the default folder of journals: beside the manifest's real file, or in this folder."""
    return (Path() if manifest is None else without_link(manifest).parent) / ".runner"


def without_link(path: Path) -> Path:
    """Return the target of a symbolic link; other paths unchanged.

    A circular link is returned unchanged; `refuse_network` reports it.
    """
    try:
        return path.resolve() if path.is_symlink() else path
    except (OSError, RuntimeError):  # circular links, a name that is too long
        return path


def filesystem_type(path: Path) -> str | None:
    """Return the type of the file system of `path`, or None if unknown."""
    if _MOUNTS.exists():
        mounts = read_mountinfo(_MOUNTS.read_text(encoding="utf-8", errors="surrogateescape"))
    elif sys.platform == "darwin":
        mounted = subprocess.run(["/sbin/mount"], capture_output=True, text=True, check=False)
        mounts = read_mount(mounted.stdout)
    else:
        return None
    return mount_type(mounts, path.resolve())


def mount_type(mounts: Iterable[tuple[Path, str]], path: Path) -> str | None:
    """Return the type of the deepest mount above `path`; the last one if several are equal."""
    holding = [(point, kind) for point, kind in mounts if path.is_relative_to(point)]
    if not holding:
        return None
    deepest = max(len(point.parts) for point, _ in holding)
    return [kind for point, kind in holding if len(point.parts) == deepest][-1]


def read_mountinfo(text: str) -> list[tuple[Path, str]]:
    """Return (mount point, type) of each line of Linux's mountinfo (proc(5))."""
    found = []
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        if separator:
            point = before.split()[4].replace("\\040", " ").replace("\\011", "\t")
            found.append((Path(point), after.split()[0]))
    return found


def read_mount(text: str) -> list[tuple[Path, str]]:
    """Return (mount point, type) of each line of macOS's `mount`: `DEVICE on POINT (TYPE, …)`."""
    found = []
    for line in text.splitlines():
        place, separator, options = line.rpartition(" (")
        if separator and " on " in place:
            point = place.split(" on ", 1)[1]
            found.append((Path(point), options.split(",")[0].rstrip(")")))
    return found
