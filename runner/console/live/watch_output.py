"""Output of `status --watch`: a live view, a line a minute, or a JSON line per refresh."""

from __future__ import annotations

import json
from collections.abc import Callable

from runner.console.live.observer import LiveObserver
from runner.console.live.progress_text import Throughput, progress_fields
from runner.console.live.terminal_writer import TerminalWriter
from runner.console.log.observers import ClosableObserver, LineObserver, progress_to_stream
from runner.console.log.redaction import redact
from runner.console.output_streams import LossyStream
from runner.console.results.document import VERSION
from runner.console.results.status import RunState
from runner.core.records.run_record import RunRecord
from runner.core.timestamps import seconds, timestamp
from runner.ports import Progress

Refresh = Callable[[float, RunRecord, RunState, Progress], None]
"""Shows a run at a time (seconds since the epoch)."""


def json_lines(stream: LossyStream, now: Callable[[], float]) -> Refresh:
    """Return a function that writes one JSON document per refresh, on a line, in ASCII."""
    pace = Throughput()

    def refresh(at: float, record: RunRecord, state: RunState, progress: Progress) -> None:
        pace.add(now(), progress)
        finished = state is RunState.FINISHED
        failures = [
            failure._asdict()
            | {"at": timestamp(failure.at), "reason": redact(failure.reason or "")}
            for failure in progress.recent_failures
        ]
        message = {
            "version": VERSION,
            "kind": "progress",
            "at": timestamp(at),
            "run": record.id,
            "batch": record.batch,
            "state": state.value,
            "outcome": record.outcome if finished else state.value,
            "exit_code": record.exit_code if finished else None,
            **progress_fields(progress, pace),
            "troubles": failures,
        }
        stream.write(json.dumps(message) + "\n")

    return refresh


def live_observer(
    writer: TerminalWriter,
    record: RunRecord,
    *,
    now: Callable[[], float],
    wall: Callable[[], float],
) -> ClosableObserver:
    """Return an observer that draws the live view, headed by the run's id."""
    return LiveObserver(
        writer,
        now=now,
        wall=wall,
        title=f"batch {record.batch}, environment {record.environment}, run {record.id}",
        since_s=max(0.0, wall() - seconds(record.started_at)),
    )


def line_observer(stream: LossyStream, now: Callable[[], float]) -> ClosableObserver:
    """Return an observer that writes a line a minute, and one as soon as the run has to wait."""
    return LineObserver(progress_to_stream(stream), now, shows_holds=True)


def forward_to(watcher: ClosableObserver) -> Refresh:
    """Return a function that passes each refresh's progress to `watcher`."""

    def refresh(at: float, record: RunRecord, state: RunState, progress: Progress) -> None:
        del at, record, state
        watcher.progressed(progress)

    return refresh
