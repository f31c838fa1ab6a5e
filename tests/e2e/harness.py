"""What every end-to-end test works with: the real command line, manifests, and what a run left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import jsonschema_rs
import yaml

from runner.report.audit_verification import verify_audit
from tests.foreign.gateway import CLIENT_ID, CLIENT_SECRET, Gateway
from tests.fork_server import ForkedProcess

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 180.0
AT_START = (
    "PYTHON",
    "LC_",
    "LANG",
    "LD_",
    "TZ",
    "HOME",
    "TMPDIR",
    "TERM",
)
"""How variables begin that an interpreter, or a library when it is imported, reads once."""
REPORT_SCHEMA = jsonschema_rs.validator_for(
    json.loads((ROOT / "schemas" / "report.v1.schema.json").read_text("utf-8"))
)
OUTCOMES = (
    "transferred",
    "rejected",
    "failed",
    "skipped",
    "in_doubt",
    "unattempted",
    "unchanged",
)
HERE = "genesys://queue/billing-new"
ELSEWHERE = "genesys://queue/billing-other"
VOICE = {"audio": {"codec": "opus", "bandwidth_kbps": 64, "bit_depth": 16}}
NARROW = {"audio": {"codec": "pcmu", "bandwidth_kbps": 64, "bit_depth": 8}}
VIDEO = VOICE | {
    "video": {"codec": "vp8", "bandwidth_kbps": 1200, "resolution": "1280x720", "fps": 30}
}


def environment() -> dict[str, str]:
    """Return a process environment without what would change the program's behaviour."""
    ours = ("RUNNER_", "OTEL_", "NO_COLOR", "CI", "GITHUB_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return kept | {
        "PYTHONPATH": str(ROOT),
        "FOREIGN_ID": CLIENT_ID,
        "FOREIGN_SECRET": CLIENT_SECRET,
    }


def command(*arguments: str | Path) -> list[str]:
    """Return the command line that starts the program."""
    return [sys.executable, "-m", "runner", *map(str, arguments)]


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of one event."""
        lines = [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]


def run(
    *arguments: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    text: str = "",
    fresh: bool = False,
) -> Ended:
    """Run a command to its end.

    It is forked from a process that has imported the program, unless an interpreter of its own is
    wanted (`fresh`) or a variable acts while one starts.
    """
    with started(*arguments, cwd=cwd, env=env, fresh=fresh) as child:
        out, err = child.communicate(text, timeout=PATIENCE_S)
        return Ended(child.wait(), out, err)


Process = ForkedProcess | subprocess.Popen[str]


@contextmanager
def started(
    *arguments: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    fresh: bool = False,
) -> Iterator[Process]:
    """Start a command as `run` does; it does not outlive the block."""
    variables = environment() | {"RUNNER_LOG_FORMAT": "json"} | dict(env or {})
    if not fresh and not any(name.startswith(AT_START) for name in env or {}):
        forked = ForkedProcess([str(each) for each in arguments], cwd=cwd, env=variables)
        try:
            yield forked
        finally:
            forked.close()
        return
    with subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)


def transfer(interaction_id: str | None = None, to: str = HERE, **fields: Any) -> dict[str, Any]:
    """Return a manifest's transfer, of an interaction of its own unless one is given."""
    return {"interaction_id": interaction_id or str(uuid4()), "destination_uri": to, **fields}


def ids(transfers: Sequence[Mapping[str, Any]]) -> list[str]:
    return [transfer["interaction_id"] for transfer in transfers]


class Addresses(Protocol):
    """The addresses of a gateway, or of a proxy before one."""

    @property
    def token_url(self) -> str: ...
    @property
    def api_url(self) -> str: ...
    @property
    def websocket_url(self) -> str: ...


def manifest(
    gateway: Addresses,
    transfers: Sequence[Mapping[str, Any]],
    *,
    preflight: bool = False,
    name: str = "batch",
    limits: Mapping[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Return a manifest for the foreign gateway, with short waits."""
    return {
        "version": 1,
        "name": name,
        "environment": "foreign",
        "environments": {
            "foreign": {
                "driver": "interaction-websocket",
                "endpoints": {
                    "token_url": gateway.token_url,
                    "api_url": gateway.api_url,
                    "websocket_url": gateway.websocket_url,
                },
                "credentials": {
                    "client_id": {"env": "FOREIGN_ID"},
                    "client_secret": {"env": "FOREIGN_SECRET"},
                },
                "gateway": "edge",
                "limits": dict(limits or {}),
            }
        },
        "gateways": {
            "edge": {
                "max_bandwidth_kbps": 2048,
                "supported_codecs": ["opus", "pcmu", "vp8"],
                "max_fps": 30,
            }
        },
        "media": {"voice": VOICE, "narrow": NARROW, "video": VIDEO},
        "defaults": {"media": "voice"},
        "policy": {
            "preflight": preflight,
            "negotiation_timeout": "3s",
            "retry": {"attempts": 3, "base": "10ms", "cap": "50ms"},
        },
        "transfers": list(transfers),
        **fields,
    }


@dataclass(slots=True)
class Harness:
    """One folder with manifests, a journal and reports; the command line is run in it."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    fresh: bool = False  # an interpreter of its own for each command

    def write(self, content: Mapping[str, Any], name: str = "batch.yaml") -> Path:
        path = self.folder / name
        path.write_text(yaml.safe_dump(dict(content), sort_keys=False), encoding="utf-8")
        return path

    def run(self, *arguments: str | Path) -> Ended:
        return run(*arguments, cwd=self.folder, env=self.env, fresh=self.fresh)

    def started(self, *arguments: str | Path) -> AbstractContextManager[Process]:
        return started(*arguments, cwd=self.folder, env=self.env, fresh=self.fresh)

    def run_together(self, *commands: Sequence[str | Path]) -> list[Ended]:
        """Run commands that have nothing to do with each other at the same time."""
        with ThreadPoolExecutor() as pool:
            return list(pool.map(lambda arguments: self.run(*arguments), commands))

    def apply(self, content: Mapping[str, Any], *options: str) -> Applied:
        """Write a manifest, apply it, and read what the run left."""
        ended = self.run("apply", self.write(content), *options)
        assert "\nreport: " in ended.out, ended
        report = Report(self.folder / ended.out.rpartition("\nreport: ")[2].strip())
        report.check(ended.code)
        return Applied(ended, report)

    @staticmethod
    def report(folder: Path) -> Report:
        return Report(folder)

    def newest_report(self, batch: str = "batch") -> Report:
        return Report(self.folder / "reports" / batch / "latest")


class Report:
    """A run's report folder; reading it checks what holds for every run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.json: dict[str, Any] = json.loads((folder / "report.json").read_text("utf-8"))
        self.by_id = {each["interaction_id"]: each for each in self.json["transfers"]}
        self.summary = self.json["summary"]
        self.run = self.json["run"]

    def check(self, exit_code: int) -> None:
        """Assert what holds for every report: its schema, its sums, its chain, its exit code."""
        REPORT_SCHEMA.validate(self.json)
        with (self.folder / "audit.jsonl").open(encoding="utf-8") as lines:
            audit = verify_audit(lines)
        assert audit.ok, audit.fault
        assert self.json["audit"] == {"entries": audit.entries, "head": audit.head}
        counted = Counter(each["outcome"] for each in self.json["transfers"])
        assert self.summary["total"] == len(self.json["transfers"])
        assert {name: self.summary[name] for name in OUTCOMES} == {n: counted[n] for n in OUTCOMES}
        assert self.run["exit_code"] == exit_code

    def events(self) -> Counter[str]:
        """Count the entries of its audit chain by what they are about."""
        lines = (self.folder / "audit.jsonl").read_text("utf-8").splitlines()[1:]
        return Counter(json.loads(line)["entry"]["event"] for line in lines)

    def agree_with(self, gateway: Gateway) -> None:
        """Assert that the gateway saw what the report tells, transfer by transfer."""
        for name, result in self.by_id.items():
            delivered = [frame.id for frame in gateway.deliveries(name)]
            attempted = [attempt["message_id"] for attempt in result["attempts"]]
            assert attempted == delivered[len(delivered) - len(attempted) :]
            moves = [effect.destination_uri for effect in gateway.moves(name)]
            if result["outcome"] == "transferred":
                assert moves.count(result["destination_uri"]) == 1
            elif result["outcome"] in {"rejected", "failed", "skipped"}:
                assert result["destination_uri"] not in moves


@dataclass(frozen=True, slots=True)
class Applied:
    """An `apply` that has ended, and its report."""

    ended: Ended
    report: Report

    @property
    def code(self) -> int:
        return self.ended.code

    def outcomes(self) -> dict[str, str]:
        return {name: each["outcome"] for name, each in self.report.by_id.items()}
