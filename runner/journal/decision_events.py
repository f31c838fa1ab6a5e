"""Reads what people and gates decided in a run from the events that hold it."""

from __future__ import annotations

import json
from collections.abc import Iterable

from runner.core.records.run_record import DecisionRecord, GateRecord
from runner.ports import Note

Decided = tuple[tuple[DecisionRecord, ...], tuple[GateRecord, ...]]

BODIES = ('"event":"control"', '"event":"gate"')
"""What the bodies of such events contain; others may contain it too."""


def read_decisions(bodies: Iterable[str]) -> Decided:
    """Return the decisions and verdicts among events, oldest first."""
    decisions, gates = list[DecisionRecord](), list[GateRecord]()
    for text in bodies:
        body = json.loads(text)
        at = body["at"]
        if body["event"] == Note.CONTROL:
            decisions.append(DecisionRecord(at, body["who"], body["what"], body.get("why")))
        elif body["event"] == Note.GATE:
            gates.append(GateRecord(at, body["gate"], body["wave"], body["verdict"], body["text"]))
    return tuple(decisions), tuple(gates)
