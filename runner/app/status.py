"""`status`: reads a journal's runs and doubts, during a run or after it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from runner.console.results.status import (
    DoubtStatus,
    JournalStatus,
    RunState,
    RunStatus,
    hold_steps,
)
from runner.core import next_steps
from runner.core.exit_code import ExitCode
from runner.core.journal_location import JournalLocation
from runner.core.next_steps import RunArguments, Step
from runner.core.records.run_record import RunRecord
from runner.core.records.undelivered import count_owed
from runner.core.transfer.outcome import Outcome
from runner.journals import journal_at
from runner.ports.fleet import FleetState, SubmissionState
from runner.ports.history import History, Hold, JournalledRun
from runner.ports.journal_access import Holder, JournalAccess

MOST_RUNS = 20
"""Most runs that are listed."""

MOST_DOUBTS = 10_000
"""Most doubts of one run that are read."""


def status_of(location: JournalLocation, run_id: str | None = None) -> JournalStatus:
    """Return the journal's newest runs, or one run with its doubts.

    Raises `UsageError` for an unknown run, `StorageError` if the journal cannot be read.
    """
    journal = journal_at(location)
    with journal.open_history() as history:
        # Read before the lock: a run that ends in between is still shown as running.
        seen = history.runs(MOST_RUNS) if run_id is None else [history.run(run_id)]
        lines = lines_of(journal, history, seen)
        if run_id is not None:
            lines = [_with_doubts(history, seen[0], lines[0])]
        lines = _with_callbacks(history, seen, lines, one=run_id is not None)
        where = str(journal.location)
        steps = (
            _steps_of_several(seen, lines, where)
            if run_id is None
            else _steps_of_one(seen[0].record, lines[0], where)
        )
        return JournalStatus(
            journal.address,
            history.environment,
            history.origin,
            history.count_held(),
            lines,
            tuple(steps),
        )


def fleet_holds(journal: JournalLocation, state: FleetState) -> Mapping[int, RunStatus]:
    """Return the runs that are going on and are held, by the number of their submission."""
    found: dict[int, RunStatus] = {}
    if not state.sees_runs:
        return found
    for each in state.submissions:
        if each.state is SubmissionState.RUNNING and each.run is not None and each.lane is not None:
            lane = _in_lane(journal, each.lane)
            run = status_of(lane, each.run).runs[0]
            if run.holds:
                found[each.id] = replace(run, journal=str(lane))
    return found


def _in_lane(journal: JournalLocation, lane: str) -> JournalLocation:
    """Return the location of a lane of a journal in a database."""
    url, _, query = str(journal).partition("?")
    kept = [part for part in query.split("&") if part and not part.startswith("lane=")]
    query = "&".join([*kept, f"lane={quote(lane, safe='')}"])
    return JournalLocation(f"{url}?{query}")


def lines_of(
    journal: JournalAccess, history: History, seen: Sequence[JournalledRun]
) -> list[RunStatus]:
    """Return how runs stand that were read before; whether the newest one lives is looked up."""
    newest = history.runs(1)
    holder = journal.holder() if newest and not newest[0].finished else None
    live = newest[0].no if newest and holder_runs(holder, newest[0].record) else None
    lines = [_line(run, holder if run.no == live else None) for run in seen]
    return [
        replace(line, holds=_holds(journal, run.no)) if run.no == live else line
        for run, line in zip(seen, lines, strict=True)
    ]


def _steps_of_several(
    seen: Sequence[JournalledRun], lines: Sequence[RunStatus], journal: str
) -> Iterator[Step]:
    """Yield the next steps for doubts, and for callbacks that are owed."""
    found = next((line for line in lines if line.counts.get(Outcome.IN_DOUBT)), None)
    if found is not None:
        yield Step("see what is in doubt", next_steps.status(journal, found.id))
    for run, line in zip(seen, lines, strict=True):
        if count_owed(line.undelivered) and line.state is not RunState.RUNNING:
            yield _deliver(run.record)


def _steps_of_one(record: RunRecord, line: RunStatus, journal: str) -> Iterator[Step]:
    """Yield the next steps for one run that died or left something."""
    if line.state is RunState.RUNNING:
        yield from hold_steps(line.holds, journal)
        return
    given, where = RunArguments.of(record), _where(record)
    if line.counts.get(Outcome.IN_DOUBT) or line.state is RunState.DIED:
        yield next_steps.go_on(given, f"{{again}}{where}; it looks at the gateway first")
    elif _is_left(line):
        yield next_steps.go_on(
            given,
            f"when the cause is removed, {{again}}{where}; it sends only what has not been carried"
            " out",
        )
    elif count_owed(line.undelivered):
        yield _deliver(record)
    elif record.others_in_doubt:
        yield Step("see which runs left what is in doubt", next_steps.status(journal))
    if line.doubts:
        yield from next_steps.settle(journal, record.id, line.doubts[0].key)


def _deliver(record: RunRecord) -> Step:
    again = f"{{again}}{_where(record)}; it delivers the callbacks that are owed, and moves nobody twice"
    return next_steps.go_on(RunArguments.of(record), again)


def _where(record: RunRecord) -> str:
    """Return in which folder a run's commands work, unless that is this one."""
    folder = RunArguments.of(record).commands_folder
    return "" if folder in {None, str(Path.cwd())} else f", in the folder {folder}"


def _is_left(line: RunStatus) -> bool:
    """Return whether a run ended with something still to be carried out, as far as it knew."""
    if line.exit_code == ExitCode.OK:
        return False
    not_done = sum(number for outcome, number in line.counts.items() if not outcome.is_done)
    return not line.counts or not_done > line.not_selected


def _holds(journal: JournalAccess, run_no: int) -> Sequence[Hold]:
    """Return what holds a run that is going on."""
    with journal.follow(run_no) as follower:
        at = time.time()
        follower.look(at)
        return follower.holds(at)


def holder_runs(holder: Holder | None, newest: RunRecord) -> bool:
    """Return whether the lock's holder runs the newest run: it took the lock before the run began.

    `resolve` holds the lock too, but takes it later.
    """
    return holder is not None and holder.since[:19] <= newest.started_at[:19]


def _line(run: JournalledRun, holder: Holder | None) -> RunStatus:
    record, counts = run.record, dict(run.counts)
    state = RunState.FINISHED if run.finished else RunState.DIED
    if holder is not None:
        state = RunState.RUNNING
        counts[Outcome.IN_DOUBT] = counts.get(Outcome.IN_DOUBT, 0) - run.under_way
    return RunStatus(
        id=record.id,
        batch=record.batch,
        started_at=record.started_at,
        finished_at=record.finished_at,
        state=state,
        outcome=record.outcome if run.finished else state.value,
        exit_code=record.exit_code if run.finished else None,
        counts=counts,
        in_flight=run.under_way if holder is not None else 0,
        not_selected=run.not_selected,
        duration_s=record.duration_s if run.finished else None,
        holder=None if holder is None else str(holder),
        explanation=record.explanation,
        environment=record.environment,
        report=f"{RunArguments.of(record).report_dir}/{record.batch}/{record.id}",
        record_fault=run.record_fault,
    )


def _with_callbacks(
    history: History, seen: Sequence[JournalledRun], lines: Sequence[RunStatus], *, one: bool
) -> list[RunStatus]:
    """Add what receivers of callbacks were not told; of several runs, to each batch's newest."""
    if not one and not history.callbacks_owed():
        return list(lines)
    newest = {run.record.batch: run.no for run in reversed(seen)}.values()
    return [
        replace(line, undelivered=history.undelivered(run.no)) if run.no in newest else line
        for run, line in zip(seen, lines, strict=True)
    ]


def _with_doubts(history: History, run: JournalledRun, line: RunStatus) -> RunStatus:
    doubts = history.held_by_run(run.no, MOST_DOUBTS)
    lines = [
        DoubtStatus(
            doubt.key,
            doubt.source,
            doubt.interaction_id,
            doubt.destination_uri,
            doubt.run,
            doubt.message_id,
            doubt.reason,
        )
        for doubt in doubts
    ]
    # Fewer than are counted: a doubt that was settled on its way elsewhere needs only a new plan.
    expected = line.counts.get(Outcome.IN_DOUBT, 0) + line.in_flight
    more = expected - len(lines) if len(lines) == MOST_DOUBTS else 0
    return replace(line, doubts=lines, more_doubts=max(0, more))
