"""`report --index --journal`: lists the batches and runs of a journal, of a database in all its lanes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.app.status import lines_of
from runner.console.results.status import RunStatus
from runner.core.journal_location import JournalLocation
from runner.core.transfer.outcome import Outcome
from runner.journals import journal_at, lanes_at
from runner.report.index import write_index_of
from runner.report.stored_reports import INDEXED_BATCHES, INDEXED_RUNS

MOST_RUNS = 500
"""Newest runs of a lane that are looked at."""


def write_journal_index(location: JournalLocation, root: Path, out: Path | None = None) -> Path:
    """Write the list of a journal's batches, and return its path.

    Runs whose reports are below `root` are linked. `out` is another file, or the folder for one;
    None: `root`. Raises `UsageError` for a journal that is not there, `StorageError`.
    """
    batches: dict[str, list[dict[str, Any]]] = {}
    for lane in lanes_at(location):
        for head in _heads(lane):
            batches.setdefault(head["run"]["batch"], []).append(head)
    for heads in batches.values():
        heads.sort(key=lambda head: str(head["run"]["started_at"]), reverse=True)
    newest = sorted(batches.items(), key=_started_at, reverse=True)[:INDEXED_BATCHES]
    shown = [(name, heads[:INDEXED_RUNS]) for name, heads in newest]
    return write_index_of(shown, root, source=str(location), out=out)


def _heads(lane: JournalLocation) -> Iterator[dict[str, Any]]:
    """Yield a lane's runs as the beginnings of their report.json, newest first."""
    journal = journal_at(lane)
    with journal.open_history() as history:
        seen = history.runs(MOST_RUNS)
        for run, line in zip(seen, lines_of(journal, history, seen), strict=True):
            yield {"run": _run(line, run.record.driver), "summary": _summary(line)}


def _run(line: RunStatus, driver: str) -> Mapping[str, Any]:
    return {
        "id": line.id,
        "batch": line.batch,
        "environment": line.environment,
        "driver": driver,
        "started_at": line.started_at,
        "outcome": line.outcome,
    }


def _summary(line: RunStatus) -> Mapping[str, int]:
    return {outcome.value: line.counts.get(outcome, 0) for outcome in Outcome}


def _started_at(batch: tuple[str, list[dict[str, Any]]]) -> str:
    return str(batch[1][0]["run"]["started_at"])
