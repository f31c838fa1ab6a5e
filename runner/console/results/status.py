"""Renders a journal's runs, or one run with its doubts, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from runner.console.live.progress_text import outcome_counts
from runner.console.log.redaction import redact
from runner.console.results.document import document
from runner.console.results.run_result import undelivered_to_json
from runner.console.terminal_text import Paint, shorten, shorten_apart, visible
from runner.core import next_steps
from runner.core.control import CommandName
from runner.core.exit_code import ExitCode
from runner.core.frozen import frozen
from runner.core.next_steps import Step
from runner.core.number_text import counted, duration
from runner.core.records.undelivered import Undelivered
from runner.core.timestamps import clock_time
from runner.core.transfer.outcome import Outcome, outcome_named, outcome_words
from runner.ports.history import Hold

MOST_DOUBTS = 20
"""Most doubts that the text lists; JSON has all."""

REASON_LIMIT = 120
HOLD_LIMIT = 240


class RunState(StrEnum):
    """Whether a run is running, finished or dead."""

    RUNNING = "running"
    FINISHED = "finished"
    DIED = "died"  # it did not finish, and no process holds the journal's lock


@frozen
class DoubtStatus:
    """A transfer in doubt."""

    key: str
    source: str  # "file:line"
    interaction_id: str
    destination_uri: str
    run: str  # that delivered it
    message_id: str | None
    reason: str | None


@frozen
class RunStatus:
    """A run; `in_flight` is 0 unless it is running."""

    id: str
    batch: str
    started_at: str
    finished_at: str | None
    state: RunState
    outcome: str  # the exit code's name; the state of a run that has none
    exit_code: int | None
    counts: Mapping[Outcome, int]
    in_flight: int
    not_selected: int
    duration_s: float | None = None  # None: it has no end
    holder: str | None = None  # the process that runs it
    explanation: str | None = None
    environment: str = ""
    report: str | None = None  # its folder, relative to the run's working folder
    holds: Sequence[Hold] = ()  # what holds it, while it is running
    journal: str | None = None  # its own, where several are shown together
    doubts: Sequence[DoubtStatus] = ()
    more_doubts: int = 0  # that were not read
    record_fault: str | None = None  # how its record differs from the one in the audit chain
    undelivered: Sequence[Undelivered] = ()  # what receivers of callbacks were not told


@frozen
class JournalStatus:
    """A journal and the requested runs, newest first."""

    path: str
    environment: str
    origin: str
    doubts: int  # in the whole journal, including transfers under way
    runs: Sequence[RunStatus]
    steps: Sequence[Step] = ()  # what to do next


def status_to_json(status: JournalStatus, *, one: bool) -> str:
    """Return the status as one JSON document, in ASCII; `one` run has its doubts."""
    fields: dict[str, Any] = {
        "journal": status.path,
        "environment": status.environment,
        "gateway": status.origin,
        "in_doubt": status.doubts,
    }
    if one:
        run = status.runs[0]
        doubts = [_doubt(doubt) for doubt in run.doubts]
        fields["run"] = _run(run) | {"doubts": doubts, "more_doubts": run.more_doubts}
    else:
        fields["runs"] = [_run(run) for run in status.runs]
    fields["next_steps"] = [step.to_json() for step in status.steps]
    return document("status", fields)


def render_status(status: JournalStatus, *, one: bool, color: bool = False) -> str:
    """Return the status as text."""
    paint = Paint(color)
    where = f"environment {visible(status.environment)}, gateway {visible(status.origin)}"
    lines = [f"journal {visible(status.path)}", f"  {paint.faint(where)}"]
    for run in status.runs:
        lines += ["", *_run_lines(run, paint)]
        lines += _doubts(run, paint) if one else ()
        lines += _steps(status.steps) if one else ()
        lines += _steps(hold_steps(run.holds, status.path)) if not one else ()
    if not status.runs:
        lines += ["", "no runs yet"]
    if status.doubts and not one:
        lines += [
            "",
            f"{counted(status.doubts, 'transfer')} in doubt or under way",
        ]
    if not one and status.steps:
        lines += [*([] if status.doubts else [""]), *_steps(status.steps)]
    return "\n".join(lines) + "\n"


def hold_to_json(hold: Hold) -> dict[str, Any]:
    """Return the JSON form of a hold."""
    ends_by = None if hold.ends_by is None else hold.ends_by.value
    return {"text": redact(str(hold)), "ends_by": ends_by}


def hold_steps(holds: Sequence[Hold], journal: str | None) -> tuple[Step, ...]:
    """Return how a person ends what holds a run, or looks at what ends by itself."""
    ending = [hold.ends_by for hold in holds if hold.ends_by is not None]
    return tuple(
        Step(_ENDING[command], next_steps.control(journal, command))
        for command in ending or [CommandName.SHOW] * bool(holds)
    )


_ENDING = {
    CommandName.RESUME: "let it go on",
    CommandName.CONTINUE: "let the wave begin",
    CommandName.SHOW: "see its figures and limits",
}


def _run_lines(run: RunStatus, paint: Paint) -> Iterator[str]:
    strong = {ExitCode.OK.outcome: paint.green, RunState.RUNNING: paint.yellow}
    word = strong.get(run.outcome, paint.red)(run.outcome)
    yield f"{paint.bold(visible(run.id))}  {word}  batch {visible(run.batch)}"
    ended = f", finished {clock_time(run.finished_at)} UTC" if run.finished_at else " UTC"
    if run.duration_s is not None:
        ended += f", duration {duration(run.duration_s)}"
    holder = f", by {visible(run.holder)}" if run.holder else ""
    yield f"  {paint.faint(f'started {clock_time(run.started_at)}{ended}{holder}')}"
    if run.record_fault is not None:
        changed = f"its record was changed, and this cannot be trusted: {redact(run.record_fault)}"
        yield f"  {paint.red(shorten(changed, HOLD_LIMIT))}"
    yield f"  {', '.join(_figures(run)) or 'no transfers'}"
    if run.explanation:
        yield f"  {shorten(redact(run.explanation), REASON_LIMIT)}"
    for callback in run.undelivered:
        text = redact(f"callback {callback.text}")
        yield f"  {paint.yellow(shorten(text, REASON_LIMIT))}"
    for hold in run.holds:
        yield f"  {paint.yellow(shorten(redact(str(hold)), HOLD_LIMIT))}"
    if run.state is RunState.DIED:
        doubts = run.counts.get(Outcome.IN_DOUBT)
        in_flight = "what was in flight is in doubt until a look-up or a person settles it"
        settled = "all that it sent has been settled"
        yield f"  it died; {in_flight if doubts else settled}"


def _figures(run: RunStatus) -> Iterator[str]:
    for name, number in outcome_counts(run.counts).items():
        outcome, word = outcome_named(name), outcome_words(name)
        if outcome is not None and not outcome.was_begun and run.state is RunState.RUNNING:
            word = "waiting"
        yield f"{number:,} {word}"
    if run.in_flight:
        yield f"{run.in_flight:,} in flight"
    if run.not_selected:
        yield f"{run.not_selected:,} of them not selected"


def _doubts(run: RunStatus, paint: Paint) -> Iterator[str]:
    if not run.doubts:
        return
    yield ""
    yield paint.bold("in flight" if run.state is RunState.RUNNING else "in doubt")
    shown = run.doubts[:MOST_DOUBTS]
    reasons = shorten_apart(
        [redact(doubt.reason or "no reply yet") for doubt in shown], REASON_LIMIT
    )
    for doubt, reason in zip(shown, reasons, strict=True):
        yield f"  {visible(doubt.key)}  {paint.faint(visible(doubt.source))}"
        yield f"    interaction {visible(doubt.interaction_id)} to {visible(doubt.destination_uri)}"
        yield f"    message {doubt.message_id} of run {doubt.run}: {reason}"
    if (rest := len(run.doubts) + run.more_doubts - MOST_DOUBTS) > 0:
        yield f"  and {rest:,} more: --output json lists them all"
    if run.state is not RunState.RUNNING:
        yield "look each one up at the gateway, and state for each what you saw"


def _steps(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        yield f"  {visible(step.text)}:"
        yield f"    {step.command}"


def _run(run: RunStatus) -> dict[str, Any]:
    return {
        "id": run.id,
        "run": run.id,
        "batch": run.batch,
        "environment": run.environment,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "state": run.state.value,
        "outcome": run.outcome,
        "exit_code": run.exit_code,
        "holder": run.holder,
        "holds": [hold_to_json(hold) for hold in run.holds],
        "explanation": redact(run.explanation or "") or None,
        "total": sum(run.counts.values()) + run.in_flight,
        "counts": {outcome.value: run.counts.get(outcome, 0) for outcome in Outcome},
        "in_flight": run.in_flight,
        "not_selected": run.not_selected,
        **undelivered_to_json(run.undelivered),
        "report": run.report,
        "duration_s": run.duration_s,
        "record_fault": None if run.record_fault is None else redact(run.record_fault),
    }


def _doubt(doubt: DoubtStatus) -> dict[str, Any]:
    return {
        "key": doubt.key,
        "source": doubt.source,
        "interaction_id": doubt.interaction_id,
        "destination_uri": doubt.destination_uri,
        "run": doubt.run,
        "message_id": doubt.message_id,
        "reason": redact(doubt.reason or "") or None,
    }
