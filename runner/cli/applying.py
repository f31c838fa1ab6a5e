"""`runner apply` and `runner plan`, once their options are read."""

from __future__ import annotations

import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import typer

from runner.cli.console import Console, boundary
from runner.core.manifest import Driver, Manifest
from runner.core.outcome import ExitCode
from runner.core.record import PlanFigures, ReportSource
from runner.journal.staging import Staging
from runner.wiring.applying import Applied, Attendance, apply
from runner.wiring.holding import as_planned
from runner.wiring.planning import plan_offline, read_manifest, report_plan, save_plan
from runner.wiring.preflight import Preflight, look_ahead
from runner.wiring.request import Request
from runner.wiring.results import result_of
from runner.wiring.signals import Signals

_log = logging.getLogger("runner")


def apply_manifest(console: Console, given: Request, *, yes: bool) -> None:
    """Load, validate, plan, transfer what is not yet transferred, report; then exit."""
    signals = Signals()
    signals.install()
    with boundary(console, given.manifest):
        request = as_planned(given)
    with boundary(console, request.manifest), Staging() as staging:
        began = time.monotonic()
        manifest, warnings = read_manifest(request, staging)
        console.show_problems(warnings, request.manifest.parent, result=False)
        with console.watching() as observer:
            attendance = Attendance(observer, signals, lambda m, p: yes or _confirmed(m, p))
            applied = apply(request, manifest, staging, attendance)
            _trace(applied)
        result = result_of(
            applied.source,
            applied.summary,
            applied.code,
            applied.report,
            time.monotonic() - began,
        )
        console.show_result(result, warnings)
        raise SystemExit(applied.code)


@dataclass(frozen=True, slots=True)
class Planning:
    """What `plan` alone is asked for."""

    out: Path | None = None  # where to write the plan
    preflight: bool = False  # ask the gateway too, read-only
    detailed: bool = False  # exit 10 when there is something to do


def plan_manifest(console: Console, given: Request, planning: Planning) -> None:
    """Do everything up to the plan, write its report, and the plan itself if wanted; then exit."""
    Signals().install()
    with boundary(console, given.manifest):
        request = as_planned(given)
    with boundary(console, request.manifest), Staging() as staging:
        began = time.monotonic()
        manifest, warnings = read_manifest(request, staging)
        console.show_problems(warnings, request.manifest.parent, result=False)
        plan_offline(request, manifest, staging)
        preflight = _look_ahead(console, request, manifest, staging) if planning.preflight else None
        source, summary, report = report_plan(request, manifest, staging, preflight)
        if preflight is not None and preflight.error is not None:
            console.err.write(f"report: {report}\n")
            raise preflight.error
        if planning.out is not None:
            save_plan(request, manifest, staging, source.run, planning.out)
            console.err.write(f"plan: {planning.out}\n")
        code = ExitCode.PENDING if planning.detailed and _is_pending(source) else ExitCode.OK
        result = result_of(
            source,
            summary,
            ExitCode.OK,
            report,
            time.monotonic() - began,
            connected=preflight is not None,
        )
        console.show_result(result, warnings)
        raise SystemExit(code)


def _look_ahead(
    console: Console, request: Request, manifest: Manifest, staging: Staging
) -> Preflight:
    with console.watching() as observer:
        return look_ahead(request, manifest, staging, observer)


def _is_pending(source: ReportSource) -> bool:
    return source.plan is not None and bool(source.plan.send or source.plan.in_doubt)


def _confirmed(manifest: Manifest, plan: PlanFigures) -> bool:
    """Ask on a terminal, and only where live interactions would move; elsewhere never hang."""
    if manifest.environment.driver is Driver.SIMULATOR:
        return True
    ends = (sys.stdin, sys.stderr)  # None where the descriptor was closed from the start
    if any(end is None or not end.isatty() for end in ends):
        return True
    question = (
        f"Move {plan.send} live interactions by environment {manifest.environment.name}"
        f" ({plan.unchanged} unchanged, {plan.in_doubt} in doubt)?"
    )
    return typer.confirm(question, err=True)


def _trace(applied: Applied) -> None:
    if applied.code is ExitCode.BUG and applied.error is not None:
        _log.error("an internal error", exc_info=applied.error)
