"""Renders the result of `audit verify`, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from runner.console.log.redaction import redact
from runner.console.results.document import document
from runner.console.terminal_text import Paint, visible
from runner.core.frozen import frozen
from runner.core.number_text import counted

TAMPERED = (
    "it was changed after it was written: keep it as it is, and compare it with a copy, or verify"
    " the journal by giving the run's id instead of the file"
)


FILE_PROVES = (
    "this proves that no entry was changed, added or removed since the file was written; not who"
    " wrote it: a person who can write the file and report.json beside it can replace both. Compare"
    " the head with a copy that is kept elsewhere, or verify the run in the journal"
)
FILE_ALONE_PROVES = (
    "this shows mistakes and damage between the entries; not that none is missing at the end, nor who"
    " wrote the file. As the chain has no key, a person who can write the file can make another that"
    " is good. Verify it beside its report.json, or verify the run in the journal, by its id"
)
JOURNAL_PROVES = (
    "this shows mistakes and damage from the journal's first event on; not that none is missing at the"
    " end, nor that every run wrote to this journal. As the chain has no key, a person who can write"
    " the journal can make another that is good: compare the head with one that is kept elsewhere, in"
    " the reports' journal.json or with a signature"
)


SIGNATURE_PROVES = (
    "this proves that these people signed where the chain ends, and the reports beside it, as they are"
    " now; not when they did"
)


@frozen
class AuditResult:
    """What was verified, and the result."""

    what: str
    entries: int  # good ones
    head: str | None  # the hash of the last of them
    fault: str | None = None  # the first bad entry, and why
    note: str | None = None  # what could not be checked, and why
    proves: str | None = None  # what a good chain shows, and what it does not
    tampered: bool = True  # whether a fault means that something was changed


def audit_to_json(audited: Sequence[AuditResult]) -> str:
    """Return the results as one JSON document, in ASCII."""
    fields = {
        "ok": not any(each.fault for each in audited),
        "verified": [_result_json(each) for each in audited],
    }
    return document("audit", fields)


def _result_json(result: AuditResult) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(result).items() if name != "tampered"}
    return fields | {"ok": result.fault is None}


def render_audit(audited: Sequence[AuditResult], *, color: bool = False) -> str:
    """Return the results as text."""
    paint, lines = Paint(color), []
    for each in audited:
        word = paint.red("broken") if each.fault else paint.green("ok")
        lines.append(f"{word}: {visible(each.what)}")
        lines.append(
            f"  {counted(each.entries, 'entry', 'entries')} good, head {each.head or 'none'}"
        )
        if each.fault:
            lines.append(f"  {paint.bold('breaks at')} {visible(redact(each.fault))}")
        if each.note:
            lines.append(f"  {visible(each.note)}")
        if each.proves and not each.fault:
            lines.append(f"  {each.proves}")
    if any(each.fault and each.tampered for each in audited):
        lines += ["", TAMPERED]
    return "\n".join(lines) + "\n"
