"""`runner audit verify`: a broken chain is told with its first bad entry."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import pytest

from runner.app.audit import names_file, verify_file, verify_run
from runner.console.results.audit_result import render_audit
from runner.core.errors import UsageError
from runner.core.records.run_record import Figures
from runner.core.transfer.states import Event
from runner.journal.sqlite.reader import Reader
from runner.report.writer import write_report
from tests.e2e.harness import Harness
from tests.journal.builders import AT, RUN, begun, located, manifest_rows, opened


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Write a journal of two runs, and the reports of both."""
    path = tmp_path / "production.db"
    store = opened(path)
    for number in range(2):
        written = begun(store, manifest_rows(3 + number))
        written.go(f"k{2 + number}", Event.INTENT, Event.ACCEPTED)
        record = asdict(RUN) | {"id": store.run_id, "outcome": "ok", "finished_at": "2027"}
        store.finish_run(record, asdict(Figures()), AT)
        reader = Reader(path)
        write_report(reader.report_source(store.run_no), tmp_path / "reports")
        reader.close()
    store.close()
    return path


@pytest.fixture
def report(journal: Path) -> Path:
    return (journal.parent / "reports" / "night" / "latest").resolve()


def test_a_whole_chain_shows_its_entries_and_head(journal: Path, report: Path):
    expected = json.loads((report / "report.json").read_text())["audit"]
    for target in (report, report / "audit.jsonl"):
        audited = verify_file(target)
        assert audited.fault is None
        assert {"entries": audited.entries, "head": audited.head} == expected
    segment, whole = verify_run(located(journal), report.name, journal.parent / "reports")
    assert segment.fault is whole.fault is None
    assert {"entries": segment.entries, "head": segment.head} == expected
    assert whole.entries > segment.entries
    assert whole.head == segment.head


def test_a_good_chain_says_what_it_proves_and_what_not(journal: Path, report: Path):
    beside = verify_file(report)
    (report / "report.json").rename(report / "elsewhere.json")
    alone = verify_file(report)
    for audited, limit in ((beside, "can replace both"), (alone, "none is missing at the end")):
        assert audited.proves is not None
        assert limit in audited.proves
        assert audited.proves in render_audit([audited])
    *_, whole = verify_run(located(journal), report.name, journal.parent / "reports")
    assert "not that none is missing at the end" in str(whole.proves)
    for audited in (alone, whole):  # who can write it can make every hash anew
        assert "this proves" not in str(audited.proves)
        assert "the chain has no key" in str(audited.proves)


def flip(lines: list[str]) -> list[str]:
    return [*lines[:2], lines[2].replace("intent", "intend"), *lines[3:]]


def drop(lines: list[str]) -> list[str]:
    return [*lines[:2], *lines[3:]]


def cut(lines: list[str]) -> list[str]:
    return lines[:-1]


@pytest.mark.parametrize(
    ("tamper", "told"), [(flip, "line 3"), (drop, "line 3"), (cut, "the end is missing")]
)
def test_a_tampered_file_breaks_at_its_first_bad_entry(
    report: Path, tamper: Callable[[list[str]], list[str]], told: str
):
    path = report / "audit.jsonl"
    path.write_text("".join(tamper(path.read_text().splitlines(keepends=True))))
    fault = verify_file(path).fault
    assert fault is not None
    assert told in fault


def test_without_a_report_beside_it_a_missing_end_is_said_not_to_show(report: Path):
    (report / "report.json").unlink()
    audited = verify_file(report / "audit.jsonl")
    assert audited.fault is None
    assert audited.note is not None
    assert "a missing end would not be noticed" in audited.note


def test_another_runs_audit_beside_a_report_is_a_fault(report: Path):
    [other] = [p for p in report.parent.iterdir() if not p.is_symlink() and p.name != report.name]
    (report / "audit.jsonl").write_text((other / "audit.jsonl").read_text())
    assert f"it is of run {other.name}" in str(verify_file(report).fault)


def test_a_report_without_an_end_is_a_fault(report: Path):
    (report / "report.json").write_text("{}")
    assert "does not name the expected end of the chain" in str(verify_file(report).fault)


@pytest.mark.parametrize(
    ("statement", "segment_breaks"),
    [
        ("UPDATE events SET body = replace(body, 'accepted', 'denied')", True),
        ("DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)", True),
        ("UPDATE events SET body = replace(body, 'begun', 'began') WHERE seq = 1", False),
        ("UPDATE runs SET previous = (SELECT hash FROM events WHERE seq = 2) WHERE no = 2", True),
    ],
)
def test_a_tampered_journal_is_reported(
    journal: Path, report: Path, statement: str, *, segment_breaks: bool
):
    """What was done to another run's events shows in the whole chain alone."""
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute(statement)
    segment, whole = verify_run(located(journal), report.name, journal.parent / "reports")
    assert (segment.fault is not None) is segment_breaks
    assert segment.fault or whole.fault


def test_names_and_paths_are_distinguished(tmp_path: Path):
    assert names_file("reports/x/audit.jsonl")
    assert names_file("audit.jsonl")
    assert names_file(str(tmp_path))
    assert not names_file("20270115T080000Z-0a1b2c")
    assert not names_file("latest")
    with pytest.raises(UsageError, match=r"cannot be read .*; name an audit.jsonl, or a run"):
        verify_file(tmp_path / "audit.jsonl")


def test_the_command_exits_1_on_a_broken_chain(report: Path, harness: Harness):
    whole = harness.run("audit", "verify", report, "--output", "json")
    assert whole.code == 0
    assert json.loads(whole.out)["ok"]
    path = report / "audit.jsonl"
    path.write_text("".join(drop(path.read_text().splitlines(keepends=True))))
    broken = harness.run("audit", "verify", path)
    assert broken.code == 1
    assert f"broken: {path}" in broken.out
    assert "breaks at line 3" in broken.out


def test_another_file_is_not_called_a_broken_log(report: Path, harness: Harness):
    wrong = harness.run("audit", "verify", report / "report.json")
    assert (wrong.code, wrong.out) == (2, "")
    right = f"report.json is not an audit log; the log beside it is {report / 'audit.jsonl'}"
    assert right in wrong.err
    (harness.folder / "rows.csv").write_text("key,interaction_id\n")
    wrong = harness.run("audit", "verify", "rows.csv")
    assert (wrong.code, wrong.out) == (2, "")
    assert "rows.csv is not an audit log; name an audit.jsonl" in wrong.err


def test_a_copy_of_a_log_is_one_whatever_its_name_and_its_damage(report: Path, tmp_path: Path):
    lines = (report / "audit.jsonl").read_text().splitlines(keepends=True)
    copy = tmp_path / "copy.txt"
    copy.write_text("".join(lines))
    assert verify_file(copy).fault is None
    copy.write_text("".join(lines[1:]))
    assert "the start is missing" in str(verify_file(copy).fault)
    (report / "audit.jsonl").write_text("")
    assert "the start is missing" in str(verify_file(report).fault)


def test_a_device_and_a_pipe_are_not_read(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe"):
        with pytest.raises(UsageError, match="not a regular file"):
            verify_file(path)


def test_a_line_without_end_breaks_the_chain(tmp_path: Path, report: Path):
    path = tmp_path / "audit.jsonl"
    first = (report / "audit.jsonl").read_bytes().splitlines(keepends=True)[0]
    with path.open("wb") as stream:
        stream.write(first)
        stream.truncate(20 << 30)
    assert (verify_file(path).fault or "").startswith("line 2")
