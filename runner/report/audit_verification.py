"""Verifies a run's segment of the audit chain; reports where and how it was tampered with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from runner.core.frozen import frozen
from runner.core.number_text import counted
from runner.report.audit_log import CHAIN, chained

_ENTRY = re.compile(r'\{"seq":(\d{1,18}),"hash":"([0-9a-f]{64})","entry":(.*)\}', re.DOTALL)
_HASH = re.compile(r"[0-9a-f]{64}")


class Tampering(StrEnum):
    """How an audit log was changed, as far as the chain shows."""

    FLIP = "flip"  # a character was changed
    DROP = "drop"
    SWAP = "swap"
    INSERT = "insert"
    TRUNCATE = "truncate"


@frozen
class AuditFault:
    """The first bad entry: its line in the file (from 1), its number, and why it is bad."""

    line: int
    seq: int | None
    kind: Tampering
    why: str

    def __str__(self) -> str:
        entry = "" if self.seq is None else f", entry {self.seq}"
        return f"line {self.line}{entry}: {self.why} ({self.kind})"


@frozen
class AuditVerdict:
    """Result of a verification: the number of good entries, and the hash of the last."""

    run: str | None
    entries: int
    head: str | None
    fault: AuditFault | None = None

    @property
    def ok(self) -> bool:
        """Whether the whole segment is unchanged."""
        return self.fault is None


class _Entry(NamedTuple):
    line: int
    seq: int
    hash: str
    body: str

    def follows(self, previous: str) -> bool:
        return self.hash == chained(previous, self.body)


class _Broken(NamedTuple):
    line: int


def verify_audit(
    lines: Iterable[str], *, head: str | None = None, entries: int | None = None
) -> AuditVerdict:
    r"""Check the text of an audit.jsonl, line by line (split at `\n` alone).

    A missing end is found only by comparison with `head` and `entries`, from `audit` in report.json:
    a file that ends early still chains.
    """
    numbered = enumerate((line.removesuffix("\n") for line in lines), start=1)
    first = _first_line(next(numbered, (1, ""))[1])
    if first is None:
        why = f"it must name the chain {CHAIN!r}, the run and the hash before; the start is missing"
        return AuditVerdict(None, 0, None, AuditFault(1, None, Tampering.TRUNCATE, why))
    run, previous = first
    walk = _ChainWalk(previous)
    fault = walk.first_fault(_read(line, text) for line, text in numbered)
    if fault is None:
        fault = _end_fault(walk, head, entries)
    return AuditVerdict(run, walk.entries, walk.head, fault)


class _ChainWalk:
    """Follows the chain and keeps what is needed to classify a change."""

    def __init__(self, previous: str) -> None:
        self.head = previous
        self.before_head: str | None = None
        self.seq: int | None = None
        self.entries = 0

    def first_fault(self, entries: Iterator[_Entry | _Broken]) -> AuditFault | None:
        """Return the first entry that does not fit the chain, or None."""
        for entry in entries:
            if isinstance(entry, _Broken):
                return _broken_fault(entry, entries)
            if (fault := self._fault_of(entry, entries)) is not None:
                return fault
            self.before_head, self.head = self.head, entry.hash
            self.seq, self.entries = entry.seq, self.entries + 1
        return None

    def _fault_of(self, entry: _Entry, rest: Iterator[_Entry | _Broken]) -> AuditFault | None:
        expected = entry.seq if self.seq is None else self.seq + 1
        if entry.follows(self.head):
            if entry.seq == expected:
                return None
            why = f"its number should be {expected}: it was changed"
            return AuditFault(entry.line, entry.seq, Tampering.FLIP, why)
        kind, why = self._diagnosis(entry, expected, rest)
        return AuditFault(entry.line, entry.seq, kind, why)

    def _diagnosis(
        self, entry: _Entry, expected: int, rest: Iterator[_Entry | _Broken]
    ) -> tuple[Tampering, str]:
        if self.before_head is not None and entry.follows(self.before_head):
            return Tampering.INSERT, "the entry before it does not belong here: it was inserted"
        true_next, has_twin = self._look_ahead(entry, rest)
        if true_next is not None and entry.seq > true_next.seq and not has_twin:
            belongs = f"entry {true_next.seq} belongs here and is at line {true_next.line}"
            return Tampering.SWAP, belongs
        if true_next is not None:
            return Tampering.INSERT, f"it was inserted: the chain goes on at line {true_next.line}"
        return self._without_true_next(entry, expected)

    def _without_true_next(self, entry: _Entry, expected: int) -> tuple[Tampering, str]:
        if entry.seq > expected:
            last = entry.seq - 1
            missing = f"entry {last}" if last == expected else f"entries {expected} to {last}"
            return Tampering.DROP, f"{missing} must have been removed before it"
        if entry.seq < expected:
            return Tampering.INSERT, f"number {expected} belongs here: it was inserted"
        if self.seq is None:
            why = "it does not follow from the file's first line: one of the two was changed, "
            return Tampering.FLIP, why + "or entries before it were removed"
        return Tampering.FLIP, "its text or its hash was changed"

    def _look_ahead(
        self, entry: _Entry, rest: Iterator[_Entry | _Broken]
    ) -> tuple[_Entry | None, bool]:
        """Return the entry that really follows, and whether another has `entry`'s number."""
        true_next, has_twin = None, False
        for later in rest:
            if isinstance(later, _Broken):
                continue
            has_twin = has_twin or later.seq == entry.seq
            if true_next is None and later.follows(self.head):
                true_next = later
        return true_next, has_twin


def _first_line(text: str) -> tuple[str, str] | None:
    try:
        first = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(first, dict) or first.get("chain") != CHAIN:
        return None
    run, previous = first.get("run"), first.get("previous")
    if not isinstance(run, str) or not isinstance(previous, str) or not _HASH.fullmatch(previous):
        return None
    return run, previous


def _read(line: int, text: str) -> _Entry | _Broken:
    match = _ENTRY.fullmatch(text)
    if match is None:
        return _Broken(line)
    return _Entry(line, int(match[1]), match[2], match[3])


def _broken_fault(broken: _Broken, rest: Iterator[_Entry | _Broken]) -> AuditFault:
    if next(rest, None) is None:
        why = "the last line is not a whole audit entry: the file ends within it"
        return AuditFault(broken.line, None, Tampering.TRUNCATE, why)
    return AuditFault(broken.line, None, Tampering.FLIP, "it is not an audit entry: it was changed")


def _expected(entries: int) -> str:
    return f"expected {counted(entries, 'entry', 'entries')}"


def _end_fault(walk: _ChainWalk, head: str | None, entries: int | None) -> AuditFault | None:
    line = walk.entries + 2  # after the first line and the entries: where the next would stand
    if entries is not None and walk.entries > entries:
        why = f"{_expected(entries)}, and there are {walk.entries:,}: the end was added to"
        return AuditFault(entries + 2, None, Tampering.INSERT, why)
    if entries is not None and walk.entries < entries:
        why = f"{_expected(entries)}, and there are {walk.entries:,}: the end is missing"
        return AuditFault(line, None, Tampering.TRUNCATE, why)
    if head is not None and walk.head != head:
        why = f"the chain ends at {walk.head[:12]}… and should end at {head[:12]}…"
        return AuditFault(
            line, None, Tampering.TRUNCATE, f"{why}: the end is missing, or is of another log"
        )
    return None
