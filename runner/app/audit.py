"""`audit verify`: verifies the audit chain of a file or of the journal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import NamedTuple

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
from runner.core.records.audit_chain import GENESIS
from runner.core.records.run_record import AuditEntry, ReportSource
from runner.journals import journal_at
from runner.manifest.regular_file import open_regular
from runner.ports.history import ChainPosition, History
from runner.report.audit_log import CHAIN, audit_lines
from runner.report.audit_verification import AuditVerdict, verify_audit

AUDIT_NAME = "audit.jsonl"
REPORT_NAME = "report.json"
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
    end, note = _read_end(path.with_name(REPORT_NAME))
    try:
        # Bytes that are not UTF-8 become characters that break the hash.
        with TextIOWrapper(
            open_regular(path), encoding="utf-8", errors="replace", newline="\n"
        ) as file:
            verdict = verify_audit(_lines(file), head=end.head, entries=end.entries)
    except OSError as error:
        raise _unreadable(path, error) from error
    if None not in {end.run, verdict.run} and verdict.run != end.run:
        fault = f"it is of run {verdict.run}, but the report beside it is of run {end.run}"
        return AuditResult(str(path), verdict.entries, verdict.head, fault)
    proves = FILE_PROVES if end.head is not None else FILE_ALONE_PROVES
    return replace(_audited(str(path), verdict, note, end.fault), proves=proves)


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
    """Verify a run's segment in the journal, and then the journal's whole chain.

    The segment's end is checked against the run's report, where there is one. Raises `UsageError`
    for an unknown run, `StorageError` if the journal cannot be read.
    """
    with journal_at(journal).open_history() as history:
        seen = history.run(run_id)
        source = history.report_source(seen.no)
        root = report_dir or report_root_of(seen.record)
        report = root / seen.record.batch / seen.record.id / REPORT_NAME
        end, note = _read_end(report)
        verdict = verify_audit(audit_lines(source), head=end.head, entries=end.entries)
        segment = _audited(f"run {seen.record.id} in {journal}", verdict, note, end.fault)
        whole = verify_audit(_whole_chain(history, source))
        fault = None if not whole.ok else _misplaced(history.heads_before_runs())
        of_journal = _audited(f"{JOURNAL} {journal}", whole, None, fault)
        return [segment, replace(of_journal, proves=JOURNAL_PROVES)]


@frozen
class _ExpectedEnd:
    """Where a segment should end, according to the report; None if unknown."""

    run: str | None = None
    entries: int | None = None
    head: str | None = None
    fault: str | None = None


def _read_end(report: Path) -> tuple[_ExpectedEnd, str | None]:
    """Return where the chain should end, and a note on what cannot be checked."""
    try:
        with open_regular(report) as file:
            document = json.loads(file.read(LARGEST_REPORT))
        audit = document["audit"]
        return _ExpectedEnd(
            str(document["run"]["id"]), int(audit["entries"]), str(audit["head"])
        ), None
    except FileNotFoundError:
        note = f"there is no {report} with the expected end: a missing end would not be noticed"
        return _ExpectedEnd(), note
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        fault = f"{report} does not name the expected end of the chain ({type(error).__name__})"
        return _ExpectedEnd(fault=fault), None


def _whole_chain(history: History, source: ReportSource) -> Iterator[str]:
    def entries() -> Iterator[AuditEntry]:
        return history.chain()

    return audit_lines(
        ReportSource(source.run, source.transfers, audit=entries, audit_previous=GENESIS)
    )


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
