"""Writes audit.jsonl: a run's segment of the journal's hash chain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator

from runner.core.records.run_record import AuditEntry, ReportSource
from runner.report.model import AuditEnd

CHAIN = "runner-audit-1"


def write_audit(source: ReportSource, write: Callable[[str], object]) -> AuditEnd:
    """Write the segment's lines (`audit_lines`) and return its end. A dry run has no segment."""
    if source.audit is None:
        return AuditEnd(0, None)
    entries, head = 0, source.audit_previous
    write(_first_line(source.run.id, source.audit_previous))
    for entry in source.audit():
        write(_line(entry))
        entries, head = entries + 1, entry.hash
    return AuditEnd(entries, head)


def audit_lines(run: str, previous: str, entries: Iterable[AuditEntry]) -> Iterator[str]:
    """Yield a first line with chain, run and previous hash, then a line for each entry.

    Bodies are written verbatim, because their hash covers their text.
    """
    yield _first_line(run, previous)
    yield from map(_line, entries)


def _first_line(run: str, previous: str) -> str:
    first = {"chain": CHAIN, "run": run, "previous": previous}
    return json.dumps(first, ensure_ascii=False, separators=(",", ":")) + "\n"


def _line(entry: AuditEntry) -> str:
    return f'{{"seq":{entry.seq},"hash":"{entry.hash}","entry":{entry.body}}}\n'


def chained(previous: str, body: str) -> str:
    """Return an entry's hash: SHA-256, in hex, of the previous hash and the entry's text."""
    return hashlib.sha256((previous + body).encode()).hexdigest()
