"""`audit verify`: verifies the audit chain of a file or of the journal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple

from runner.app.run_record import report_root_of
from runner.console.results.audit_result import (
    FILE_ALONE_PROVES,
    FILE_PROVES,
    JOURNAL_PROVES,
    AuditResult,
)
from runner.core.errors import UsageError
from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.core.number_text import counted
from runner.core.records.audit_chain import GENESIS
from runner.core.records.chained_record import ChainedRuns, record_fault
from runner.core.records.run_record import AuditEntry, RunRecord
from runner.journals import journal_at
from runner.manifest.regular_file import open_regular
from runner.ports.history import LATEST, ChainPosition, History
from runner.report.audit_log import CHAIN, audit_lines
from runner.report.audit_verification import AuditVerdict, verify_audit
from runner.report.report_check import Segment, report_fault

AUDIT_NAME = "audit.jsonl"
REPORT_NAME = "report.json"
PAGE_NAME = "report.html"
JOURNAL = "the whole journal"

LONGEST_LINE = 1 << 26
"""In characters; no entry is longer than the manifest that it may quote."""

LONGEST_BEGINNING = 4096
"""In bytes; in it an audit log shows what it is."""

LARGEST_REPORT = 1 << 30
"""In bytes; a larger report is cut off, and then is not JSON."""


def names_file(target: str) -> bool:
    """Return whether `target` is a file and not a run: it exists, or looks like a path."""
    return "/" in target or target.endswith((".jsonl", ".json")) or Path(target).exists()


def verify_file(path: Path) -> AuditResult:
    """Verify an audit.jsonl, given itself or by its folder, against the report beside it.

    Raises `UsageError` if there is no such file, or if it is another one: no log was changed then.
    """
    path = path / AUDIT_NAME if path.is_dir() else path
    if path.name != AUDIT_NAME and not _begins_as_log(path):
        beside = path.with_name(AUDIT_NAME)
        right = f"the log beside it is {beside}" if beside.is_file() else f"name an {AUDIT_NAME}"
        raise UsageError(f"{path} is not an audit log; {right}")
    report, segment = path.with_name(REPORT_NAME), Segment()
    end, note = _read_end(report)
    try:
        # Bytes that are not UTF-8 become characters that break the hash.
        with TextIOWrapper(
            open_regular(path), encoding="utf-8", errors="replace", newline="\n"
        ) as file:
            lines = _noted_lines(_lines(file), segment)
            verdict = verify_audit(lines, head=end.head, entries=end.entries)
    except OSError as error:
        raise _unreadable(path, error) from error
    if None not in {end.run, verdict.run} and verdict.run != end.run:
        fault = f"it is of run {verdict.run}, but the report beside it is of run {end.run}"
        return AuditResult(str(path), verdict.entries, verdict.head, fault)
    against = end.fault
    if against is None and verdict.ok and end.document is not None:
        against = _of_report(report, report_fault(end.document, segment, None))
    proves = FILE_PROVES if end.head is not None else FILE_ALONE_PROVES
    return replace(_audited(str(path), verdict, note, against), proves=proves)


def _begins_as_log(path: Path) -> bool:
    """Return whether a file has an audit log's first line, or entries, though it may be damaged."""
    try:
        with open_regular(path) as file:
            begin = file.read(LONGEST_BEGINNING)
    except OSError as error:
        raise _unreadable(path, error) from error
    return CHAIN.encode() in begin or b'"hash":"' in begin


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"{path} cannot be read ({error.strerror}); name an {AUDIT_NAME}, or a run")


def _noted_lines(lines: Iterable[str], segment: Segment) -> Iterator[str]:
    """Yield a file's lines; the segment takes up the event of each."""
    for line in lines:
        _, _, entry = line.partition('"entry":')
        segment.note(entry.rstrip("\n").removesuffix("}"))
        yield line


def _lines(file: TextIOWrapper) -> Iterator[str]:
    """Yield the lines. A line that is too long for an entry is cut, which breaks the chain, and ends."""
    while line := file.readline(LONGEST_LINE):
        yield line
        if len(line) == LONGEST_LINE:
            return


class RunFolder(NamedTuple):
    """Where a run's report is."""

    run: str
    batch: str
    folder: Path
    has_ended: bool


def folder_of_run(journal: JournalLocation, run_id: str, report_dir: Path | None) -> RunFolder:
    """Return where a run's report is. Raises `UsageError` for an unknown run, `StorageError`."""
    with journal_at(journal).open_history() as history:
        record = history.run(run_id).record
    root = report_dir or report_root_of(record)
    has_ended = record.finished_at is not None
    return RunFolder(record.id, record.batch, root / record.batch / record.id, has_ended)


def verify_run(journal: JournalLocation, run_id: str, report_dir: Path | None) -> list[AuditResult]:
    """Verify a run's segment in the journal and its report, and then the journal's whole chain.

    The records of all runs are compared with those that the chain has. Raises `UsageError` for an unknown
    run, `StorageError` if the journal cannot be read.
    """
    with journal_at(journal).open_history() as history:
        chained, stored = ChainedRuns(), history.stored_runs()
        lines = audit_lines(run_id, GENESIS, _noted(history.chain(), chained.note))
        whole = verify_audit(lines)
        faults = dict(chained.faults(stored)) if whole.ok else {}
        if run_id in faults and run_id not in {run.id for run in stored}:
            segment = AuditResult(
                f"run {run_id} in {journal}", 0, None, _distrusted(faults[run_id])
            )
        else:
            run_id, segment = _verify_segment(journal, history, run_id, report_dir)
        fault = None if not whole.ok else _misplaced(history.heads_before_runs())
        others = [f"the record of run {run}: {why}" for run, why in faults.items() if run != run_id]
        of_journal = _audited(
            f"{JOURNAL} {journal}", whole, None, fault or next(iter(others), None)
        )
        if len(others) > 1 and fault is None:
            note = f"the records of {counted(len(others), 'run')} are not those of the chain"
            of_journal = replace(of_journal, note=note)
        return [segment, replace(of_journal, proves=JOURNAL_PROVES)]


def _verify_segment(
    journal: JournalLocation, history: History, run_id: str, report_dir: Path | None
) -> tuple[str, AuditResult]:
    """Verify a run's events, its record and its report; return the run's id too."""
    number = history.run_number(run_id)
    runs = history.stored_runs()
    stored = next(run for run in runs if run.id == run_id or (run_id == LATEST and run is runs[-1]))
    position = next(each for each in history.heads_before_runs() if each.run == stored.id)
    segment = Segment()
    entries = _noted(history.chain(number), segment.note)
    lines = audit_lines(stored.id, position.recorded, entries)
    record = record_fault(stored)
    if record is None:
        root = report_dir or report_root_of(RunRecord.from_json(json.loads(stored.record)))
        report = root / stored.batch / stored.id / REPORT_NAME
        end, note = _read_end(report)
    else:
        end, note = _ExpectedEnd(), None
    verdict = verify_audit(lines, head=end.head, entries=end.entries)
    fault = end.fault if record is None else _distrusted(record)
    if fault is None and verdict.ok and end.document is not None:
        transfers = history.report_source(number).transfers()
        fault = _of_report(report, report_fault(end.document, segment, transfers))
        fault = fault or _of_page(report.with_name(PAGE_NAME), verdict.head)
    return stored.id, _audited(f"run {stored.id} in {journal}", verdict, note, fault)


def _noted(entries: Iterable[AuditEntry], note: Callable[[str], None]) -> Iterator[AuditEntry]:
    """Yield entries, each shown to `note` before."""
    for entry in entries:
        note(entry.body)
        yield entry


def _distrusted(fault: str) -> str:
    return f"its record: {fault}. No report of this run can be trusted"


def _of_report(report: Path, fault: str | None) -> str | None:
    return None if fault is None else f"{report}: {fault}"


def _of_page(page: Path, head: str | None) -> str | None:
    """Return what is wrong with a report's page, which shows where the chain ends; None: nothing."""
    try:
        with open_regular(page) as file:
            text = file.read(LARGEST_REPORT)
    except OSError:  # there is no page, or it is not to be read by this account
        return None
    if head is None or head.encode() in text:
        return None
    return f"{page} does not show the end of this chain: it is not the page of this run as it ended"


@frozen
class _ExpectedEnd:
    """Where a segment should end, according to the report; None if unknown."""

    run: str | None = None
    entries: int | None = None
    head: str | None = None
    fault: str | None = None
    document: Mapping[str, Any] | None = None  # the whole report


def _read_end(report: Path) -> tuple[_ExpectedEnd, str | None]:
    """Return where the chain should end, and a note on what cannot be checked."""
    try:
        with open_regular(report) as file:
            document = json.loads(file.read(LARGEST_REPORT))
        audit = document["audit"]
        return _ExpectedEnd(
            str(document["run"]["id"]),
            int(audit["entries"]),
            str(audit["head"]),
            document=document,
        ), None
    except FileNotFoundError:
        note = f"there is no {report} with the expected end: a missing end would not be noticed"
        return _ExpectedEnd(), note
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        fault = f"{report} does not name the expected end of the chain ({type(error).__name__})"
        return _ExpectedEnd(fault=fault), None


def _misplaced(runs: Iterable[ChainPosition]) -> str | None:
    """Return a fault for the first run whose segment is not where the run began, or None."""
    for run, recorded, actual in runs:
        if recorded != actual:
            return f"run {run} began after {recorded[:12]}…, but follows {(actual or 'nothing')[:12]}… now"
    return None


def _audited(
    what: str, verdict: AuditVerdict, note: str | None, fault: str | None = None
) -> AuditResult:
    if verdict.fault is not None:
        fault = str(verdict.fault)
    return AuditResult(what, verdict.entries, verdict.head, fault, note)
