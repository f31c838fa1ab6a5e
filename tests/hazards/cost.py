"""What a command costs: its own time and memory, and no other process's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.e2e.bench import command, environment


class Spent:
    """A command that has ended, and what it cost."""

    def __init__(self, folder: Path, *arguments: str | Path) -> None:
        out = folder / "spent.out"
        with out.open("wb") as stream:
            process = subprocess.Popen(
                command(*arguments),
                cwd=folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
            _, status, cost = os.wait4(process.pid, 0)
        process.returncode = self.code = os.waitstatus_to_exitcode(status)
        self.said = out.read_text("utf-8")
        self.cpu_s = cost.ru_utime + cost.ru_stime
        self.kb = cost.ru_maxrss
