"""audit.jsonl: a run's segment of the journal's hash chain, written and verified."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from runner.core.record import ReportSource
from runner.report.content import AuditEnd

CHAIN = "runner-audit-1"


def write_audit(source: ReportSource, write: Callable[[str], object]) -> AuditEnd:
    """Write the segment: a first line that names chain, run and hash before, then the entries.

    Bodies go in verbatim, for their hash is over their text. A dry run has no segment.
    """
    if source.audit is None:
        return AuditEnd(0, None)
    previous = source.audit_previous
    first = {"chain": CHAIN, "run": source.run.id, "previous": previous}
    write(json.dumps(first, ensure_ascii=False, separators=(",", ":")) + "\n")
    entries, head = 0, previous
    for entry in source.audit():
        write(f'{{"seq":{entry.seq},"hash":"{entry.hash}","entry":{entry.body}}}\n')
        entries, head = entries + 1, entry.hash
    return AuditEnd(entries, head)


def chained(previous: str, body: str) -> str:
    """Return the hash of an entry: SHA-256, in hex, of the hash before it and its own text."""
    return hashlib.sha256((previous + body).encode()).hexdigest()
