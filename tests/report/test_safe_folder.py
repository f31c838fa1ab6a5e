"""Where a report lies: whole or not at all, private, and never elsewhere."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import StorageError
from runner.core.records.run_record import ReportSource, TransferRecord
from runner.report.audit_verification import verify_audit
from runner.report.writer import write_report
from tests.report import samples

RUN_FILES = {"audit.jsonl", "report.html", "report.json"}


def under(source: ReportSource, **run: Any) -> ReportSource:
    return replace(source, run=replace(source.run, **run))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_run_leaves_three_files_and_latest_beside_them(tmp_path: Path):
    root = tmp_path / "reports"
    folder = write_report(samples.mixed(), root)
    assert folder == root / "billing-cutover" / samples.RUN.id
    assert names(folder) == RUN_FILES
    assert (root / "billing-cutover" / "latest").readlink() == Path(samples.RUN.id)


def test_other_accounts_may_not_read(tmp_path: Path):
    previous = os.umask(0)
    try:
        folder = write_report(samples.mixed(), tmp_path / "deep" / "reports")
    finally:
        os.umask(previous)
    assert {mode(file) for file in folder.iterdir()} == {0o600}
    assert {mode(f) for f in (folder, folder.parent, folder.parent.parent)} == {0o700}


def test_what_is_written_belongs_together(tmp_path: Path):
    folder = write_report(samples.mixed(), tmp_path)
    audit = json.loads((folder / "report.json").read_text("utf-8"))["audit"]
    with (folder / "audit.jsonl").open(encoding="utf-8") as lines:
        verdict = verify_audit(lines, head=audit["head"], entries=audit["entries"])
    assert (verdict.ok, verdict.run) == (True, samples.RUN.id)


def test_latest_follows_the_newest_run(tmp_path: Path):
    write_report(samples.mixed(), tmp_path)
    write_report(under(samples.mixed(), id="second"), tmp_path)
    assert (tmp_path / "billing-cutover" / "latest").readlink() == Path("second")


def test_a_dry_run_has_no_audit_log_and_is_never_latest(tmp_path: Path):
    folder = write_report(samples.planned(), tmp_path)
    assert folder.name == "plan-9c1e"
    assert names(folder) == RUN_FILES - {"audit.jsonl"}
    assert names(folder.parent) == {"plan-9c1e"}


def test_a_plan_id_is_not_prefixed_twice(tmp_path: Path):
    assert write_report(under(samples.planned(), id="plan-7"), tmp_path).name == "plan-7"


def test_other_files_of_the_folder_stay(tmp_path: Path):
    folder = write_report(samples.mixed(), tmp_path)
    (folder / "lineage.json").write_text("{}")
    write_report(samples.mixed(), tmp_path)
    assert names(folder) == RUN_FILES | {"lineage.json"}


def test_a_report_that_breaks_off_leaves_the_old_one_whole(tmp_path: Path):
    folder = write_report(samples.mixed(3), tmp_path)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    passes = iter(range(9))

    def transfers() -> Iterator[TransferRecord]:
        yield samples.transfer(1)
        if next(passes) == 1:
            raise StorageError("the journal is gone")

    with pytest.raises(StorageError, match="the journal is gone"):
        write_report(replace(samples.mixed(3), transfers=transfers), tmp_path)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", "a\0b"])
def test_a_name_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str):
    root = tmp_path / "reports"
    for changed in ({"batch": name}, {"id": name}):
        with pytest.raises(StorageError, match="cannot name"):
            write_report(under(samples.mixed(1), **changed), root)
    assert names(tmp_path) <= {"reports"}


def test_a_run_named_latest_is_refused(tmp_path: Path):
    with pytest.raises(StorageError, match="latest"):
        write_report(under(samples.mixed(1), id="latest"), tmp_path)


@pytest.mark.parametrize("place", ["billing-cutover", f"billing-cutover/{samples.RUN.id}"])
def test_a_planted_link_is_not_followed(tmp_path: Path, place: str):
    outside, link = tmp_path / "outside", tmp_path / "reports" / place
    outside.mkdir()
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(StorageError, match=link.name):
        write_report(samples.mixed(1), tmp_path / "reports")
    assert names(outside) == set()


def test_a_planted_link_in_place_of_a_file_is_replaced_not_written_through(tmp_path: Path):
    folder = write_report(samples.mixed(1), tmp_path)
    outside = tmp_path / "outside"
    outside.write_text("precious")
    (folder / "report.json").unlink()
    (folder / "report.json").symlink_to(outside)
    write_report(samples.mixed(1), tmp_path)
    assert outside.read_text() == "precious"
    assert not (folder / "report.json").is_symlink()


def test_an_error_names_the_place_and_the_fix(tmp_path: Path):
    (tmp_path / "reports").write_text("a file where a folder belongs")
    with pytest.raises(StorageError) as raised:
        write_report(samples.mixed(1), tmp_path / "reports")
    assert str(tmp_path / "reports") in str(raised.value)
    assert "--report-dir" in str(raised.value)


def test_a_folder_in_place_of_latest_is_named(tmp_path: Path):
    (tmp_path / "billing-cutover" / "latest").mkdir(parents=True)
    with pytest.raises(StorageError, match="billing-cutover/latest"):
        write_report(samples.mixed(1), tmp_path)
    assert names(tmp_path / "billing-cutover") == {"latest", samples.RUN.id}
