"""Names what a path leads to that is no regular file."""

from __future__ import annotations

import stat
from collections.abc import Callable

_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def other_kind(mode: int) -> str | None:
    """Return what a file's mode says that it is, as a noun with its article; None: a regular file."""
    if stat.S_ISREG(mode):
        return None
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), "a device")
