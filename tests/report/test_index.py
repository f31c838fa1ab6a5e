"""The list of reports: every batch, its newest runs, and nothing else that lies there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner.core.errors import UsageError
from runner.report.index import write_index
from runner.report.stored_reports import INDEXED_RUNS
from runner.report.writer import write_report
from tests.report import samples


def run_at(root: Path, day: int, *, batch: str = "billing", driver: str = "genesys-cloud") -> str:
    """Write the report of a run that began on a day of December, and return its id."""
    name = f"202612{day:02d}T210000Z-00000{day % 10}"
    at = f"2026-12-{day:02d}T21:00:00.000000Z"
    record = replace(samples.RUN, id=name, batch=batch, driver=driver, started_at=at)
    write_report(replace(samples.mixed(12), run=record), root)
    return name


def test_batches_are_listed_with_their_newest_runs_first(tmp_path: Path):
    first, last = run_at(tmp_path, 1), run_at(tmp_path, 2)
    run_at(tmp_path, 3, batch="nightly", driver="simulator")
    page = write_index(tmp_path).read_text()
    assert page.index("nightly") < page.index("billing")
    assert page.count(f'href="billing/{last}/report.html"') == 2  # the newest, and its bar
    assert page.count(f'href="billing/{first}/report.html"') == 1
    assert "2026-12-02 21:00:00 UTC, in-doubt: 1 in doubt, 1 failed, 1 rejected" in page
    assert page.count("Live") == page.count("Simulator") == 1


def test_approvals_and_signatures_are_named_as_what_they_are(tmp_path: Path):
    record = replace(samples.guarded().run, id="20261201T210000Z-000001")
    folder = write_report(replace(samples.guarded(), run=record), tmp_path)
    (folder / "head.json.loose.sig").write_text("no head: not counted")
    assert "beside it" not in write_index(tmp_path).read_text()
    (folder / "head.json").write_text("{}")
    page = write_index(tmp_path).read_text()
    assert "approved by bob@example.net, eve@example.net; 1 signature beside it" in page


def test_only_so_many_runs_of_a_batch_are_listed(tmp_path: Path):
    names = [run_at(tmp_path, day) for day in range(1, INDEXED_RUNS + 3)]
    page = write_index(tmp_path).read_text()
    assert [name in page for name in names] == [False] * 2 + [True] * INDEXED_RUNS


def test_what_is_no_report_is_left_out_and_names_are_escaped(tmp_path: Path):
    name = run_at(tmp_path, 1)
    foreign = tmp_path / "<b>odd" / name
    foreign.mkdir(parents=True)
    (foreign / "report.json").write_text('{"run": {"id": "another", "batch": "x"}, "summary": {}}')
    half = tmp_path / "billing" / "20261202T210000Z-000002"
    half.mkdir()
    (half / "report.json").write_text('{"run": {')
    page = write_index(tmp_path).read_text()
    assert "<b>" not in page
    assert "odd" not in page
    assert half.name not in page
    assert "<script" not in page


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match="there is no report folder"):
        write_index(tmp_path / "no")
    assert not (tmp_path / "no").exists()
