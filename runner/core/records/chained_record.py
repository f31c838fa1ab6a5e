"""A run's record in the audit chain: whole in the run's first event, and whole in the one that ends it.

The journal keeps the record in a table too, where anybody who can write the journal may change it. What the
table has must be what the chain has (recovery.md, "Journal").
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from runner.core.records.audit_chain import canonical, link

RUN_BEGUN = "run begun"
RUN_ENDED = "run ended"

_TEXT_LIMIT = 80


class StoredRun(NamedTuple):
    """A run as the journal's table has it, and the events of the chain that have its record."""

    id: str
    batch: str
    started_at: str
    finished_at: str | None
    record: str  # canonical JSON of `RunRecord.to_json`
    figures: str | None  # canonical JSON; None: the run has not ended
    first: str | None  # the body of its first event; None: there is none that is whole
    last: str | None  # the body of its last event


def begun_fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the event says with which a run begins."""
    return {"batch": record["batch"], "record": record}


def ended_fields(record: Mapping[str, Any], figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the event says with which a run ends. The figures are long: a digest stands for them."""
    digest = _digest(canonical(figures))
    return {"outcome": record["outcome"], "record": record, "figures_sha256": digest}


def whole_body(previous: str, body: str | None, found: str | None) -> str | None:
    """Return an event's body; None if it does not have its hash, or there is no such event."""
    return body if body is not None and link(previous, body) == found else None


_WITH_RECORD = (f'"event":"{RUN_BEGUN}"', f'"event":"{RUN_ENDED}"')


class ChainedRuns:
    """The events of a whole chain that have records, by their runs' ids."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[str, str]] = {}

    def note(self, body: str) -> None:
        """Take up an event of the chain, which is whole."""
        if any(mark in body for mark in _WITH_RECORD):
            event = json.loads(body)
            if event["event"] in {RUN_BEGUN, RUN_ENDED}:
                first, _ = self._found.get(event["run"], (body, body))
                self._found[event["run"]] = first, body

    def faults(self, stored: Iterable[StoredRun]) -> Iterator[tuple[str, str]]:
        """Yield each run whose record is missing, or is not the chain's, and what is wrong with it."""
        missing = dict.fromkeys(self._found)
        for run in stored:
            missing.pop(run.id, None)
            first, last = self._found.get(run.id, (None, None))
            if (fault := record_fault(run._replace(first=first, last=last))) is not None:
                yield run.id, fault
        for run_id in missing:
            yield run_id, "the journal has no record of it, and the chain has"


def record_fault(stored: StoredRun) -> str | None:
    """Return in what a run of the table is not the run of the chain, for people; None: it is."""
    first, last = _event(stored.first), _event(stored.last)
    if first.get("event") != RUN_BEGUN or first.get("run") != stored.id or "record" not in first:
        return "the chain does not begin the run with its record"
    has_ended = last.get("event") == RUN_ENDED and last.get("run") == stored.id
    expected = last["record"] if has_ended else first["record"]
    if stored.record != canonical(expected):
        return "; ".join(_differences(stored.record, expected)) or "it is spelt in another way"
    columns = {name: getattr(stored, name) for name in ("id", "batch", "started_at", "finished_at")}
    for name, value in columns.items():
        if value != expected.get(name):
            return f"{name} is {_shown(value)}, and {_shown(expected.get(name))} in the chain"
    digest = None if stored.figures is None else _digest(stored.figures)
    if digest != (last["figures_sha256"] if has_ended else None):
        return "its figures (rate, timeline, sessions, destinations) are not those of the chain"
    return None


def _event(body: str | None) -> Mapping[str, Any]:
    return {} if body is None else dict(json.loads(body))


def _differences(text: str, expected: Mapping[str, Any]) -> Iterator[str]:
    """Yield each field in which a record differs from the chain's."""
    try:
        found = dict(json.loads(text))
    except (ValueError, TypeError, RecursionError):
        yield "it is no record"
        return
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            here, there = _shown(found.get(name)), _shown(expected.get(name))
            yield f"{name} is {here}, and {there} in the chain"


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _TEXT_LIMIT else f"{text[:_TEXT_LIMIT]}…"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
