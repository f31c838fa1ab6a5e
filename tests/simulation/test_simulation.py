"""Hundreds of seeds of faults: nobody is moved twice, nobody lost, nothing misreported."""

from __future__ import annotations

import subprocess
import sys

from tests.simulation.child_process import ROOT, environment
from tests.simulation.delivery_faults import FATES
from tests.simulation.scenario import run_seed

SEEDS = 300
"""`make chaos` plays many more."""


OCCURRENCES = {f"fate: {name}" for name in FATES} | {
    "killed",
    "SIGTERM",
    "stall",
    "clock set",
    "gateway stalls",
    "storm",
    "revoked",
    "somebody else",
    "late for its session",
    "fate: expired",
    "outage",
    "stopped by an outage",
    "stopped by a wave",
    "stopped by failures",
    "stopped by its window",
    "too early for its window",
    "outside its windows",
    "waits",
    "stopped by a full destination",
    "figures: lag",
    "figures: flap",
    "figures: sparse",
}


def test_no_seed_finds_anything():
    """A seed that does is printed with the command that plays it again."""
    command = [sys.executable, "-m", "tests.simulation.chaos", "--seeds", str(SEEDS)]
    played = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert played.returncode == 0, f"{played.stdout}\n{played.stderr}"
    happened = {told.rpartition(" ")[0] for told in played.stdout.splitlines()[-1].split("; ")}
    assert not sorted(OCCURRENCES - happened), "a fault that never strikes shows nothing"


def test_the_same_seed_gives_the_same_trace():
    assert run_seed(4).trace == run_seed(4).trace != run_seed(5).trace


def test_a_trace_does_not_hang_on_the_process():
    """Hashes of texts, addresses of objects and folders differ from one process to the next."""
    told = {
        subprocess.run(
            [sys.executable, "-m", "tests.simulation.chaos", "--seed", "4"],
            cwd=ROOT,
            env=environment() | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert told == {f"\nnothing found; trace {run_seed(4).trace}\n"}
