"""`runner plan` and `--validate-only`, once their options are read.

Neither the engine nor the gateways' libraries are loaded for what never leaves this machine: it
answers in a third of the time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runner.app.name_resolution import NOTHING_FOUND, Found, is_open
from runner.app.plan import first_moves, plan_offline, read_manifest, report_plan, save_plan
from runner.app.plan_check import as_planned
from runner.app.request import Request
from runner.app.run_result import result_of
from runner.app.signals import Signals
from runner.cli.exit_codes import exit_code_of
from runner.cli.output import Console, boundary
from runner.cli.step_summary import summarize_report, summarizing
from runner.console.results.run_result import MOST_MOVES
from runner.console.text import visible
from runner.core.errors import UsageError
from runner.core.manifest.model import Manifest
from runner.core.records.run_record import PlanFigures
from runner.core.transfer.outcome import ExitCode
from runner.journal.staging import Staging

if TYPE_CHECKING:
    from runner.app.preflight import Preflight


OPEN = (
    "a plan that is written down holds ids, and this manifest has names or selections that only"
    " the gateway can tell; add --preflight"
)

SECRETS = (
    "--without-secrets can only check: add --validate-only to apply, or leave --preflight out of"
    " plan; who sends, or asks the gateway, needs the secrets"
)


@dataclass(frozen=True, slots=True)
class Planning:
    """What `plan` alone is asked for."""

    out: Path | None = None  # where to write the plan
    preflight: bool = False  # ask the gateway too, read-only
    detailed: bool = False  # exit 10 when there is something to do


def plan_manifest(console: Console, given: Request, planning: Planning) -> None:
    """Do everything up to the plan, write its report, and the plan itself if wanted; then exit."""
    Signals().install()
    with boundary(console, given.manifest), summarizing(console, given.manifest):
        if given.without_secrets and not given.validate_only:
            raise UsageError(SECRETS)
        request = as_planned(given)
    manifest_path = request.manifest
    with (
        boundary(console, manifest_path),
        summarizing(console, manifest_path),
        Staging() as staging,
    ):
        began = time.monotonic()
        manifest, warnings = read_manifest(request, staging)
        console.show_problems(warnings, request.manifest.parent, result=False)
        found = _found(console, request, manifest, staging, asked=planning.preflight)
        plan_offline(request, manifest, staging)
        preflight = _look_ahead(console, request, manifest, staging) if planning.preflight else None
        if planning.out is not None and is_open(manifest, staging):
            raise UsageError(OPEN)
        source, summary, report = report_plan(
            *(request, manifest, staging, preflight),
            found=found,
            out=planning.out,
            code=partial(_code, planning, preflight),
        )
        if preflight is not None and preflight.error is not None:
            console.err.write(f"report: {visible(str(report))}\n")
            raise preflight.error
        if planning.out is not None:
            save_plan(request, manifest, staging, source.run, planning.out, found=found)
            console.err.write(f"plan: {visible(str(planning.out))}\n")
        code = ExitCode(source.run.exit_code or ExitCode.OK)
        result = result_of(
            source,
            summary,
            code,
            report,
            time.monotonic() - began,
            connected=preflight is not None,
            moves=first_moves(staging, preflight, MOST_MOVES),
        )
        console.show_result(result, warnings)
        summarize_report(console, source, summary, report)
        raise SystemExit(code)


def _found(
    console: Console, request: Request, manifest: Manifest, staging: Staging, *, asked: bool
) -> Found:
    """Return what the gateway says of names and selections; nothing, where it is not asked."""
    if request.plan is None and not (asked and is_open(manifest, staging)):
        return NOTHING_FOUND
    from runner.app.directory_queries import ask  # noqa: PLC0415 - it brings the gateway's libraries

    with console.watching() as observer:
        return ask(request, manifest, staging, observer)


def _look_ahead(
    console: Console, request: Request, manifest: Manifest, staging: Staging
) -> Preflight:
    from runner.app.preflight import look_ahead  # noqa: PLC0415 - it brings the gateway's libraries

    with console.watching() as observer:
        return look_ahead(request, manifest, staging, observer)


def _code(planning: Planning, preflight: Preflight | None, plan: PlanFigures) -> ExitCode:
    """Return how the command exits, which its report tells too."""
    if preflight is not None and preflight.error is not None:
        return exit_code_of(preflight.error)
    is_pending = bool(plan.send or plan.in_doubt or plan.selections)
    return ExitCode.PENDING if planning.detailed and is_pending else ExitCode.OK
