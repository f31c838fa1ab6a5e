"""What is done with a batch: `apply` and `plan`."""

# Commands import what they need when they run: `--help` and `--version` answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runner.cli import options
from runner.console.diagnostics.formats import OutputFormat
from runner.console.diagnostics.problem_text import MAX_PROBLEMS


def apply(
    manifest: options.ManifestOrPlan,
    *,
    validate_only: options.ValidateOnly = False,
    without_secrets: options.WithoutSecrets = False,
    env: options.Env = None,
    only: options.Only = None,
    limit: options.Limit = None,
    rate: options.Rate = None,
    in_flight: options.InFlight = None,
    max_failures: options.MaxFailures = None,
    report_dir: options.ReportDir = Path("reports"),
    journal: options.Journal = None,
    lock_timeout: options.LockTimeout = None,
    again: options.Again = False,
    new_history: options.NewHistory = False,
    ignore_window: options.IgnoreWindow = False,
    yes: options.Yes = False,
    output: options.Output = OutputFormat.PRETTY,
    max_problems: options.MaxProblems = MAX_PROBLEMS,
    log_format: options.LogFormat = options.LogFormatChoice.AUTO,
    log_file: options.LogFile = None,
    verbose: options.Verbose = 0,
    quiet: options.Quiet = 0,
    no_progress: options.NoProgress = False,
) -> None:
    """Load, validate, plan, transfer what is not yet transferred, report."""
    from runner.app.request import Request

    request = Request(
        manifest=manifest,
        environment=env,
        only=tuple(only or ()),
        limit=limit,
        rate_per_s=rate,
        in_flight=in_flight,
        max_failures=max_failures,
        report_dir=report_dir,
        journal=journal,
        lock_timeout_s=lock_timeout or 0.0,
        again=again,
        new_history=new_history,
        without_secrets=without_secrets,
        ignore_window=ignore_window,
        validate_only=validate_only,
    )
    console = options.console(
        output,
        log_format,
        log_file,
        verbose - quiet,
        no_progress=no_progress,
        max_problems=max_problems,
    )
    if validate_only or without_secrets:
        from runner.cli.commands.plan import Planning, plan_manifest

        plan_manifest(console, request, Planning())
    else:
        from runner.cli.commands.apply import apply_manifest

        apply_manifest(console, request, yes=yes)


def plan(
    manifest: options.Manifest,
    *,
    without_secrets: options.WithoutSecrets = False,
    env: options.Env = None,
    only: options.Only = None,
    limit: options.Limit = None,
    rate: options.Rate = None,
    in_flight: options.InFlight = None,
    max_failures: options.MaxFailures = None,
    report_dir: options.ReportDir = Path("reports"),
    journal: options.Journal = None,
    lock_timeout: options.LockTimeout = None,
    again: options.Again = False,
    new_history: options.NewHistory = False,
    ignore_window: options.IgnoreWindow = False,
    yes: options.Yes = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            envvar="RUNNER_OUT",
            help="Write the plan to this file: `apply FILE` does exactly that, or refuses."
            " Its digest shows mistakes; it is no signature.",
            show_default=False,
        ),
    ] = None,
    preflight: Annotated[
        bool,
        typer.Option(
            "--preflight",
            envvar="RUNNER_PREFLIGHT",
            help="Ask the gateway too, read-only: token, session, each interaction's state.",
        ),
    ] = False,
    detailed_exitcode: Annotated[
        bool,
        typer.Option(
            "--detailed-exitcode",
            envvar="RUNNER_DETAILED_EXITCODE",
            help="Exit 10 when there is something to do.",
        ),
    ] = False,
    output: options.Output = OutputFormat.PRETTY,
    max_problems: options.MaxProblems = MAX_PROBLEMS,
    log_format: options.LogFormat = options.LogFormatChoice.AUTO,
    log_file: options.LogFile = None,
    verbose: options.Verbose = 0,
    quiet: options.Quiet = 0,
    no_progress: options.NoProgress = False,
) -> None:
    """Do everything up to the plan: nothing leaves this machine, unless --preflight asks.

    It takes every option of apply, so that one can become the other: a plan waits for no lock and
    asks nothing, neither whether to send nor whether the journal is the right one.
    """
    del yes, no_progress  # nothing is sent that could be confirmed or watched
    from runner.app.request import Request
    from runner.cli.commands.plan import Planning, plan_manifest

    request = Request(
        manifest=manifest,
        environment=env,
        only=tuple(only or ()),
        limit=limit,
        rate_per_s=rate,
        in_flight=in_flight,
        max_failures=max_failures,
        report_dir=report_dir,
        journal=journal,
        lock_timeout_s=lock_timeout or 0.0,
        again=again,
        new_history=new_history,
        without_secrets=without_secrets,
        ignore_window=ignore_window,
        validate_only=not preflight,  # secrets are needed to ask the gateway
    )
    console = options.console(
        output, log_format, log_file, verbose - quiet, no_progress=True, max_problems=max_problems
    )
    plan_manifest(console, request, Planning(out, preflight, detailed_exitcode))
