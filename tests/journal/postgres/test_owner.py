"""Who cannot be looked at is not dead: a lane is taken at once only with proof of a death."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.journal.postgres.owner import is_surely_dead, this_process

PROC = Path("/proc")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux proves a death")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Return a /proc of this machine that shows no process."""
    boot = tmp_path / "sys/kernel/random/boot_id"
    boot.parent.mkdir(parents=True)
    boot.write_text((PROC / "sys/kernel/random/boot_id").read_text())
    namespace = tmp_path / "self/ns/pid"
    namespace.parent.mkdir(parents=True)
    namespace.symlink_to((PROC / "self/ns/pid").readlink())
    return tmp_path


def owner(pid: int, **fields: object) -> str:
    return json.dumps(json.loads(this_process()) | {"pid": pid, **fields})


def ended() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        return process.pid


def test_one_that_has_ended_is_dead(proc: Path):
    assert is_surely_dead(owner(ended()))
    assert is_surely_dead(owner(ended()), proc)


def test_another_process_of_the_same_number_proves_the_death():
    assert is_surely_dead(owner(os.getpid(), started="1"))


def test_one_that_lives_is_not_dead(proc: Path):
    assert not is_surely_dead(this_process())
    # Hidden from this account, as `hidepid` hides the processes of others.
    assert not is_surely_dead(this_process(), proc)
    (proc / str(os.getpid()) / "stat").mkdir(parents=True)  # it cannot be read
    assert not is_surely_dead(this_process(), proc)


@pytest.mark.parametrize("field", ["boot", "pid_namespace", "started"])
def test_one_of_elsewhere_is_not_dead(field: str):
    elsewhere = None if field == "started" else "elsewhere"
    assert not is_surely_dead(owner(ended(), **{field: elsewhere}))
