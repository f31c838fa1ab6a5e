"""File names of hostile characters: in visible form wherever a command shows them."""

from __future__ import annotations

import pytest

from tests.e2e.harness import Ended, Harness
from tests.hazards.harmless import assert_harmless

NAME = "a\x1b[31mred\x07\x9b\u202e"
SHOWN = r"a\x1b[31mred\x07\x9b\u{202e}"


def harmless(ended: Ended) -> Ended:
    assert_harmless(ended.out.replace("\r\n", "\n"))
    assert_harmless(ended.err)
    return ended


@pytest.fixture
def begun(harness: Harness) -> Harness:
    ended = harmless(harness.run("init", NAME))
    assert ended.code == 0
    assert f"wrote {SHOWN}/manifest.yaml" in ended.out
    return harness


def test_every_command_shows_them_harmlessly(begun: Harness):
    manifest = f"{NAME}/manifest.yaml"
    journal = ("--journal", f"{NAME}/{NAME}.db")
    reports = ("--report-dir", f"{NAME}/{NAME}")
    plan = ("plan", manifest, *reports, *journal, "--out")
    assert f"plan: {SHOWN}/{SHOWN}.json" in harmless(begun.run(*plan, f"{NAME}/{NAME}.json")).err
    assert harmless(begun.run(*plan, manifest)).code == 2
    applied = harmless(begun.run("apply", manifest, *journal, *reports, "-vv"))
    assert applied.code == 0
    assert f"report: {SHOWN}" in applied.out
    for command in (
        ("init", NAME),
        ("status", *journal),
        ("status", "latest", *journal),
        ("status", "--journal", NAME),
        ("report", "latest", *journal, *reports),
        ("report", "latest", *journal, "--out", f"{NAME}/out{NAME}"),
        ("audit", "verify", "latest", *journal, *reports),
        ("audit", "verify", NAME + "/x"),
        ("reports", "prune", *reports, "--dry-run"),
        ("reports", "prune", "--report-dir", "x" + NAME, "--dry-run"),
        ("apply", "x" + NAME),
        ("simulate", "--ledger", f"x/{NAME}", "--port", "0"),
        ("simulate", "--certificate", NAME + "x", "--port", "0"),
    ):
        harmless(begun.run(*command))


@pytest.mark.parametrize("form", ["html", "json", "junit", "csv", "md"])
def test_a_report_on_the_terminal_is_harmless(begun: Harness, form: str):
    journal = ("--journal", f"{NAME}/{NAME}.db")
    reports = ("--report-dir", f"{NAME}/{NAME}")
    assert begun.run("apply", f"{NAME}/manifest.yaml", *journal, *reports).code == 0
    ended = begun.run("report", "latest", *journal, *reports, "--format", form, "--out", "-")
    assert ended.code == 0
    harmless(ended)
