"""Ends the servers of a test process when that has ended, in whatever way; then removes their folder.

    python tests/postgres_keeper.py FOLDER < PIPE

The pipe's other end is the test process's. A server is who has left a `.pid` file in the folder. It
stops without writing anything more: all that it holds is removed.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

LONGEST_END_S = 60.0


def main() -> None:
    """Wait for the pipe's end, and clean up."""
    sys.stdin.read()
    folder = Path(sys.argv[1])
    for pid_file in [*folder.glob("*/*.pid"), *folder.glob("*/*/*.pid")]:
        with suppress(OSError, ValueError, IndexError):
            _end(int(pid_file.read_text("utf-8").split()[0]))
    shutil.rmtree(folder, ignore_errors=True)


def _end(pid: int) -> None:
    """Stop a server and wait for its end. Raises `ProcessLookupError` if it has ended already."""
    if sys.platform == "linux":
        process = os.pidfd_open(pid)
        os.kill(pid, signal.SIGQUIT)
        select.select([process], [], [], LONGEST_END_S)
    else:
        ends = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
        queue = select.kqueue()
        queue.control([ends], 0)
        os.kill(pid, signal.SIGQUIT)
        queue.control(None, 1, LONGEST_END_S)


if __name__ == "__main__":
    main()
