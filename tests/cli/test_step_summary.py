"""`apply` and `plan` in a step of GitHub Actions: they append to the file that the step is given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.app.step_summary import LARGEST_BYTES, tell_error, tell_report
from runner.core.diagnostics.problem import Place, Problem, Severity
from runner.core.errors import ManifestInvalid, StorageError
from runner.core.exit_code import ExitCode
from runner.core.records.summary import summarize
from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import Step
from tests.report import samples
from tests.report.markdown_page import Page


@pytest.fixture
def file(harness: Harness) -> Path:
    """Name the step's file; it holds what an earlier command of the step wrote."""
    path = harness.folder / "step.md"
    path.write_text("# earlier\n")
    harness.env["GITHUB_STEP_SUMMARY"] = str(path)
    return path


def test_plan_and_apply_append_their_summaries(gateway: Gateway, harness: Harness, file: Path):
    refused = transfer(key="vip|17")
    gateway.scripts[refused["interaction_id"]] = [Step("transfer_rejected", reason="a|b <b>c")]
    path = harness.write(manifest(gateway, [refused, transfer()]))
    assert harness.run("apply", path, "--validate-only").code == 0
    applied = harness.run("apply", path)
    assert applied.code == 1, applied.err
    assert "no summary" not in applied.err
    page = Page(file.read_text("utf-8"))
    run = (harness.folder / "reports" / "batch" / "latest").resolve().name
    assert page.text.startswith("earlier\n📝 planned: batch\n")
    assert "Would be sent" in page.text
    assert "❌ failures: batch\n" in page.text
    assert page.rows[-1] == ["1", "rejected", "a|b <b>c", "vip|17", "batch.yaml:54"]
    assert page.text.rstrip().endswith(
        f"The report lies in reports/batch/{run}: the page there opens offline."
    )


def test_a_manifests_problems_are_reported(gateway: Gateway, harness: Harness, file: Path):
    wrong = [transfer(to=f"genesys://nowhere/{n}") for n in range(25)]
    ended = harness.run("apply", harness.write(manifest(gateway, wrong)), "--output", "json")
    assert ended.code == 3
    page = Page(file.read_text("utf-8"))
    assert "batch.yaml\n25 errors; nothing was sent." in page.text
    assert len(page.rows) == 1 + 20
    assert "batch.yaml:" in page.rows[1][0]
    assert "and 5 more: 5 R006" in page.text
    assert "runner explain R006" in page.text


def test_what_ends_a_plan_early_is_reported(harness: Harness, file: Path):
    assert harness.run("plan", "none.yaml").code == 3
    assert "none.yaml" in Page(file.read_text("utf-8")).text


@pytest.mark.parametrize("place", ["no-such-folder/step.md", ".", "pipe"])
def test_a_summary_that_cannot_be_written_only_warns(
    gateway: Gateway, harness: Harness, place: str
):
    os.mkfifo(harness.folder / "pipe")  # nobody reads it: it must not hold the command up
    harness.env["GITHUB_STEP_SUMMARY"] = str(harness.folder / place)
    ended = harness.run("plan", harness.write(manifest(gateway, [transfer()])))
    assert ended.code == 0
    assert "warning: no summary of this step: " in ended.err
    assert "check $GITHUB_STEP_SUMMARY" in ended.err


def test_what_github_would_not_show_is_not_appended(tmp_path: Path):
    full = tmp_path / "step.md"
    full.write_bytes(b"x" * (LARGEST_BYTES - 100))
    source = samples.mixed(3)
    summary = summarize(source.transfers(), source.figures)
    why = tell_report(source, summary, tmp_path, str(full))
    assert why == f"{full} would become larger than GitHub shows (1 MiB)"
    assert full.stat().st_size == LARGEST_BYTES - 100
    assert "null" in str(tell_report(source, summary, tmp_path, "a\0b"))


def test_errors_and_problems_are_cleaned_and_stay_text(tmp_path: Path):
    file = tmp_path / "step.md"
    text = "<img src=x> | token=abcdef\n# title"
    problems = [
        Problem("X001", text, Place("m|.yaml", 1, 2), text, Severity.WARNING),
        Problem("R005", "twice", Place("m|.yaml", 3, 4), "rename"),
    ]
    invalid = ManifestInvalid(problems, {"R002": 70})
    assert tell_error(invalid, ExitCode.INVALID, tmp_path / "m|.yaml", str(file)) is None
    error = StorageError(f"the disk is full {text}")
    assert tell_error(error, ExitCode.STORAGE, tmp_path / "m|.yaml", str(file)) is None
    page = Page(file.read_text("utf-8"))
    assert page.elements <= {
        *("h2", "p", "code", "strong"),
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    assert "71 errors; nothing was sent." in page.text
    assert page.rows[1:3] == [
        ["m|.yaml:3:4", "R005", "twice", "rename"],
        ["m|.yaml:1:2", "X001 (warning)", *[r"<img src=x> | token=[redacted]\n# title"] * 2],
    ]
    assert "and 70 more: 70 R002" in page.text
    assert page.rows[-2][1].startswith("the disk is full <img src=x> | token=[redacted]")
