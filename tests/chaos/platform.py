"""Campaigns against the vendor platform's face, served in a process of its own; its ledger judges."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import NAMESPACE_URL, uuid5

import yaml

from tests.chaos.forks import Forked, Zygote
from tests.chaos.harness import PATIENCE_S, PATIENT, POLL_S, newest_run
from tests.chaos.tally import Tally, judge
from tests.e2e.harness import VOICE, Ended, Report
from tests.foreign.gateway import CLIENT_ID, CLIENT_SECRET

BILLING = f"genesys://queue/{uuid5(NAMESPACE_URL, 'billing')}"
EXPIRES = {"expires": "61s", "visible": "100ms"}
GATEWAY = {"max_bandwidth_kbps": 4096, "supported_codecs": ["opus"], "max_fps": 60}
RATE = "30000/min"
LONGEST_S = 0.8
TIMED = 0.3
"""The share of kills by the clock alone: while starting, planning, looking at doubts, dialling."""


def conversations(number: int) -> list[str]:
    """Return ids of conversations; each waits in the queue `origin`."""
    return [str(uuid5(NAMESPACE_URL, f"conversation {n}")) for n in range(number)]


@dataclass
class Platform:
    """The face, running; a context. What it does wrong is drawn by `faults`."""

    folder: Path
    zygote: Zygote
    faults: Mapping[str, str] = field(default_factory=dict)
    latency: str = "10ms"
    seed: int = 0

    def __enter__(self) -> Self:
        self.ledger_path = self.folder / "ledger.jsonl"
        told, served = self.folder / "platform-told", self.folder / "platform.yaml"
        os.mkfifo(told)
        (self.folder / "platform-err").touch()
        simulator = {
            "platform": "genesys-cloud",
            "latency": self.latency,
            "seed": self.seed,
            "http_rate": RATE,
            "faults": dict(self.faults),
        }
        served.write_text(
            yaml.safe_dump(_manifest({"driver": "simulator", "simulator": simulator}))
        )
        arguments = ["simulate", "--manifest", str(served), "--port", "0"]
        arguments += ["--ledger", str(self.ledger_path), "--client-id", CLIENT_ID]
        self.process = self.zygote.start(
            arguments,
            self.folder,
            str(told),
            str(self.folder / "platform-err"),
            env={"RUNNER_SIMULATE_CLIENT_SECRET": CLIENT_SECRET},
        )
        with told.open(encoding="utf-8") as lines:
            said = dict(
                line.strip().split(": ", 1) for line in (lines.readline(), lines.readline())
            )
        self.token_url, self.api_url = said["token_url"], said["api_url"]
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def ledger(self) -> list[dict[str, Any]]:
        """Return every whole line of the file."""
        lines = self.ledger_path.read_text("utf-8").split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def moves(self) -> Counter[str]:
        """Return how often each conversation was moved."""
        return Counter(
            line["interaction_id"] for line in self.ledger() if line.get("effect") == "carried_out"
        )


@dataclass
class PlatformWorkspace:
    """A folder with a manifest, a journal and reports; `apply` is run in it."""

    folder: Path
    platform: Platform
    zygote: Zygote
    count: int = 0

    def write(
        self, rows: Sequence[str], *, delivery: Mapping[str, str] | None = None, **policy: Any
    ) -> Path:
        """Write the manifest of a batch; return its path."""
        listed = self.folder / "batch.jsonl"
        listed.write_text("".join(json.dumps({"interaction_id": row}) + "\n" for row in rows))
        environment = {
            "driver": "genesys-cloud",
            "endpoints": {"token_url": self.platform.token_url, "api_url": self.platform.api_url},
            "credentials": {
                "client_id": {"env": "FOREIGN_ID"},
                "client_secret": {"env": "FOREIGN_SECRET"},
            },
            "limits": {"http_rate": RATE, "in_flight": 16},
        }
        content = _manifest(environment, delivery)
        content["transfers"] = [{"from": listed.name}]
        content["policy"] = {**PATIENT, "negotiation_timeout": "5s", **policy}
        path = self.folder / "batch.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
        return path

    def start(self, path: Path) -> tuple[Forked, Path, Path]:
        """Start `apply`; its output goes to files."""
        self.count += 1
        out, err = self.folder / f"out-{self.count}", self.folder / f"err-{self.count}"
        out.touch()
        err.touch()
        process = self.zygote.start(["apply", str(path)], self.folder, str(out), str(err))
        return process, out, err

    def apply(self, path: Path, timeout_s: float = PATIENCE_S) -> Ended:
        """Run `apply` to its end."""
        process, out, err = self.start(path)
        try:
            code = process.wait(timeout_s)
        finally:
            process.kill()
        return Ended(code, out.read_text("utf-8"), err.read_text("utf-8"))

    def report(self) -> Report:
        """Return the newest report."""
        return Report(newest_run(self.folder / "reports" / "batch"))


def _manifest(
    environment: Mapping[str, Any], delivery: Mapping[str, str] | None = None
) -> dict[str, Any]:
    return {
        "version": 1,
        "name": "batch",
        "environment": "platform",
        "environments": {"platform": {**environment, "gateway": "cloud"}},
        "gateways": {"cloud": {**GATEWAY, **({"delivery": dict(delivery)} if delivery else {})}},
        "media": {"voice": VOICE},
        "defaults": {"media": "voice", "destination_uri": BILLING},
        "transfers": [{"interaction_id": conversations(1)[0]}],
    }


def kill_at_random(
    folder: Path,
    zygote: Zygote,
    delivery: Mapping[str, str] | None,
    *,
    transfers: int,
    kills: int,
    seed: int,
) -> Tally:
    """Kill `apply` at random moments of one batch, then let it finish; return what came of it."""
    chance, expected = random.Random(seed), conversations(transfers)
    faults = {"cut": "2%", "slow": "2%"}
    name = "expires" if delivery else "nothing"
    with Platform(folder, zygote, faults, seed=seed) as platform:
        workspace = PlatformWorkspace(folder, platform, zygote)
        path = workspace.write(expected, delivery=delivery)
        died = sum(_killed(workspace, path, chance, transfers / kills) for _ in range(kills))
        _finish(workspace, path)
        return judge(f"kill -9, platform ({name})", died, platform, workspace, expected)


def _killed(workspace: PlatformWorkspace, path: Path, chance: random.Random, step: float) -> bool:
    """Kill a run at a random moment; False: it had ended before."""
    moved = sum(workspace.platform.moves().values())
    process, _, _ = workspace.start(path)
    timed = chance.random() < TIMED
    until = time.monotonic() + (chance.random() * LONGEST_S if timed else PATIENCE_S)
    goal = moved + chance.random() * step
    while time.monotonic() < until and process.poll() is None:
        if not timed and sum(workspace.platform.moves().values()) >= goal:
            break
        process._zygote.code(process.pid, POLL_S / 5)
    had_ended = process.poll() is not None
    process.kill()
    process.wait(PATIENCE_S)
    return not had_ended


def _finish(workspace: PlatformWorkspace, path: Path) -> None:
    for _ in range(3):
        ended = workspace.apply(path)
        if ended.code in {0, 6}:
            workspace.report().check(ended.code)
            return
    raise AssertionError(f"not finished; the last one: {ended}")


def befallen(
    folder: Path,
    zygote: Zygote,
    faults: Mapping[str, str],
    *,
    transfers: int,
    delivery: Mapping[str, str] | None = None,
    seed: int = 1,
) -> Tally:
    """Carry a batch out against a platform that errs, twice; return what came of it."""
    expected = conversations(transfers)
    with Platform(folder, zygote, faults, seed=seed) as platform:
        workspace = PlatformWorkspace(folder, platform, zygote)
        path = workspace.write(expected, delivery=delivery)
        for _ in range(2):
            ended = workspace.apply(path)
            assert ended.code in {0, 1, 6}, ended
            workspace.report().check(ended.code)
        told = ", ".join(f"{name} {share}" for name, share in faults.items())
        return judge(told, None, platform, workspace, expected)
