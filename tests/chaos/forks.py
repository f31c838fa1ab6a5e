"""The test's side of the zygote: processes that are started in milliseconds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.e2e.harness import PATIENCE_S, ROOT, environment


def quiet_environment() -> dict[str, str]:
    """Return the command line's environment; what is to be killed is not measured for coverage.

    No command asks, though it is started at a terminal.
    """
    kept = {k: v for k, v in environment().items() if not k.startswith("COVERAGE")}
    return kept | {"RUNNER_YES": "1"}


def state_of(folder: Path) -> dict[str, str]:
    """Return the variable that gives a test a registry of gateways of its own."""
    return {"XDG_STATE_HOME": str(folder / "state")}


class Zygote:
    """Starts command lines; safe to be used by many threads."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.zygote"],
            cwd=ROOT,
            env=quiet_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._one_order = threading.Lock()
        self._told = threading.Condition()
        self._born: list[int] = []
        self._codes: dict[int, int] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def start(
        self,
        arguments: Sequence[str],
        folder: Path,
        out: str,
        err: str,
        *,
        env: Mapping[str, str] | None = None,
        program: str = "runner",
    ) -> Forked:
        """Start a program with arguments in a folder; it opens the files `out` and `err`."""
        order: dict[str, Any] = {
            "program": program,
            "arguments": arguments,
            "folder": str(folder),
            "out": out,
            "err": err,
            "environment": quiet_environment() | state_of(folder) | dict(env or {}),
        }
        assert self._process.stdin is not None
        with self._one_order, self._told:
            self._process.stdin.write(json.dumps(order) + "\n")
            assert self._told.wait_for(lambda: self._born, PATIENCE_S)
            return Forked(self, self._born.pop())

    def code(self, pid: int, timeout_s: float) -> int | None:
        """Return how a process ended, waiting for it; None: it has not."""
        with self._told:
            self._told.wait_for(lambda: pid in self._codes, timeout_s)
            return self._codes.get(pid)

    def close(self) -> None:
        """Take no more orders."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as told:
            for line in told:
                fact = json.loads(line)
                with self._told:
                    if "code" in fact:
                        self._codes[fact["pid"]] = fact["code"]
                    else:
                        self._codes.pop(fact["pid"], None)  # an earlier process's number
                        self._born.append(fact["pid"])
                    self._told.notify_all()


class Forked:
    """A process of the zygote's; as much of `subprocess.Popen` as is needed."""

    def __init__(self, zygote: Zygote, pid: int) -> None:
        self._zygote = zygote
        self.pid = pid

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def poll(self) -> int | None:
        return self._zygote.code(self.pid, 0)

    def wait(self, timeout: float) -> int:
        code = self._zygote.code(self.pid, timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
