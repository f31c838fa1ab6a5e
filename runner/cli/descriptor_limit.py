"""Raises the limit of open files for this process."""

from __future__ import annotations

import resource

from runner.core.errors import StorageError

WANTED = 1024
"""Wanted limit of open files: 64 look-ups and their callbacks, and the same again as reserve."""

MINIMUM = 64
"""With fewer, journal, session and report cannot be open together."""


def ensure_descriptors() -> None:
    """Raise the soft limit of open files to `WANTED`, or as far as is allowed.

    Raises `StorageError` if that leaves too few.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= WANTED:
        return
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # not allowed here: the present limit may be enough
        wanted = soft
    if wanted < MINIMUM:
        raise too_few(wanted)


def too_few(limit: int | None = None) -> StorageError:
    """Return the error for too few open files; `limit` is how many are allowed."""
    if limit is None:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return StorageError(
        f"this process may open only {limit} files at once (ulimit -n) and needs more; raise the"
        f" limit, for instance with `ulimit -n {WANTED}` before the command"
    )
