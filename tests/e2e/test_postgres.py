"""Every command with the journal in PostgreSQL, and the same results as with a file."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from runner.core.transfer.states import Event
from runner.ports import Note
from tests.e2e.harness import Harness, Report, manifest, run, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import Step
from tests.postgres_server import fresh_database


@pytest.fixture
def url() -> str:
    return fresh_database()


def course(gateway: Gateway) -> dict[str, Any]:
    """Return a manifest of which transfers are carried out, rejected, repeated and in doubt."""
    rows = [transfer(f"interaction-{n}") for n in range(12)]
    gateway.scripts["interaction-3"] = [Step("transfer_rejected", reason="no\x00 such queue")]
    gateway.scripts["interaction-4"] = [Step("transfer_rejected", reason="a \x1f b \x1e c")]
    gateway.scripts["interaction-5"] = [Step(mute=True, effect=False)]
    return manifest(gateway, rows) | {
        "policy": {
            "preflight": False,
            "negotiation_timeout": "500ms",
            "retry": {"attempts": 2, "base": "10ms", "cap": "50ms"},
        }
    }


def held_at_a_gate(gateway: Gateway) -> dict[str, Any]:
    """Return a manifest whose second wave's gate fails, after a first with a fallback."""
    rows = [transfer(f"interaction-{n}", fallback=["narrow"]) for n in range(6)]
    gateway.scripts["interaction-0"] = [Step("codec_unsupported"), Step()]
    return manifest(gateway, rows) | {
        "policy": {
            "preflight": False,
            "waves": [{"size": 2, "gates": ["open"]}, {"size": "100%", "gates": ["shut"]}],
        },
        "gates": {"open": {"command": ["true"]}, "shut": {"command": ["false"]}},
    }


def too_many_failures(gateway: Gateway) -> dict[str, Any]:
    """Return a manifest that stops at its threshold, one transfer after the other."""
    rows = [transfer(f"interaction-{n}") for n in range(8)]
    for n in (1, 2, 3):
        gateway.scripts[f"interaction-{n}"] = [Step("transfer_rejected", reason="closed")]
    content = manifest(gateway, rows, limits={"in_flight": 1})
    return content | {"policy": {"preflight": False, "max_failures": 1}}


SCENARIOS = {
    "course": (course, 6, ()),
    "gate": (held_at_a_gate, 5, ()),
    "threshold": (too_many_failures, 5, ("--exclude", "interaction-7")),
}
"""A manifest's builder, the first run's exit code, and its options."""


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Harness, Harness]:
    made = [Harness(tmp_path / name) for name in ("file", "database")]
    for each in made:
        each.folder.mkdir()
    return made[0], made[1]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_same_manifest_gives_the_same_report_with_both_journals(
    pair: tuple[Harness, Harness], url: str, scenario: str
):
    content, code, options = SCENARIOS[scenario]
    reports = []
    for harness, journal in zip(pair, ("j.db", url), strict=True):
        with Gateway() as gateway:
            applied = harness.apply(content(gateway), "--journal", journal, *options)
            assert applied.code == code, applied.ended.err
            applied.report.agree_with(gateway)
            reports.append(comparable(applied.report, gateway))
            applied = harness.apply(content(gateway), "--journal", journal)
            reports.append(comparable(applied.report, gateway))
    assert reports[0] == reports[2]
    assert reports[1] == reports[3]


def comparable(report: Report, gateway: Gateway) -> Any:
    """Return a report without what differs from run to run: times, ids, addresses, paths."""
    text = json.dumps(report.json, indent=1, sort_keys=True)
    text = text.replace(str(report.folder.parents[2]), "FOLDER").replace("\\u2400", "\\u0000")
    ports = {
        url.rpartition(":")[2].partition("/")[0] for url in (gateway.api_url, gateway.websocket_url)
    }
    # A hash may hold a port's digits by chance.
    text = re.sub(rf"(?<![0-9a-f])(?:{'|'.join(ports)})(?![0-9a-f])", "PORT", text)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32,64}|\d{8}T\d{6}Z-[0-9a-f]{6}", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME", text)
    content = json.loads(text)
    content["audit"]["entries"] -= entries_of_a_busy_machine(report)
    return without_measures(content)


def entries_of_a_busy_machine(report: Report) -> int:
    """Count what a run notes of a gateway that answers late, and of intents that grew too old."""
    counts = report.events()
    holds = (Note.ASKED_TO_WAIT, Note.CIRCUIT_OPEN, Note.LOOK_UPS_HELD, Note.GOING_ON)
    return sum(counts[event] for event in holds) + 2 * counts[Event.WITHDRAWN]


MEASURED = re.compile(
    r".*(_s|_ms|_at|latency.*|per_s|peak_in_any_second|timeline|story|pid|options|argv|command)$"
)


def without_measures(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_measures(v) for k, v in value.items() if not MEASURED.match(k)}
    if isinstance(value, list):
        return [without_measures(each) for each in value]
    return value


def test_every_command_reads_and_writes_it(gateway: Gateway, harness: Harness, url: str):
    content = course(gateway)
    planned = harness.run("plan", harness.write(content), "--journal", url, "--out", "p.plan")
    assert planned.code == 0, planned.err
    applied = harness.run("apply", "p.plan", "--journal", url)
    assert applied.code == 6, applied.err
    named = ("--journal", url)
    status = harness.run("status", *named, "--output", "json")
    assert status.code == 0, status.err
    [seen] = json.loads(status.out)["runs"]
    doubtful = harness.run("status", seen["id"], *named)
    assert "interaction-5" in doubtful.out
    watched = harness.run("status", "--watch", *named)
    assert watched.code == 0, watched.err
    assert harness.run("report", seen["id"], *named).code == 0
    resolved = harness.run(
        "resolve", seen["id"], "interaction-5", "--as", "transferred", "--reason", "seen", *named
    )
    assert resolved.code == 0, resolved.err
    verified = harness.run("audit", "verify", seen["id"], *named)
    assert verified.code == 0, verified.out + verified.err
    again = harness.run("apply", harness.write(content), *named)
    assert again.code == 1, again.err
    latest = harness.run("status", *named, "--output", "json")
    assert len(json.loads(latest.out)["runs"]) == 2
    runs = [each["id"] for each in json.loads(latest.out)["runs"]]
    compared = harness.run("report", "--compare", runs[1], runs[0], *named)
    assert compared.code in {0, 1}, compared.err
    pruned = harness.run("reports", "prune", "--keep", "1", "--dry-run")
    assert pruned.code == 0, pruned.err


def test_a_run_that_is_killed_is_carried_on_at_once_by_this_host(
    gateway: Gateway, harness: Harness, url: str
):
    rows = [transfer(f"i-{n}") for n in range(300)]
    path = harness.write(manifest(gateway, rows, limits={"rate": "100/s", "in_flight": 8}))
    with harness.started("apply", path, "--journal", url) as process:
        while len(gateway.effects) < 40:
            assert process.poll() is None
            signal.sigtimedwait([signal.SIGUSR2], 0.02)
        process.kill()
        process.wait()
    resumed = harness.run("apply", path, "--journal", url)
    assert resumed.code in {0, 6}, resumed.err
    moved = [effect.interaction_id for effect in gateway.effects]
    assert len(moved) == len(set(moved))
    held = json.loads(harness.run("status", "--journal", url, "--output", "json").out)
    assert len(set(moved)) + 16 >= 300, held


def test_without_the_extra_the_command_says_what_to_install(tmp_path: Path):
    (tmp_path / "psycopg").mkdir()
    (tmp_path / "psycopg" / "__init__.py").write_text(
        "raise ModuleNotFoundError('none', name='psycopg')"
    )
    ended = run(
        "status", "--journal", "postgresql:///x", cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"},
    )  # fmt: skip
    assert ended.code == 2
    assert "pip install 'interaction-runner[fleet]'" in ended.err


def test_a_password_in_the_url_is_refused_and_not_repeated(harness: Harness):
    ended = harness.run("status", "--journal", "postgresql://u:hunter2@localhost/x")
    assert ended.code == 2
    assert "PGPASSFILE" in ended.err
    assert "hunter2" not in ended.err + ended.out


def test_another_machine_is_reached_by_tls_alone(harness: Harness):
    ended = harness.run("status", "--journal", "postgresql://db.example.net/x")
    assert ended.code == 2
    assert "sslmode=verify-full" in ended.err
