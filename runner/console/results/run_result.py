"""The result of a run or a plan as values, and as JSON (cli.md, "Exit codes")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from typing import Any

from runner.console.log.redaction import redact
from runner.console.results.document import document
from runner.core.exit_code import ExitCode
from runner.core.frozen import frozen
from runner.core.next_steps import RunArguments, Step
from runner.core.records.batch_progress import BatchProgress
from runner.core.records.run_record import Figures, PlanFigures
from runner.core.records.undelivered import Undelivered
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.plan_decision import PlannedMove

MOST_MOVES = 10_000
"""Most rows of a plan that a result lists; the report's `report.json` has more."""


@frozen
class Group:
    """Transfers with the same outcome and cause; `examples` are places in the manifest."""

    outcome: Outcome
    reason: str | None
    count: int
    examples: Sequence[str] = ()  # "file:line" of the first few
    code: str | None = None  # of the cause
    status: str | None = None  # the first one's last reply, where it had any
    keys: Sequence[str] = ()  # of the same few
    names: Sequence[str] = ()  # what to call them; none: by their places


@frozen
class RunResult:
    """The result of a command that planned or applied.

    `plan` is set for a dry run: nothing was sent, and `groups` are of what is skipped alone.
    """

    batch: str
    environment: str
    exit_code: ExitCode
    run_id: str | None = None
    explanation: str | None = None  # why it ended as it did
    remarks: Sequence[str] = ()  # a plan's explanation, a line each
    counts: Mapping[Outcome, int] = field(default_factory=dict)
    not_selected: int = 0  # those of `unattempted` that `--only` or `--limit` left out
    groups: Sequence[Group] = ()
    report: str | None = None  # path
    duration_s: float | None = None  # of the run; of the command that planned
    plan: PlanFigures | None = None
    figures: Figures | None = None  # what a run measured
    moves: Sequence[PlannedMove] = ()  # the first of what a plan would send
    destinations: Sequence[tuple[str, int]] = ()  # how many it would send to each, most first
    place_names: Mapping[str, str] = field(
        default_factory=dict
    )  # of queues and users, by their URI
    connected: bool = False  # a dry run that looked at the gateway, read-only (`--preflight`)
    given: RunArguments | None = None  # the options that offered commands repeat
    doubt_key: str | None = None  # the first transfer in doubt
    steps: Sequence[Step] = ()  # what to do next, for programs
    started_at: str | None = None  # RFC 3339
    finished_at: str | None = None
    progress: BatchProgress | None = None  # None: a plan, or its batch's first run
    undelivered: Sequence[Undelivered] = ()  # what receivers of callbacks were not told

    @property
    def total(self) -> int:
        """The transfers of the manifest."""
        return sum(self.counts.values())

    @property
    def done(self) -> int:
        """The transfers that need nothing more."""
        return sum(number for outcome, number in self.counts.items() if outcome.is_done)


def result_to_json(result: RunResult) -> str:
    """Return the result as one JSON document, in ASCII."""
    plan = result.plan
    fields: dict[str, Any] = {
        "id": result.run_id,
        "run": result.run_id,
        "batch": result.batch,
        "environment": result.environment,
        "started_at": result.started_at,
        "finished_at": result.finished_at,
        "state": "finished",
        "outcome": result.exit_code.outcome if plan is None else "planned",
        "exit_code": int(result.exit_code),
        "explanation": redact(result.explanation or "") or None,
        "total": result.total,
        "counts": {outcome.value: result.counts.get(outcome, 0) for outcome in Outcome},
        "in_flight": 0,
        "not_selected": result.not_selected,
        "groups": [_group(group) for group in result.groups],
        "plan": None if plan is None else _plan(plan),
        **({} if plan is None else _moves(result, plan)),
        **({} if result.progress is None else {"progress": asdict(result.progress)}),
        **undelivered_to_json(result.undelivered),
        "report": result.report,
        "duration_s": None if result.duration_s is None else round(result.duration_s, 3),
        "next_steps": [step.to_json() for step in result.steps],
    }
    return document("apply" if plan is None else "plan", fields)


def undelivered_to_json(undelivered: Sequence[Undelivered]) -> dict[str, Any]:
    """Return the field with the callbacks that were not delivered; nothing where there are none."""
    rows = [{**each._asdict(), "reason": redact(each.reason or "") or None} for each in undelivered]
    return {"undelivered": rows} if rows else {}


def _group(group: Group) -> dict[str, Any]:
    return {
        "outcome": group.outcome.value,
        "reason": redact(group.reason or "") or None,
        "count": group.count,
        "examples": list(group.examples),
        "reason_code": group.code,
        "keys": list(group.keys),
    }


def _moves(result: RunResult, plan: PlanFigures) -> dict[str, Any]:
    """Return the rows that would be sent, and the number of further ones."""
    rows = [
        {
            "key": move.key,
            "interaction_id": move.interaction_id,
            "from": move.origin_uri,
            "from_name": result.place_names.get(move.origin_uri or ""),
            "to": move.destination_uri,
            "to_name": result.place_names.get(move.destination_uri),
        }
        for move in result.moves
    ]
    return {"moves": rows, "moves_omitted": max(0, plan.send - len(rows))}


def _plan(plan: PlanFigures) -> dict[str, Any]:
    return {
        "send": plan.send,
        "unchanged": plan.unchanged,
        "changed": plan.changed,
        "in_doubt": plan.in_doubt,
        "estimate_s": plan.estimate_s,
        "pauses_s": plan.pauses_s,
        "waves": list(plan.waves),
        "max_failures": plan.max_failures,
        "failed_before": plan.failed_before,
        "at_once": plan.at_once,
        "skipped": plan.skipped,
        "window": None if plan.window is None else asdict(plan.window),
        "openings": [asdict(opening) for opening in plan.openings],
        "zone": plan.zone,
        "ends_at": plan.ends_at,
        "misses_window": plan.misses_window,
        "opens_at": plan.opens_at,
        "closes_at": plan.closes_at,
        "selections": plan.selections,
        "approvals": plan.approvals,
        "needs_preflight": plan.needs_preflight,
    }
