"""Hundreds of seeds against the platform: nobody is moved twice, lost, or moved from where they belong."""

from __future__ import annotations

import subprocess
import sys

from tests.simulation.child_process import ROOT, environment
from tests.simulation.platform_scenario import run_platform_seed

SEEDS = 100
"""`make chaos DRIVER=genesys-cloud` plays many more."""

OCCURRENCES = {
    "killed",
    "stall",
    "gateway stalls",
    "revoked",
    "request lost",
    "answer lost",
    "answer muted",
    "error after the effect",
    "event lost",
    "event late",
    "socket closing",
    "deaf socket",
    "evicted",
    "an agent answers",
    "moved by a colleague",
    "the customer hangs up",
    "consults a colleague",
    "consults a queue",
    "consults a number",
    "the consultation ends",
    "the consultation becomes a transfer",
    "calls a queue in",
    "calls a user in",
    "the conference ends",
    "a leg dies at once",
    "move Complete",
    "move Timeout",
    "move Canceled",
    "selected",
    "cannot select",
    "stopped by a wave",
    "stopped by failures",
    "stopped by its window",
}


def test_no_seed_finds_anything():
    """A seed that does is printed with the command that plays it again."""
    options = ["--driver", "genesys-cloud", "--seeds", str(SEEDS)]
    command = [sys.executable, "-m", "tests.simulation.chaos", *options]
    played = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert played.returncode == 0, f"{played.stdout}\n{played.stderr}"
    happened = {told.rpartition(" ")[0] for told in played.stdout.splitlines()[-1].split("; ")}
    assert not sorted(OCCURRENCES - happened), "a fault that never strikes shows nothing"


def test_the_same_seed_gives_the_same_trace():
    assert run_platform_seed(3).trace == run_platform_seed(3).trace != run_platform_seed(5).trace


def test_a_trace_does_not_hang_on_the_process():
    told = {
        subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.simulation.chaos",
                "--driver",
                "genesys-cloud",
                "--seed",
                "3",
            ],
            cwd=ROOT,
            env=environment() | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert told == {f"\nnothing found; trace {run_platform_seed(3).trace}\n"}
