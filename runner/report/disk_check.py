"""Checks before anything is sent that a run's report can be written."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from runner.core.errors import StorageError
from runner.core.number_text import counted
from runner.report.safe_folder import LATEST, open_folder
from runner.report.stored_reports import is_run_name

ROW_BYTES = 4096
"""Bytes per transfer in all files of a report; measured: 3 to 3.5 kB."""

LEAST_BYTES = 1 << 20
"""Bytes of a report without transfers; a file of this size is written as a test."""

PROBE = "probe"


def check_report_folder(root: Path, batch: str, *, rows: int) -> bool:
    """Check that a report of `rows` transfers, and `latest`, can be written in `root`/`batch`.

    Returns False if other accounts may write there. Raises `StorageError` if the folder is another
    account's or not writable, if the disk is full, or if `latest` is not a link.
    """
    with open_folder(root, batch) as folder:
        _check_latest(folder.path / LATEST)
        needed = LEAST_BYTES + rows * ROW_BYTES
        if (free := free_bytes(folder.path)) < needed:
            raise StorageError(
                f"{folder.path}: the report of {counted(rows)} needs about {_megabytes(needed)},"
                f" and {_megabytes(free)} are free; free space there, or choose another folder with"
                " --report-dir; nothing was sent"
            )
        folder.probe(PROBE, LEAST_BYTES)
        return not any(_is_open_to_others(path) for path in (root, folder.path))


def clear_unfinished(root: Path, batch: str) -> None:
    """Remove unfinished files that killed runs of a batch left. Raises `StorageError`."""
    with open_folder(root, batch) as folder:
        folder.clear()
        names = [path.name for path in folder.path.iterdir() if is_run_name(path.name)]
    for name in names:
        path = root / batch / name
        if path.is_dir() and not path.is_symlink():
            with suppress(StorageError), open_folder(root, batch, name) as run:
                run.clear()


def free_bytes(folder: Path) -> int:
    """Return the bytes that this account may write to a folder's file system."""
    space = os.statvfs(folder)
    return space.f_bavail * space.f_frsize


def _check_latest(path: Path) -> None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISLNK(status.st_mode):
        kind = "folder" if stat.S_ISDIR(status.st_mode) else "file"
        raise StorageError(
            f"{path} is a {kind}, but must be the link to the newest run; move it away, or choose"
            " another folder with --report-dir; nothing was sent"
        )


def _is_open_to_others(path: Path) -> bool:
    mode = path.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
