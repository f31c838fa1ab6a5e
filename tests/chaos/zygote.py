"""Starts command lines by forking: each is a process of its own, but none pays for the imports.

`python -m tests.chaos.zygote` imports the programs once, then takes orders (a JSON object a line:
`program`, `arguments`, `folder`, `environment`, `out`, `err`) and tells `{"pid": …}` for each and
`{"pid": …, "code": …}` when it has ended, in the manner of `subprocess`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from typing import Any

import tests.chaos.gateway
import tests.chaos.nemesis_worker
from runner.__main__ import main
from tests.preload import preload, run_to_end

PROGRAMS = {
    "runner": main,
    "gateway": tests.chaos.gateway.main,
    "nemesis-worker": tests.chaos.nemesis_worker.main,
}


def serve() -> None:
    """Take orders until there are no more; a child comes out of here as the command line."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        readable, _, _ = select.select([0, woken], [], [])
        if woken in readable:
            os.read(woken, 4096)
            _reap()
        if 0 not in readable:
            continue
        line = _line()
        if not line:
            return
        order = json.loads(line)
        if (pid := os.fork()) == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(woken)
            os.close(wake)
            _become(order)
            run_to_end(PROGRAMS[order["program"]])
        _tell({"pid": pid})


def _line() -> bytes:
    """Read one order, unbuffered, so that `select` sees the next one."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return b""
        line += byte
    return line


def _become(order: dict[str, Any]) -> None:
    for path, flags, descriptor in (
        (os.devnull, os.O_RDONLY, 0),
        (order["out"], os.O_WRONLY, 1),
        (order["err"], os.O_WRONLY, 2),
    ):
        opened = os.open(path, flags)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv[:] = [order["program"], *order["arguments"]]


def _reap() -> None:
    try:
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            _tell({"pid": ended[0], "code": os.waitstatus_to_exitcode(ended[1])})
    except ChildProcessError:
        pass  # there are none


def _tell(fact: dict[str, int]) -> None:
    os.write(1, json.dumps(fact).encode() + b"\n")


if __name__ == "__main__":
    preload()
    serve()
