"""The whole program against its embedded gateway, whose ledger is the judge."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from asyncio.subprocess import DEVNULL, PIPE
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from websockets.asyncio.client import connect

from runner.simulator.ledger import Carried, read_ledger
from tests.e2e.harness import PATIENCE_S, ROOT, VOICE, Report, command, environment
from tests.fork_server import ForkedProcess
from tests.simulator.clients import FORM, INTERACTION, bearer, receive
from tests.simulator.conftest import Frames

HERE = "genesys://queue/billing-new"


def manifest(
    *, delivery: Mapping[str, str] | None = None, transfers: int = 12, **simulator: Any
) -> dict[str, Any]:
    edge: dict[str, Any] = {
        "max_bandwidth_kbps": 2048,
        "supported_codecs": ["opus"],
        "max_fps": 30,
    }
    return {
        "version": 1,
        "name": "rehearsal",
        "environments": {
            "demo": {
                "driver": "simulator",
                "gateway": "edge",
                "limits": {"in_flight": 1},  # so that a cut session takes no other transfer along
                "simulator": {"latency": "5ms"} | simulator,
            }
        },
        "gateways": {"edge": edge | ({"delivery": dict(delivery)} if delivery else {})},
        "media": {"voice": VOICE},
        "defaults": {"media": "voice", "destination_uri": HERE},
        "policy": {
            "negotiation_timeout": "400ms",
            "retry": {"attempts": 12, "base": "10ms", "cap": "50ms"},
            "circuit_breaker": {"failures": 1000},
        },
        "transfers": [{"interaction_id": f"interaction-{n}"} for n in range(transfers)],
    }


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A folder with a manifest, a journal, the gateway's ledger beside it, and reports."""

    folder: Path
    manifest: Path

    @property
    def ledger(self) -> Path:
        return self.folder / "journal.db.gateway.jsonl"

    def begin(self, *options: str) -> ForkedProcess:
        return ForkedProcess(
            [
                *("apply", str(self.manifest), "--env", "demo"),
                *("--journal", str(self.folder / "journal.db")),
                *("--report-dir", str(self.folder / "reports")),
                *options,
            ],
            cwd=self.folder,
            env=environment(),
        )

    def apply(self, *options: str) -> Report:
        with closing(self.begin(*options)) as process:
            return self.report_of(process)

    def report_of(self, process: ForkedProcess) -> Report:
        out, err = process.communicate(timeout=PATIENCE_S)
        assert "\nreport: " in out, err
        (latest,) = (self.folder / "reports").glob("*/latest")
        report = Report(latest)
        report.check(process.wait())
        return report

    def effects(self) -> list[Carried]:
        return [entry for entry in read_ledger(self.ledger) if isinstance(entry, Carried)]

    def moves(self) -> Counter[str]:
        return Counter(effect.interaction_id for effect in self.effects())


def rehearsal(folder: Path, content: Mapping[str, Any]) -> Rehearsal:
    folder.mkdir(exist_ok=True)
    path = folder / "manifest.yaml"
    path.write_text(yaml.safe_dump(dict(content)), encoding="utf-8")
    return Rehearsal(folder, path)


SILENT = {"muted": "100%"}
CONTENTS = {
    "expires": manifest(
        delivery={"expires": "2s", "visible": "100ms"},
        faults={"muted": "20%", "cut_before": "15%"},
    ),
    "dedupes": manifest(
        delivery={"dedupes": "1h"}, faults={"muted": "10%", "cut": "10%", "cut_before": "30%"}
    ),
    "seen": manifest(transfers=4, faults=SILENT),
    "unseen": manifest(transfers=3, faults={"cut_before": "100%"}),
    "unlisted": manifest(transfers=2, faults={"unlisted": "100%"}),
}


@dataclass(frozen=True, slots=True)
class Rehearsals:
    """Rehearsals that run side by side, since most of their time is spent waiting."""

    running: dict[str, tuple[Rehearsal, ForkedProcess]]

    def ended(self, name: str) -> tuple[Rehearsal, Report]:
        begun, process = self.running[name]
        return begun, begun.report_of(process)


@pytest.fixture(scope="module")
def rehearsals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsals]:
    folder = tmp_path_factory.mktemp("rehearsals")
    every = {name: rehearsal(folder / name, content) for name, content in CONTENTS.items()}
    (folder / "migration").mkdir()
    migration = ROOT / "manifests" / "migration.yaml"
    every["migration"] = Rehearsal(folder / "migration", migration)
    running = {name: (each, each.begin()) for name, each in every.items()}
    yield Rehearsals(running)
    for _, process in running.values():
        process.close()


@pytest.mark.parametrize("promise", ["dedupes", "expires"])
def test_a_promise_that_is_kept_settles_every_doubt(rehearsals: Rehearsals, promise: str) -> None:
    """Whatever is lost on the way, each interaction is moved, and moved once."""
    gateway, report = rehearsals.ended(promise)

    assert report.run["exit_code"] == 0
    assert report.summary["transferred"] == 12
    assert gateway.moves() == {f"interaction-{n}": 1 for n in range(12)}


def test_without_a_promise_an_effect_that_shows_settles_a_doubt(rehearsals: Rehearsals) -> None:
    gateway, report = rehearsals.ended("seen")

    assert report.run["exit_code"] == 0
    assert {each["outcome"] for each in report.by_id.values()} == {"transferred"}
    assert {each["reason"] for each in report.by_id.values()} == {"carried out: seen by its id"}
    assert gateway.moves() == dict.fromkeys(report.by_id, 1)


@pytest.mark.parametrize("name", ["unseen", "unlisted"])
def test_without_a_promise_all_else_stays_in_doubt(rehearsals: Rehearsals, name: str) -> None:
    gateway, report = rehearsals.ended(name)

    assert report.run["exit_code"] == 6
    assert {each["outcome"] for each in report.by_id.values()} == {"in_doubt"}
    assert {len(each["attempts"]) for each in report.by_id.values()} == {1}
    assert not gateway.moves()


def test_the_migration_moves_all_of_its_500_once(rehearsals: Rehearsals) -> None:
    gateway, report = rehearsals.ended("migration")

    assert report.run["exit_code"] == 0
    assert report.summary["transferred"] == report.summary["total"] == 500
    assert gateway.moves() == dict.fromkeys(report.by_id, 1)


def test_a_later_run_finds_what_the_gateway_did_for_one_that_died(tmp_path: Path) -> None:
    """A kill between effect and answer: the ledger beside the journal tells the next run."""
    slow = manifest(transfers=1, latency="200ms", faults={"slow": "100%"})
    slow["policy"]["negotiation_timeout"] = "30s"
    gateway = rehearsal(tmp_path, slow)
    with closing(gateway.begin()) as dying:
        while not (gateway.ledger.exists() and "effect" in gateway.ledger.read_text()):
            with suppress(subprocess.TimeoutExpired):
                pytest.fail(f"the run ended by itself: exit {dying.wait(0.05)}")
        dying.kill()
    report = gateway.apply()

    assert report.run["exit_code"] == 0
    assert report.summary["transferred"] == 1
    assert [effect.message_id for effect in gateway.effects()] == [
        report.by_id["interaction-0"]["message_id"]
    ]


def test_a_new_journal_begins_with_a_gateway_that_has_done_nothing(tmp_path: Path) -> None:
    gateway = rehearsal(tmp_path, manifest(transfers=1))
    first = gateway.apply()
    done = gateway.effects()
    for file in tmp_path.glob("journal.db*"):
        if file != gateway.ledger:
            file.unlink()
    shutil.rmtree(tmp_path / "reports")
    second = gateway.apply()

    assert first.summary["transferred"] == second.summary["transferred"] == 1
    assert len(gateway.effects()) == 1
    assert gateway.effects() != done
    assert gateway.ledger.stat().st_mode & 0o777 == 0o600


def test_a_ledger_that_is_none_stops_the_run_before_anything_is_sent(tmp_path: Path) -> None:
    gateway = rehearsal(tmp_path, manifest(transfers=2))
    gateway.apply("--limit", "1")
    gateway.ledger.write_text("no ledger\n")
    report = gateway.apply()

    assert report.run["exit_code"] == 74
    assert report.summary["unattempted"] == 1


async def test_served_for_other_programs_it_keeps_the_manifests_promise_too(
    tmp_path: Path, http: httpx.AsyncClient, frame: Frames
) -> None:
    gateway = rehearsal(tmp_path, manifest(delivery={"dedupes": "1h"}, transfers=0))
    options = ("--manifest", gateway.manifest, "--port", "0", "--ledger", gateway.ledger)
    serving = await asyncio.create_subprocess_exec(
        *command("simulate", *options), env=environment(), stdout=PIPE, stderr=DEVNULL
    )
    try:
        assert serving.stdout is not None
        told = yaml.safe_load(b"".join([await serving.stdout.readline() for _ in range(5)]))
        client = (told["client_id"], told["client_secret"])
        token = (await http.post(told["token_url"], data=FORM, auth=client)).json()["access_token"]
        async with connect(
            told["websocket_url"], additional_headers=bearer(token), proxy=None
        ) as session:
            for _ in range(2):
                await session.send(frame(media_matrix=VOICE))
            answers = [await receive(session) for _ in range(2)]
    finally:
        serving.kill()
        await serving.communicate()

    assert answers[0] == answers[1]
    assert gateway.moves() == {INTERACTION: 1}
