"""What a command costs: its own time and memory, and no other process's."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.e2e.harness import command, environment

# Linux counts the peak memory of the process that starts a program as the program's own, and a test
# worker's is large: so a small process starts it.
LAUNCHER = """
import json, os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, cost = os.wait4(pid, 0)
with open(sys.argv[1], "w") as costs:
    code = os.waitstatus_to_exitcode(status)
    json.dump([code, cost.ru_utime + cost.ru_stime, cost.ru_maxrss], costs)
"""


class Spent:
    """A command that has ended, and what it cost: CPU seconds, and kilobytes at its peak."""

    def __init__(self, folder: Path, *arguments: str | Path) -> None:
        with tempfile.NamedTemporaryFile("r", encoding="utf-8") as costs:
            ran = subprocess.run(
                [sys.executable, "-I", "-S", "-c", LAUNCHER, costs.name, *command(*arguments)],
                cwd=folder,
                env={k: v for k, v in environment().items() if not k.startswith("COV")},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=True,
            )
            self.code, self.cpu_s, self.kb = json.load(costs)
        self.said = ran.stdout
