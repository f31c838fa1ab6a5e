"""Every command of the program, and every exit that needs no gateway."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import xml.etree.ElementTree as ET
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.e2e.harness import PATIENCE_S, ROOT, Harness, ids, manifest, started, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import Step

WAITING = "guarded-cutover"
"""It waits for a person, who is below."""

MANIFESTS = sorted(path for path in (ROOT / "manifests").glob("*.yaml") if path.stem != WAITING)
NO_SOCKETS = """
import sys

def _forbid(event, arguments):
    if event in {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"}:
        raise SystemExit(f"forbidden: {event} {arguments}")
    if event in {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"}:
        raise SystemExit(f"forbidden: {event} {arguments}")

sys.addaudithook(_forbid)
"""


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_every_example_applies(path: Path, harness: Harness):
    """Against the embedded gateway, and with exit 0."""
    ended = harness.run("apply", path, "--env", "demo", "--journal", "j.db", "--limit", "100")
    assert ended.code == 0, ended.err
    [latest] = (harness.folder / "reports").glob("*/latest")
    harness.report(latest).check(0)


def test_the_guarded_cut_over_applies_once_a_person_confirms(harness: Harness):
    path = ROOT / "manifests" / f"{WAITING}.yaml"
    with harness.started("apply", path, "--journal", "j.db") as process:
        while process.poll() is None:
            harness.run("control", "continue", "--journal", "j.db")
            with suppress(subprocess.TimeoutExpired):
                process.wait(1)
    assert process.returncode == 0
    report = harness.newest_report(WAITING)
    report.check(0)
    assert report.json["destinations"]
    assert [gate["verdict"] for gate in report.json["gates"]][:1] == ["pass"]


def test_a_dry_run_opens_no_socket_and_starts_no_process(gateway: Gateway, harness: Harness):
    """An audit hook forbids both; the plan's report is there, the journal is not."""
    (harness.folder / "hook").mkdir()
    (harness.folder / "hook" / "sitecustomize.py").write_text(NO_SOCKETS)
    harness.env["PYTHONPATH"] = f"{harness.folder / 'hook'}:{ROOT}"
    content = manifest(gateway, [transfer() for _ in range(3)])
    guarded = harness.run("apply", path := harness.write(content))
    assert "forbidden: socket" in guarded.err + guarded.out, "the hook itself must work"
    for left in (".runner", "reports"):
        shutil.rmtree(harness.folder / left)
    shutil.rmtree(os.environ["XDG_STATE_HOME"])  # the registry would know of the journal
    script = harness.folder / "ran-the-command"
    secret = harness.folder / "secret.sh"
    secret.write_text(f"#!/bin/sh\ntouch {script}\n")
    secret.chmod(0o700)
    credentials = content["environments"]["foreign"]["credentials"]
    credentials["client_secret"] = {"command": [str(secret)]}
    dry = harness.run("apply", harness.write(content), "--validate-only")
    assert dry.code == 0, dry.err
    assert not script.exists()
    assert not (harness.folder / ".runner").exists()
    [folder] = (harness.folder / "reports" / "batch").glob("plan-*")
    report = harness.report(folder)
    assert (folder / "report.html").exists()
    assert report.run["outcome"] == "planned"
    assert report.json["plan"]["send"] == 3
    assert {each["outcome"] for each in report.json["transfers"]} == {"unattempted"}
    assert not (harness.folder / "reports" / "batch" / "latest").exists()
    planned = harness.run("plan", path, "--detailed-exitcode")
    assert planned.code == 10, planned.err
    assert not gateway.token_requests


def test_a_report_is_rendered_again_in_every_form(gateway: Gateway, harness: Harness):
    """From the journal alone, and to the same figures."""
    evil = transfer(key="evil")
    said = '=cmd|"/c calc"!A1 <script>alert(1)</script>\x1b[31m\nsecond line'
    gateway.scripts[evil["interaction_id"]] = [Step("transfer_rejected", reason=said)]
    applied = harness.apply(manifest(gateway, [evil, transfer()]))
    assert applied.code == 1
    assert "\x1b" not in applied.ended.out + applied.ended.err
    run = applied.report.run["id"]
    again = harness.run(
        "report",
        run,
        *("--journal", ".runner/foreign.db", "--report-dir", "again"),
        *("--format", "html,json,csv,junit"),
    )
    assert again.code == 0, again.err
    folder = harness.folder / "again" / "batch" / run
    report = json.loads((folder / "report.json").read_text("utf-8"))
    assert report == applied.report.json
    html = (folder / "report.html").read_text("utf-8")
    assert '<li id="m1"><code>' in html  # the manifest's lines, from the journal
    assert "<script>alert(1)" not in html
    [table] = folder.glob("*.csv")
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["key"] for row in rows] == [each["key"] for each in report["transfers"]]
    assert not any(
        (cell or "").startswith(("=", "+", "-", "@")) for row in rows for cell in row.values()
    )
    [junit] = folder.glob("*.xml")
    suite = ET.parse(junit).getroot()
    assert len(list(suite.iter("testcase"))) == 2
    assert len(list(suite.iter("failure"))) == 1
    unknown = harness.run("report", "no-such-run", "--journal", ".runner/foreign.db")
    assert unknown.code == 2
    assert "no-such-run" in unknown.err


def test_the_first_manifest_runs(harness: Harness):
    made = harness.run("init", "mine")
    assert made.code == 0, made.err
    [path] = (harness.folder / "mine").glob("*.yaml")
    ended = harness.run("apply", path)
    assert ended.code == 0, ended.err
    assert (path.parent / ".runner").is_dir()
    refused = harness.run("init", "mine")
    assert refused.code == 2, "what a person wrote is never written over"


def test_schemas_are_printed(harness: Harness):
    names = ("manifest", "interaction-transfer", "report", "result", "no-such-schema")
    *printed, unknown = harness.run_together(*(("schema", name) for name in names))
    for each in printed:
        assert each.code == 0, each.err
        assert json.loads(each.out)["$schema"].endswith("2020-12/schema")
    assert unknown.code == 2


def test_the_embedded_gateway_serves_other_programs(gateway: Gateway, harness: Harness):
    """What it prints is all that a manifest needs; the ledger tells every effect."""
    content = manifest(gateway, [transfer() for _ in range(5)], preflight=True)
    arguments = ("simulate", "--port", "0", "--ledger", "ledger.jsonl")
    with started(*arguments, cwd=harness.folder) as serving:
        assert serving.stdout is not None
        printed = dict(serving.stdout.readline().strip().split(": ") for _ in range(5))
        environment = content["environments"]["foreign"]
        environment["endpoints"] = {name: printed[name] for name in environment["endpoints"]}
        harness.env["FOREIGN_ID"] = printed["client_id"]
        harness.env["FOREIGN_SECRET"] = printed["client_secret"]
        applied = harness.apply(content)
        serving.send_signal(signal.SIGTERM)
        serving.communicate()
        assert serving.returncode in {0, 143}
    assert applied.code == 0, applied.ended.err
    ledger = (harness.folder / "ledger.jsonl").read_text("utf-8").splitlines()
    effects = [line for line in map(json.loads, ledger) if "effect" in line]
    assert sorted(effect["interaction_id"] for effect in effects) == sorted(
        ids(content["transfers"])
    )
    assert not gateway.token_requests


def test_the_platform_s_face_is_served_too_and_ends_at_a_signal(harness: Harness):
    """The signal comes while an answer may still be on its way out of the event loop."""
    for _ in range(3):
        with harness.started("simulate", "--platform", "genesys-cloud", "--port", "0") as serving:
            assert serving.stdout is not None
            result = dict(serving.stdout.readline().strip().split(": ") for _ in range(4))
            assert set(result) == {"token_url", "api_url", "client_id", "client_secret"}
            client = (result["client_id"], result["client_secret"])
            form = {"grant_type": "client_credentials"}
            granted = httpx.post(result["token_url"], data=form, auth=client, trust_env=False)
            serving.send_signal(signal.SIGTERM)
            serving.communicate(timeout=PATIENCE_S)
        assert granted.status_code == 200
        assert serving.returncode in {0, 143}


USAGE = (
    ["apply", "batch.yaml", "--no-such-option"],
    ["frobnicate"],
    ["apply", "batch.yaml", "--rate", "fast"],
    ["apply", "batch.yaml", "--limit", "-1"],
    ["apply"],
    ["apply", "batch.yaml", "--output", "xml"],
)


def test_wrong_options_are_usage_errors(harness: Harness):
    for arguments, ended in zip(USAGE, harness.run_together(*USAGE), strict=True):
        assert (ended.code, ended.out) == (2, ""), arguments
        assert "Traceback" not in ended.err


def test_what_is_not_there_is_named(gateway: Gateway, harness: Harness):
    path = harness.write(manifest(gateway, [transfer()]))
    missing, unknown, folder = harness.run_together(
        ["apply", "no-such.yaml"], ["apply", path, "--env", "foreing"], ["apply", "."]
    )
    assert [missing.code, unknown.code, folder.code] == [3, 3, 3]
    assert "no-such.yaml" in missing.err
    assert "did you mean `foreign`?" in unknown.err
    assert "Traceback" not in folder.err


def test_unusable_files_are_storage_errors_not_bugs(gateway: Gateway, harness: Harness):
    """A folder for a journal, links in a circle, a name that no file system takes."""
    path = harness.write(manifest(gateway, [transfer()]))
    (harness.folder / "circle").symlink_to("circle")
    long = "n" * 300
    lines: list[list[str | Path]] = [
        ["apply", path, "--journal", "."],
        ["apply", path, "--journal", harness.folder],
        ["apply", path, "--journal", "circle"],
        ["apply", path, "--journal", long],
        ["apply", path, "--report-dir", long],
        ["plan", path, "--journal", long],
        ["plan", path, "--out", long],
        ["status", "--journal", long],
        ["resolve", "run", "key", "--as", "failed", "--reason", "told", "--journal", long],
    ]
    for line, ended in zip(lines, harness.run_together(*lines), strict=True):
        assert ended.code == 74, (line, ended.err)
        assert str(line[-1]) in ended.out + ended.err, line
        assert "internal error" not in ended.err, line
    assert not gateway.frames
    assert not (harness.folder / "...lock").exists()
