"""Says what the system did not give a command: memory, a thread, a process."""

from __future__ import annotations

import errno

from runner.core.errors import StorageError

_NO_THREAD = "can't start new thread"
"""What Python says where the system gives no thread: it has no type of its own for that."""

_SHORTAGES = {
    errno.ENOMEM: ("memory", "ulimit -v"),
    errno.EAGAIN: ("process or thread", "ulimit -u"),
}


def shortage(error: BaseException) -> StorageError | None:
    """Return the error for what the system did not give, with what to do; None: it is another error."""
    if isinstance(error, MemoryError):
        lacks, limit = _SHORTAGES[errno.ENOMEM]
    elif isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        lacks, limit = "further thread", "ulimit -u, and ulimit -v for its memory"
    elif isinstance(error, OSError) and error.errno in _SHORTAGES and error.filename is None:
        lacks, limit = _SHORTAGES[error.errno]
    else:
        return None
    return StorageError(
        f"the system gives this process no {lacks}: raise the limit ({limit}; of a container, its memory"
        " and its pids), or stop what uses it up. What was recorded is in the journal; run the command again"
    )
