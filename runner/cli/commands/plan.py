"""`runner plan`, and `runner apply --validate-only`.

Neither the engine nor the gateways' libraries are loaded for what never leaves this machine: it
answers in a third of the time.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.app.compose_result import result_of
from runner.app.directory_lookup import look_up_directory
from runner.app.name_resolution import NOTHING_ASKED, needs_directory
from runner.app.plan import (
    first_moves,
    kept_report,
    outline_plan,
    plan_offline,
    read_manifest,
    save_plan,
    sums_by_destination,
)
from runner.app.plan_check import as_planned, with_run_named
from runner.app.preflight import run_preflight
from runner.app.signals import Signals
from runner.cli import options
from runner.cli.dataclass_options import expand_dataclasses
from runner.cli.error_exit_codes import exit_code_of
from runner.cli.output import boundary, must_be_shown
from runner.cli.step_summary import summarize_report, summarizing
from runner.console.diagnostics.problem_text import MAX_PROBLEMS
from runner.console.results.run_result import MOST_MOVES
from runner.console.terminal_text import visible
from runner.core.batch_options import CHECKS, OUTPUT, PLACES
from runner.core.errors import UsageError
from runner.core.exit_code import ExitCode
from runner.core.frozen import frozen
from runner.staging.rows import Staging

if TYPE_CHECKING:
    from runner.app.name_resolution import DirectoryAnswers
    from runner.app.preflight import PreflightResult
    from runner.app.run_options import RunOptions
    from runner.cli.output import Console
    from runner.core.manifest.model import Manifest
    from runner.core.records.run_record import PlanFigures


IDS_NEEDED = (
    "a plan that is written down holds ids, and this manifest has names or selections that only"
    " the gateway can resolve; add --preflight"
)

SECRETS_NEEDED = (
    "--without-secrets can only check: add --validate-only to apply, or leave --preflight out of"
    " plan; to send, or to ask the gateway, the secrets are needed"
)

STDOUT = Path("-")

PLAN_IS_A_FILE = (
    "a plan that is written down is a file, which apply reads again: name one with --out FILE, or"
    " leave --out out and show the plan with --output json"
)


@frozen
class PlanOptions:
    """The options of `plan` alone."""

    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            envvar="RUNNER_OUT",
            help="Write the plan to this file: `apply FILE` does exactly that, or refuses."
            " Its digest shows mistakes; it is not a signature.",
            rich_help_panel=PLACES,
            show_default=False,
        ),
    ] = None
    preflight: Annotated[
        bool,
        typer.Option(
            "--preflight",
            envvar="RUNNER_PREFLIGHT",
            help="Ask the gateway too, read-only: token, session, each interaction's state.",
            rich_help_panel=CHECKS,
        ),
    ] = False
    detailed_exitcode: Annotated[
        bool,
        typer.Option(
            "--detailed-exitcode",
            envvar="RUNNER_DETAILED_EXITCODE",
            help="Exit 10 when there is something to do.",
            rich_help_panel=OUTPUT,
        ),
    ] = False


@expand_dataclasses
def plan(
    manifest: options.Manifest,
    *,
    batch: options.SharedOptions,
    yes: options.Yes = False,
    wait: options.Wait = None,
    planning: PlanOptions,
    max_problems: options.MaxProblems = MAX_PROBLEMS,
    no_progress: options.NoProgress = False,
    metrics_file: options.MetricsFile = None,
    output: options.OutputOptions,
) -> None:
    """Do everything up to the plan: nothing leaves this machine, unless --preflight asks.

    It takes every option of apply, so that one can become the other: a plan waits for no lock and
    asks nothing, neither whether to send nor whether the journal is the right one.
    """
    # Nothing is sent that could be confirmed, waited for or watched.
    del yes, wait, no_progress, metrics_file
    # secrets are needed to ask the gateway
    request = batch.request(manifest, validate_only=not planning.preflight)
    plan_manifest(output.console(no_progress=True, max_problems=max_problems), request, planning)


def plan_manifest(console: Console, given: RunOptions, planning: PlanOptions) -> None:
    """Do everything up to the plan, write its report, and the plan itself if wanted; then exit."""
    Signals().install()
    with boundary(console, given.manifest), summarizing(console, given.manifest):
        if given.without_secrets and not given.validate_only:
            raise UsageError(SECRETS_NEEDED)
        if planning.out == STDOUT:
            raise UsageError(PLAN_IS_A_FILE)
        request = as_planned(given)
    manifest_path = request.manifest
    with (
        boundary(console, manifest_path),
        must_be_shown(console),
        summarizing(console, manifest_path),
        Staging() as staging,
    ):
        began = time.monotonic()
        manifest, warnings = read_manifest(request, staging)
        request = with_run_named(request, manifest)
        console.show_problems(warnings, request.manifest.parent, result=False)
        found = _found(console, request, manifest, staging, asked=planning.preflight)
        manifest = found.resolved(manifest)
        plan_offline(request, manifest, staging)
        preflight = _look_ahead(console, request, manifest, staging) if planning.preflight else None
        if planning.out is not None and needs_directory(manifest, staging):
            raise UsageError(IDS_NEEDED)
        source, summary = outline_plan(
            *(request, manifest, staging, preflight),
            found=found,
            out=planning.out,
            code=partial(_exit_code, planning, preflight),
        )
        error, is_saved = None if preflight is None else preflight.error, False
        if planning.out is not None and error is None:
            source, is_saved = save_plan(
                request, manifest, staging, source, planning.out, found=found
            )
        source, report = kept_report(request, source, summary)
        if error is not None:
            if report is not None:
                console.err.write(f"report: {visible(str(report))}\n")
            raise error
        if is_saved:
            console.err.write(f"plan: {visible(str(planning.out))}\n")
        code = ExitCode(source.run.exit_code or ExitCode.OK)
        result = result_of(
            source,
            summary,
            code,
            report,
            planned_in_s=time.monotonic() - began,
            connected=preflight is not None,
            moves=first_moves(staging, preflight, MOST_MOVES),
            destinations=sums_by_destination(staging, preflight),
            place_names=found.place_names,
        )
        console.show_result(result, warnings)
        if report is not None:
            summarize_report(console, source, summary, report)
        raise SystemExit(code)


def _found(
    console: Console, request: RunOptions, manifest: Manifest, staging: Staging, *, asked: bool
) -> DirectoryAnswers:
    """Return the gateway's answers about names and selections; nothing if it is not asked."""
    if request.plan is None and not (asked and needs_directory(manifest, staging)):
        return NOTHING_ASKED
    with console.watching() as observer:
        return look_up_directory(request, manifest, staging, observer)


def _look_ahead(
    console: Console, request: RunOptions, manifest: Manifest, staging: Staging
) -> PreflightResult:
    with console.watching() as observer:
        return run_preflight(request, manifest, staging, observer)


def _exit_code(
    planning: PlanOptions, preflight: PreflightResult | None, plan: PlanFigures
) -> ExitCode:
    """Return how the command exits, which its report shows too."""
    if preflight is not None and preflight.error is not None:
        return exit_code_of(preflight.error)
    is_pending = bool(plan.send or plan.in_doubt or plan.selections)
    return ExitCode.PENDING if planning.detailed_exitcode and is_pending else ExitCode.OK
