"""Says which process holds a lane, and proves that one is dead."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

from runner.ports.journal_access import Holder

_STATE, _STARTED = 0, 19
"""Places of a process's fields in /proc/PID/stat, behind its name."""

_PROC = Path("/proc")


def this_process() -> str:
    """Return who this process is, as JSON for `lanes.owner`."""
    pid = os.getpid()
    return json.dumps(
        {
            "pid": pid,
            "host": socket.gethostname(),
            "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "started": _started(pid),
            "boot": _boot(),
            "pid_namespace": _pid_namespace(),
        }
    )


def holder_of(owner: str) -> Holder:
    """Return an owner as people see it."""
    known = json.loads(owner)
    return Holder(int(known["pid"]), str(known["host"]), str(known["since"]))


def is_surely_dead(owner: str) -> bool:
    """Return whether an owner has certainly ended: it ran here, since this start of the machine.

    Another machine's, another container's, and one of a system without /proc: False.
    """
    known = json.loads(owner)
    boot, namespace = _boot(), _pid_namespace()
    if boot is None or namespace is None:
        return False
    if (known["boot"], known["pid_namespace"]) != (boot, namespace):
        return False
    return known["started"] is not None and _started(int(known["pid"])) != known["started"]


def _boot() -> str | None:
    with suppress(OSError):
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return None


def _pid_namespace() -> str | None:
    with suppress(OSError):
        return str((_PROC / "self/ns/pid").readlink())
    return None


def _started(pid: int) -> str | None:
    """Return when a process started, in the kernel's ticks; None: there is none, or it is dead."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[_STATE] in {"Z", "X"} else fields[_STARTED]
