"""`runner reports prune`: what may go goes, and nothing else is touched."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from runner.app.journal_checkpoint import Checkpoint
from runner.app.prune import prune
from runner.console.results.prune_result import prune_to_json, render_prune
from runner.core.errors import StorageError, UsageError
from runner.core.records.retention import KeepReason, Retention
from runner.core.records.run_record import ReportSource
from runner.core.timestamps import timestamp
from runner.report.safe_folder import open_folder
from runner.report.writer import write_report
from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.report import samples

DAY_S = 86_400.0
NOW = 1_800_000_000.0
BATCH = samples.RUN.batch
ALL = Retention(keep=1, older_than_s=30 * DAY_S)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "reports"


def run_id(days: int) -> str:
    text = timestamp(NOW - days * DAY_S)[:19].replace("-", "").replace(":", "")
    return f"{text}Z-{days:06x}"


def left(root: Path, days: int, *, doubts: bool = False, batch: str = BATCH, **run: Any) -> Path:
    """Leave the report of a run that ended so many days ago."""
    at = timestamp(NOW - days * DAY_S)
    make = samples.mixed(12) if doubts else samples.succeeded(3)
    result = {"id": run_id(days), "batch": batch, "started_at": at, "finished_at": at, **run}
    return write_report(replace(make, run=replace(make.run, **result)), root)


def planned(root: Path, days: int) -> Path:
    at = timestamp(NOW - days * DAY_S)
    source: ReportSource = samples.planned()
    result: dict[str, Any] = {"id": f"plan-{run_id(days)}", "started_at": at, "finished_at": at}
    return write_report(replace(source, run=replace(source.run, **result)), root)


def witnessed(folder: Path, environment: str, at: float) -> Path:
    seen = Checkpoint(folder.name, environment, at, "/j.db", "lineage", 7, "0" * 64)
    (folder / "journal.json").write_text(json.dumps(asdict(seen)))
    return folder


def there(root: Path, batch: str = BATCH) -> set[str]:
    return {path.name for path in (root / batch).iterdir()}


def test_old_runs_and_plans_go_and_what_that_frees_is_reported(root: Path):
    old, older = left(root, 100), left(root, 200)
    plan, fresh_plan = planned(root, 100), planned(root, 5)
    young, newest = left(root, 10), left(root, 1)
    freed = sum(p.stat().st_size for f in (old, older, plan) for p in f.iterdir())
    pruned = prune(root, ALL, now=NOW)
    assert there(root) == {young.name, newest.name, fresh_plan.name, "latest"}
    assert {each.run for each in pruned.removed} == {old.name, older.name, plan.name}
    assert pruned.freed_bytes == freed
    assert pruned.kept == {KeepReason.LATEST: 1, KeepReason.YOUNG: 2}
    assert (pruned.left, pruned.failed) == ([], [])


def test_what_must_stay_stays_however_old_it_is(root: Path):
    doubtful = left(root, 400, doubts=True)
    witness = witnessed(left(root, 300), "production", 9.0)
    witnessed(left(root, 290), "production", 8.0)
    pointed, newest = left(root, 250), left(root, 200)
    with open_folder(root, BATCH) as folder:
        folder.link("latest", pointed.name)
    pruned = prune(root, Retention(0, 0.0), now=NOW)
    assert there(root) == {doubtful.name, witness.name, pointed.name, newest.name, "latest"}
    assert pruned.kept == {kept: 1 for kept in KeepReason if kept is not KeepReason.YOUNG}
    assert [each.run for each in pruned.removed] == [run_id(290)]


def test_a_dry_run_removes_nothing(root: Path):
    old = left(root, 100)
    left(root, 1)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    pruned = prune(root, ALL, now=NOW, dry_run=True)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert [each.path for each in pruned.removed] == [str(old)]
    assert render_prune(pruned).startswith("dry run: would remove 1 report and free ")


def test_one_batch_alone(root: Path):
    for batch in (BATCH, "other"):
        left(root, 100, batch=batch)
        left(root, 1, batch=batch)
    pruned = prune(root, ALL, now=NOW, batch="other")
    assert [each.batch for each in pruned.removed] == ["other"]
    assert len(there(root)) == 3
    with pytest.raises(UsageError, match=r"no batch '../x' in .*; there are: billing-cutover, oth"):
        prune(root, ALL, now=NOW, batch="../x")


def test_each_batch_keeps_its_own_newest(root: Path):
    for batch, days in ((BATCH, 1), ("other", 600), ("other", 500)):
        left(root, days, batch=batch)
    prune(root, ALL, now=NOW)
    assert there(root, "other") == {run_id(500), "latest"}


def spoil_foreign_file(folder: Path) -> str:
    (folder / "notes.txt").write_text("mine")
    return "it holds 'notes.txt', which is not part of a report"


def spoil_folder(folder: Path) -> str:
    (folder / "report.csv").mkdir()
    return "it holds 'report.csv', which is not part of a report"


def spoil_link(folder: Path) -> str:
    (folder / "report.md").symlink_to(folder.parent.parent / "precious")
    return "it holds 'report.md', which is not part of a report"


def spoil_report(folder: Path) -> str:
    (folder / "report.json").write_text("{")
    return "its report.json cannot be read (JSONDecodeError)"


def spoil_shape(folder: Path) -> str:
    (folder / "report.json").write_text('{"run": [], "summary": {"in_doubt": 0}}')
    return "its report.json cannot be read (TypeError)"


def spoil_depth(folder: Path) -> str:
    (folder / "report.json").write_text('{"run": ' + "[" * 200_000)
    return "its report.json cannot be read (RecursionError)"


def spoil_identity(folder: Path) -> str:
    text = (folder / "report.json").read_text()
    (folder / "report.json").write_text(text.replace(folder.name, run_id(7)))
    return "its report.json is of another run"


def spoil_witness(folder: Path) -> str:
    (folder / "journal.json").write_text("[]")
    return "its journal.json cannot be read (TypeError)"


def spoil_absence(folder: Path) -> str:
    (folder / "report.json").unlink()
    return (
        "it has no report.json: its run is running or died; `report` with its id and its journal"
        " writes one"
    )


SPOILS = [each for name, each in sorted(globals().items()) if name.startswith("spoil_")]


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda each: each.__name__.removeprefix("spoil_"))
def test_what_is_not_wholly_a_report_is_left_and_reported(root: Path, spoil: Any):
    (root / BATCH).mkdir(parents=True)
    (root / "precious").write_text("precious")
    old = left(root, 100)
    left(root, 1)
    why = spoil(old)
    before = {path.name for path in old.iterdir()}
    pruned = prune(root, ALL, now=NOW)
    assert pruned.removed == []
    assert [(each.path, each.why) for each in pruned.left] == [(str(old), why)]
    assert {path.name for path in old.iterdir()} == before
    assert (root / "precious").read_text() == "precious"


def test_foreign_names_and_links_among_reports_are_left(root: Path, tmp_path: Path):
    left(root, 1)
    elsewhere = left(tmp_path / "elsewhere", 300)
    batch = root / BATCH
    (batch / run_id(300)).symlink_to(elsewhere)
    (batch / run_id(301)).write_text("a file")
    (batch / "archive").mkdir()
    (root / "linked").symlink_to(elsewhere.parent)
    (root / "notes").mkdir()
    pruned = prune(root, Retention(0, 0.0), now=NOW)
    assert {Path(each.path).name: each.why for each in pruned.left} == {
        run_id(300): "it is not a folder",
        run_id(301): "it is not a folder",
        "archive": "its name is not that of a run",
    }
    assert (elsewhere / "report.json").exists()
    assert pruned.removed == []


def test_what_a_killed_process_left_of_a_file_goes_with_its_report(root: Path):
    old = left(root, 100)
    (old / ".report.html.0123456789abcdef.tmp").write_text("half")
    left(root, 1)
    assert len(prune(root, ALL, now=NOW).removed) == 1
    assert not old.exists()


def test_a_report_removed_by_half_is_known_the_next_time(root: Path):
    old = left(root, 100)
    left(root, 1)
    for path in old.iterdir():
        if path.name != "report.json":
            path.unlink()
    assert [each.run for each in prune(root, ALL, now=NOW).removed] == [old.name]


def test_what_cannot_be_removed_is_reported_and_the_rest_goes_on(root: Path):
    older, old = left(root, 200), left(root, 100)
    left(root, 1)

    def removing(_root: Path, _batch: str, name: str) -> int:
        if name == older.name:
            raise PermissionError(13, "Permission denied")
        return 5

    pruned = prune(root, ALL, now=NOW, removing=removing)
    assert [(each.path, each.why) for each in pruned.failed] == [(str(older), "permission denied")]
    assert [(each.run, each.size_bytes) for each in pruned.removed] == [(old.name, 5)]
    text = render_prune(pruned)
    assert text.startswith("storage: removed 1 report, freed 5 bytes; not all\n")
    assert f"could not be removed\n  {older}: permission denied\n" in text


def test_what_changes_between_the_look_and_the_removal_is_seen(root: Path):
    """A file put in meanwhile saves its folder; a folder that went by itself is no failure."""
    from runner.report.stored_reports import remove_report  # noqa: PLC0415 - only here

    spoilt, gone = left(root, 200), left(root, 100)
    left(root, 1)

    def removing(base: Path, batch: str, name: str) -> int:
        if name == spoilt.name:
            (spoilt / "notes.txt").write_text("mine")
        else:
            assert remove_report(base, batch, name) > 0
        return remove_report(base, batch, name)

    pruned = prune(root, ALL, now=NOW, removing=removing)
    assert [each.path for each in pruned.left] == [str(spoilt)]
    assert (spoilt / "report.json").exists()
    assert [(each.run, each.size_bytes) for each in pruned.removed] == [(gone.name, 0)]
    assert pruned.failed == []


def test_a_large_report_is_known_by_its_beginning(root: Path):
    old = left(root, 100)
    left(root, 1)
    with (old / "report.json").open("a") as stream:
        stream.truncate((2 << 30) + 1)  # sparse: nobody reads two gigabytes to learn a date
    pruned = prune(root, ALL, now=NOW)
    assert pruned.freed_bytes > 2 << 30
    assert "freed 2.1 GB" in render_prune(pruned)


def test_no_folder_of_reports_is_a_wrong_option(tmp_path: Path):
    with pytest.raises(UsageError, match=r"no report folder .*none; name it with --report-dir"):
        prune(tmp_path / "none", ALL, now=NOW)
    with pytest.raises(StorageError, match="cannot be read"):
        prune(tmp_path / ("x" * 300), ALL, now=NOW)


def test_json_has_all(root: Path):
    old = left(root, 100)
    left(root, 1)
    result = json.loads(prune_to_json(prune(root, ALL, now=NOW)))
    assert (result["version"], result["kind"], result["dry_run"]) == (1, "prune", False)
    assert [each["path"] for each in result["removed"]] == [str(old)]
    assert result["kept"] == {"newest": 0, "latest": 1, "young": 0, "in_doubt": 0, "witness": 0}


def test_the_command_prunes_and_the_next_apply_still_trusts_its_journal(
    gateway: Gateway, harness: Harness
):
    folders, content = [], manifest(gateway, [])
    for _ in range(3):
        content["transfers"].append(transfer())
        folders.append(harness.apply(content).report.folder.name)
    asked = ("reports", "prune", "--keep", "1", "--older-than", "0s")
    listed = harness.run(*asked, "--dry-run", "--output", "json")
    result = [each["run"] for each in json.loads(listed.out)["removed"]]
    assert sorted(result) == sorted(folders[:2])  # told by name, which begins with the second
    pruned = harness.run(*asked, "--batch", "batch")
    assert (pruned.code, pruned.err) == (0, "")
    assert "ok: removed 2 reports, freed " in pruned.out
    assert there(harness.folder / "reports", "batch") == {folders[2], "latest"}
    assert harness.apply(content).code == 0
    (harness.folder / ".runner").rename(harness.folder / "gone")
    refused = harness.run("apply", "batch.yaml")
    assert refused.code == 74, "the witness that stays tells that the journal is gone"


def test_without_bounds_it_keeps_thirty_runs_and_ninety_days(gateway: Gateway, harness: Harness):
    """As its help says."""
    report = harness.apply(manifest(gateway, [transfer()])).report.folder
    bare, wrong, shown, elsewhere, hours, minute = harness.run_together(
        ["reports", "prune"],
        ["reports", "prune", "--older-than", "soon"],
        ["reports", "prune", "--dry-run"],
        ["reports", "prune", "--keep", "3", "--report-dir", "none"],
        ["reports", "prune", "--dry-run", "--older-than", "36h"],
        ["reports", "prune", "--dry-run", "--older-than", "1m"],
    )
    assert "younger than 36 h 00 min" in hours.out
    assert "younger than 1 min 00 s" in minute.out
    assert wrong.code == elsewhere.code == 2
    assert bare.code == 0
    assert "keeping 30 runs of each batch, and what is younger than 90 days" in bare.out
    assert report.exists()
    assert "'soon' is not an age; write a number and a unit: 90d, 12h" in wrong.err
    assert shown.code == 0
    assert "keeping 30 runs of each batch, and what is younger than 90 days" in shown.out
