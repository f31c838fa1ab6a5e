"""`status --fleet`: lanes, workers and submissions, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from runner.console.results.status import RunStatus, hold_steps, hold_to_json
from runner.console.terminal_text import visible
from runner.ports.fleet import FleetState, LaneOwner, Submission, SubmissionState, WorkerState


def fleet_to_json(state: FleetState, held: Mapping[int, RunStatus]) -> str:
    """Return the state as JSON; `held` has the runs that something holds, by submission."""
    fields = asdict(state)
    for each in fields["submissions"]:
        holds = held[each["id"]].holds if each["id"] in held else ()
        each["holds"] = [hold_to_json(hold) for hold in holds]
    return json.dumps(fields, indent=2) + "\n"


def render_fleet(state: FleetState, held: Mapping[int, RunStatus], *, color: bool) -> str:
    """Return the state as text; `held` has the runs that something holds, by submission."""
    del color
    lines = ["lanes:", *(_lane(each) for each in state.lanes)]
    lines += ["workers:", *(_worker(each) for each in state.workers)]
    lines.append("submissions:")
    for each in state.submissions:
        lines.append(_submission(each, state))
        lines += _holds(held[each.id]) if each.id in held else ()
    if not state.sees_runs:
        lines.append("what holds a run is not shown: only the role `runner_reader` may read runs")
    return "".join(f"{visible(line)}\n" for line in lines)


def _lane(lane: LaneOwner) -> str:
    held = "free" if lane.owner is None else f"held by {lane.owner}, renewed {lane.renewed_at}"
    taken = "" if lane.taken_at is None else f"; taken {lane.taken_at} ({lane.why})"
    return f"  {lane.name}: {held}; epoch {lane.epoch}{taken}"


def _worker(worker: WorkerState) -> str:
    how = "up" if worker.is_seen else f"NOT SEEN since {worker.seen_at}"
    drained = f", drained by {worker.drained_by}" if worker.is_drained else ""
    carries = ", ".join(map(str, worker.running)) or "nothing"
    environments = ", ".join(worker.environments)
    return (
        f"  {worker.name}: {how}{drained}; carries {carries}; has {environments}; {worker.process}"
    )


def _holds(run: RunStatus) -> Iterator[str]:
    """Yield what holds a run, and how a person ends that."""
    yield from (f"    {hold}" for hold in run.holds)
    for step in hold_steps(run.holds, run.journal):
        yield f"    {step.text}: {step.command}"


def _submission(each: Submission, state: FleetState) -> str:
    parts = [f"  {each.id} {each.batch} ({each.environment}): {each.state}"]
    if each.is_cancelled and not each.state.is_over:
        parts.append(f"to be cancelled by {each.cancelled_by}")
    elif each.is_cancelled and each.state is SubmissionState.CANCELLED:
        parts.append(f"by order of {each.cancelled_by}")
    parts += _course(each, state)
    if each.exit_code is not None:
        parts.append(f"exit code {each.exit_code}, {each.ended_at}")
    if each.explanation:
        parts.append(each.explanation)
    sender = "" if each.submitted_from is None else f" ({each.submitted_from})"
    return "; ".join([*parts, f"by {each.submitted_by}{sender}, {each.submitted_at}"])


def _course(each: Submission, state: FleetState) -> Iterator[str]:
    """Yield who carries a submission that is not over, or what it waits for."""
    up = [worker for worker in state.workers if worker.is_seen]
    has_worker = any(each.environment in one.environments for one in up if not one.is_drained)
    is_carried = each.worker in {worker.name for worker in up}
    if each.state is SubmissionState.RUNNING:
        yield f"by worker {each.worker}, run {each.run or 'not planned yet'}"
        if not is_carried and has_worker:
            yield f"{each.worker} is not seen: another worker goes on once its lease has run out"
    if each.state is SubmissionState.WAITING and not each.is_due and each.not_before is not None:
        yield f"from {each.not_before} on"
    elif not (each.state.is_over or has_worker):
        yield "no worker that is up, and not drained, has its environment: start one"
    elif each.state is SubmissionState.WAITING and each.is_begun:
        yield "begun, to be carried on"
    elif each.state is SubmissionState.WAITING:
        ahead = [o for o in state.submissions if o.id != each.id and _is_ahead(o, each)]
        if ahead:
            yield f"waits for its turn, after submission {ahead[-1].id}"


def _is_ahead(other: Submission, each: Submission) -> bool:
    """Return whether a submission of the same environment runs, and each is taken after it."""
    return other.state is SubmissionState.RUNNING and other.environment == each.environment
