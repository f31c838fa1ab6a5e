"""Text from a hostile gateway, through the real command line into everything that shows it."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.e2e.harness import Applied, Harness, command, environment, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import Interaction, Step
from tests.hazards.harmless import assert_harmless

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m"
BREAKS = "one\r\ntwo\n::error::three\u2028four"
BIDI = "\u202egnp.exe\u2066"
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>"
SCRIPT_END = "</script><!--<script>"
FORMULAS = ("=cmd|'/c calc'!A1", " =1+1", "+1", "-1", "@SUM(A1)", "\t=2")
HOSTILE = (ESCAPES, BREAKS, BIDI, MARKUP, SCRIPT_END, *FORMULAS)
PAINT = re.compile(r"\x1b\[[0-9;]*[mKhlABG]|\x1b\[\?25[hl]")


def provoked(gateway: Gateway, harness: Harness, *options: str) -> Applied:
    """Return a run that was told hostile texts in every field that a gateway may fill."""
    transfers = []
    for text in HOSTILE:
        by_reason, by_status, by_state = transfer(), transfer(), transfer()
        gateway.scripts[by_reason["interaction_id"]] = [Step("transfer_rejected", reason=text)]
        gateway.scripts[by_status["interaction_id"]] = [Step(text, effect=False)]
        gateway.interactions[by_state["interaction_id"]] = Interaction("x", text, text, text)
        transfers += [by_reason, by_status, by_state]
    stray = transfer()
    gateway.scripts[stray["interaction_id"]] = [Step(raw=f"no JSON {ESCAPES}{BREAKS}")]
    closing = transfer()
    gateway.scripts[closing["interaction_id"]] = [
        Step(close_code=1011, close_reason=f"{ESCAPES[:40]}{MARKUP[:20]}", effect=False)
    ]
    content = manifest(gateway, [*transfers, stray, closing], preflight=True)
    return harness.apply(content, "--log-file", "run.log", *options)


@pytest.mark.parametrize("log_format", ["pretty", "json"])
def test_what_is_shown_is_harmless(gateway: Gateway, harness: Harness, log_format: str):
    """No control character, no bidirectional one, and one line a log event."""
    applied = provoked(gateway, harness, "--log-format", log_format, "-vv")
    assert applied.code == 6
    log = (harness.folder / "run.log").read_text("utf-8")
    for text in (applied.ended.out, applied.ended.err, log):
        assert_harmless(text)
    shape = r"\{.*\}" if log_format == "json" else r"\d\d:\d\d:\d\dZ (info|warning|error) .*"
    assert all(re.fullmatch(shape, line) for line in log.splitlines())
    assert not re.search("^::", applied.ended.out, re.MULTILINE)


def test_a_terminal_is_sent_no_sequence_but_our_own(gateway: Gateway, harness: Harness):
    """On a real terminal: with colours and the bar, and still nothing that the gateway said."""
    one, two = transfer(), transfer()
    gateway.scripts[one["interaction_id"]] = [Step("transfer_rejected", reason=ESCAPES + BIDI)]
    gateway.scripts[two["interaction_id"]] = [Step(ESCAPES, effect=False)]
    path = harness.write(manifest(gateway, [one, two]))
    shown = on_a_terminal(command("apply", path, "--yes", "-vv"), cwd=harness.folder)
    assert "owned" in shown
    assert "\x1b]" not in shown
    assert "\x07" not in shown
    assert_harmless(PAINT.sub("", shown), but="\r\x1b")
    assert not re.search(r"\x1b(?!\[)", PAINT.sub("", shown))


def on_a_terminal(arguments: list[str], cwd: Path) -> str:
    """Return what a command writes to a terminal that it believes to be real."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        arguments,
        cwd=cwd,
        env=environment() | {"TERM": "xterm-256color"},
        stdin=follower,
        stdout=follower,
        stderr=follower,
    ) as process:
        os.close(follower)
        shown = b""
        while chunk := _read(leader):
            shown += chunk
    os.close(leader)
    assert process.returncode == 6, shown
    return shown.decode("utf-8")


def _read(leader: int) -> bytes:
    try:
        return os.read(leader, 65_536)
    except OSError:  # the last writer has closed its end
        return b""


def test_reports_carry_it_as_text_alone(gateway: Gateway, harness: Harness):
    """HTML, JSON, JUnit, CSV and Markdown each hold the gateway's words, and none of its tricks."""
    applied = provoked(gateway, harness)
    run_id = applied.report.run["id"]
    journal = str(harness.folder / ".runner" / "foreign.db")
    ended = harness.run(
        "report", run_id, "--journal", journal, "--format", "html,json,junit,csv,md"
    )
    assert ended.code == 0, ended
    folder = applied.report.folder
    page = (folder / "report.html").read_text("utf-8")
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert page.count("</script") == page.count("<script ") + page.count("<script>")
    assert_harmless(page)
    for name in ("report.json", "audit.jsonl"):
        assert_harmless((folder / name).read_text("utf-8"))
    assert_cells_are_no_formulas(folder)
    [junit] = folder.glob("*.xml")
    assert "alert(1)" in "".join(ET.parse(junit).getroot().itertext()) or "alert(1)" in (
        junit.read_text("utf-8")
    )
    assert_harmless(junit.read_text("utf-8"))
    summary = (folder / "report.md").read_text("utf-8")
    assert "&#60;script&#62;alert(1)" in summary
    assert "<script" not in summary
    assert_harmless(summary)


def assert_cells_are_no_formulas(folder: Path) -> None:
    [table] = folder.glob("*.csv")
    with table.open(newline="", encoding="utf-8-sig") as rows:
        cells = [cell for row in csv.reader(rows) for cell in row]
    assert any("calc" in cell for cell in cells)
    for cell in cells:
        assert not cell.lstrip().startswith(("=", "+", "-", "@")), cell
        assert_harmless(cell)


@pytest.mark.parametrize("output", ["json", "github"])
def test_programs_read_it_as_one_value(gateway: Gateway, harness: Harness, output: str):
    """A line that the gateway made up is none of GitHub's commands, and JSON stays one document."""
    one = transfer()
    gateway.scripts[one["interaction_id"]] = [Step("transfer_rejected", reason=BREAKS + ESCAPES)]
    ended = harness.run("apply", harness.write(manifest(gateway, [one])), "--output", output)
    assert ended.code == 1, ended
    assert_harmless(ended.out)
    if output == "json":
        assert json.loads(ended.out)
    commands = [line for line in ended.out.splitlines() if line.startswith("::error::three")]
    assert commands == []
