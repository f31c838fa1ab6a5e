"""Ends the servers of a test process when that has ended, in whatever way; then removes their folder.

    python tests/postgres_keeper.py FOLDER < PIPE

The pipe's other end is the test process's. A server is who has left a `.pid` file in the folder. It
stops without writing anything more: all that it holds is removed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
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
    """Stop a server and wait for its end. Raises `ProcessLookupError` once it is there."""
    os.kill(pid, signal.SIGQUIT)
    until = time.monotonic() + LONGEST_END_S
    while time.monotonic() < until:
        os.kill(pid, 0)
        time.sleep(0.01)


if __name__ == "__main__":
    main()
