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
    started = None
    with suppress(OSError):
        started = _started(pid, _PROC)
    return json.dumps(
        {
            "pid": pid,
            "host": socket.gethostname(),
            "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "started": started,
            "boot": _boot(_PROC),
            "pid_namespace": _pid_namespace(_PROC),
        }
    )


def holder_of(owner: str) -> Holder:
    """Return an owner as people see it."""
    known = json.loads(owner)
    return Holder(int(known["pid"]), str(known["host"]), str(known["since"]))


def is_surely_dead(owner: str, proc: Path = _PROC) -> bool:
    """Return whether an owner has certainly ended: it ran here, since this start of the machine.

    Another machine's, another container's, one of a system without /proc, and one that cannot be
    looked at: False. `proc` is where the kernel tells of processes.
    """
    known = json.loads(owner)
    boot, namespace = _boot(proc), _pid_namespace(proc)
    if boot is None or namespace is None:
        return False
    if (known["boot"], known["pid_namespace"]) != (boot, namespace) or known["started"] is None:
        return False
    try:
        return bool(_started(int(known["pid"]), proc) != known["started"])
    except (FileNotFoundError, ProcessLookupError):
        return not _has_number(int(known["pid"]))
    except OSError:  # no descriptor is left to look with, or another account's is not shown
        return False


def _has_number(pid: int) -> bool:
    """Return whether a process has this number, though /proc may hide it (proc(5), "hidepid")."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _boot(proc: Path) -> str | None:
    with suppress(OSError):
        return (proc / "sys/kernel/random/boot_id").read_text().strip()
    return None


def _pid_namespace(proc: Path) -> str | None:
    with suppress(OSError):
        return str((proc / "self/ns/pid").readlink())
    return None


def _started(pid: int, proc: Path) -> str | None:
    """Return when a process started, in the kernel's ticks; None: it is dead. Raises `OSError`."""
    fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return None if fields[_STATE] in {"Z", "X"} else fields[_STARTED]
