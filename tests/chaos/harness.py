"""The harness of the chaos tests: the gateway's process, a folder, the command line under attack."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Protocol, Self

import yaml

from tests.chaos.forks import Zygote, quiet_environment, state_of
from tests.chaos.settings import Settings
from tests.e2e.harness import Ended, Report, command, manifest

PATIENCE_S = 900.0
"""For a command under attack, on a machine that does much else: nothing is proven by its end."""

POLL_S = 0.05
HERE = "genesys://queue/billing-new"
PATIENT: Mapping[str, Any] = {
    "preflight": True,
    "negotiation_timeout": "1s",
    "retry": {"attempts": 50, "base": "10ms", "cap": "20ms"},
    "circuit_breaker": {"failures": 10_000, "cool_down": "1s", "give_up": "1m"},
}
"""A policy under which faults end no run, and waits are short."""

PROMISES: Mapping[str, Mapping[str, str] | None] = {
    "nothing": None,
    "expires": {"expires": "1s", "visible": "100ms"},
    "dedupes": {"dedupes": "1h"},
}


class Addresses(Protocol):
    """Where a gateway is, or what stands before one."""

    @property
    def token_url(self) -> str: ...
    @property
    def api_url(self) -> str: ...
    @property
    def websocket_url(self) -> str: ...


class GatewayProcess:
    """The gateway, running; a context. Its ledger may be read at any time, and after it."""

    def __init__(self, folder: Path, zygote: Zygote, settings: Settings) -> None:
        self.settings = replace(settings, ledger=str(folder / "ledger.jsonl"))
        self.notes: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()
        self._folder = folder
        self._zygote = zygote
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        told = self._folder / "gateway-told"
        os.mkfifo(told)
        arguments = [json.dumps(asdict(self.settings))]
        self.process = self._zygote.start(
            arguments, self._folder, str(told), os.devnull, program="gateway"
        )
        self._told = told.open(encoding="utf-8")
        self.port = int(json.loads(self._told.readline())["port"])
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self._listener.join()
        self._told.close()

    @property
    def token_url(self) -> str:
        return f"{self.api_url}/oauth/token"

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/api/v2/websocket"

    def ledger(self) -> list[dict[str, Any]]:
        """Return every line of the file."""
        text = Path(self.settings.ledger).read_text("utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def moves(self) -> Counter[str]:
        """Return how often each interaction was moved, by the file."""
        return Counter(n["interaction_id"] for n in self.ledger() if n["event"] == "moved")

    def of(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of one event, by the file."""
        return [note for note in self.ledger() if note["event"] == event]

    def wait_for(
        self,
        true: Callable[[], bool],
        timeout_s: float = PATIENCE_S,
        running: Running | None = None,
    ) -> bool:
        """Wait until what the ledger tells makes it so; False: time is up, or `running` ended."""
        until = time.monotonic() + timeout_s
        with self._changed:
            while not true():
                left_s = until - time.monotonic()
                ended = running is not None and running.process.poll() is not None
                if left_s <= 0 or ended:
                    return true()
                self._changed.wait(min(left_s, POLL_S))
        return True

    def _listen(self) -> None:
        for line in self._told:
            note = json.loads(line)
            with self._changed:
                self.notes.append(note)
                self.counts[note["event"]] += 1
                self._changed.notify_all()


class Process(Protocol):
    """What `subprocess.Popen` and `Forked` have in common."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float) -> int: ...
    def send_signal(self, number: int, /) -> None: ...
    def kill(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Running:
    """A command that runs; its output goes to files, so that nobody need read it meanwhile."""

    process: Process
    out: Path
    err: Path

    def ended(self, timeout_s: float = PATIENCE_S) -> Ended:
        """Wait for the end."""
        code = self.process.wait(timeout_s)
        return Ended(code, self.out.read_text("utf-8"), self.err.read_text("utf-8"))


@dataclass(slots=True)
class Workspace:
    """A folder with a manifest, a journal and reports; the command line is run in it."""

    folder: Path
    gateway: Addresses
    zygote: Zygote
    _started: count[int] = field(default_factory=count)

    def write(
        self,
        interactions: Sequence[str],
        *,
        promise: str = "nothing",
        batch: str = "batch",
        preflight: bool = False,
        delivery: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> Path:
        """Write a manifest of transfers whose rows lie in a file beside it; return its path."""
        rows = self.folder / f"{batch}.jsonl"
        rows.write_text("".join(_row(name) for name in interactions), "utf-8")
        content = manifest(
            self.gateway, [{"from": rows.name}], name=batch, preflight=preflight, **fields
        )
        if (promised := delivery or PROMISES[promise]) is not None:
            content["gateways"]["edge"]["delivery"] = dict(promised)
        path = self.folder / f"{batch}.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
        return path

    @contextmanager
    def started(
        self,
        path: Path,
        *options: str,
        before: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> Iterator[Running]:
        """Start `apply`, under another command where one is given; it does not outlive the block."""
        n = next(self._started)
        out, err = self.folder / f"out-{n}", self.folder / f"err-{n}"
        arguments = ["apply", str(path), *options]
        out.touch()
        err.touch()
        process: Process
        if before:
            process = self._under(before, arguments, out, err, env or {})
        else:
            process = self.zygote.start(arguments, self.folder, str(out), str(err), env=env)
        try:
            yield Running(process, out, err)
        finally:
            process.kill()
            process.wait(PATIENCE_S)

    def apply(
        self,
        path: Path,
        *options: str,
        before: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> Ended:
        """Run `apply` to its end."""
        with self.started(path, *options, before=before, env=env) as running:
            return running.ended()

    def report(self, batch: str = "batch") -> Report:
        """Return the newest report of a batch."""
        return Report(newest_run(self.folder / "reports" / batch))

    def _under(
        self,
        before: Sequence[str],
        arguments: Sequence[str],
        out: Path,
        err: Path,
        env: Mapping[str, str],
    ) -> subprocess.Popen[bytes]:
        with out.open("wb") as out_file, err.open("wb") as err_file:
            return subprocess.Popen(
                [*before, *command(*arguments)],
                cwd=self.folder,
                env=quiet_environment() | state_of(self.folder) | dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
            )


def newest_run(batch: Path) -> Path:
    """Return the newest run's folder: `latest` stays on the newest that did something."""
    reports = [each for each in batch.glob("*/report.json") if not each.parent.is_symlink()]
    return max(reports, key=lambda report: report.stat().st_mtime_ns).parent


def names(number: int, batch: str = "i") -> list[str]:
    """Return ids of interactions."""
    return [f"{batch}-{n:05d}" for n in range(number)]


def _row(name: str) -> str:
    return json.dumps({"interaction_id": name, "destination_uri": HERE}) + "\n"
