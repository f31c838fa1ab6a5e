"""Composes a run's result for the console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from runner.console.results.run_result import Group, RunResult
from runner.core.exit_code import ExitCode
from runner.core.next_steps import RunArguments
from runner.core.records.run_record import ReportSource
from runner.core.records.summary import Summary
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.plan_decision import PlannedMove
from runner.report.model import AuditEnd, Content
from runner.report.verdict import verdict_of


def result_of(
    source: ReportSource,
    summary: Summary,
    code: ExitCode,
    report: Path | None,
    *,
    planned_in_s: float | None = None,
    connected: bool = False,
    moves: Sequence[PlannedMove] = (),
    destinations: Sequence[tuple[str, int]] = (),
    place_names: Mapping[str, str] = MappingProxyType({}),
) -> RunResult:
    """Return the result of a command that planned or applied; a plan's has no run's duration."""
    groups = summary.groups
    doubts = (group.first_key for group in groups if group.outcome is Outcome.IN_DOUBT)
    return RunResult(
        batch=source.run.batch,
        environment=source.run.environment,
        exit_code=code,
        run_id=source.run.id,
        explanation=source.run.explanation,
        remarks=source.remarks,
        counts={outcome: count for outcome, count in summary.counts.items() if count},
        not_selected=summary.not_selected,
        groups=[
            Group(
                group.outcome,
                group.reason,
                group.count,
                group.examples,
                group.code,
                group.status,
                group.keys,
                group.names,
            )
            for group in groups
            if source.plan is None or group.outcome is Outcome.SKIPPED
        ],
        report=None if report is None else str(report),
        duration_s=source.run.duration_s if planned_in_s is None else planned_in_s,
        plan=source.plan,
        figures=source.figures if source.plan is None else None,
        moves=moves,
        destinations=destinations,
        place_names=place_names,
        connected=connected,
        given=RunArguments.of(source.run),
        doubt_key=next(doubts, None),
        steps=verdict_of(Content(source, summary, AuditEnd(0, None))).steps,
        started_at=source.run.started_at,
        finished_at=source.run.finished_at,
        progress=source.progress(),
        undelivered=source.undelivered,
    )
