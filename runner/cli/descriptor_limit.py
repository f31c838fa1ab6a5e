"""What the system lets this process have: files open at once."""

from __future__ import annotations

import resource

from runner.core.errors import StorageError

WANTED = 1024
"""Files that may be open at once: 64 look-ups and their callbacks, and room for as many again."""

LEAST = 64
"""With fewer not even journal, session and report are open together."""


def ensure_descriptors() -> None:
    """Raise the soft limit of open files as far as is useful and allowed.

    Raises `StorageError` where that leaves too few.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= WANTED:
        return
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # not allowed here: what there is may do
        wanted = soft
    if wanted < LEAST:
        raise too_few(wanted)


def too_few(limit: int | None = None) -> StorageError:
    """Return the error for too few open files; `limit` is how many there may be."""
    if limit is None:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return StorageError(
        f"this process may have only {limit} files open at once (ulimit -n), and needs more; raise"
        f" that limit, for instance with `ulimit -n {WANTED}` before the command"
    )
