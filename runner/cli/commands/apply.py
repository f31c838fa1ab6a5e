"""`runner apply`: check, plan, transfer, report."""

# Commands import what they need when they run: `--help` and `--version` answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli import options
from runner.cli.option_groups import expand_groups
from runner.console.diagnostics.problem_text import MAX_PROBLEMS

if TYPE_CHECKING:
    from runner.app.apply import Applied, Question
    from runner.app.run_options import RunOptions
    from runner.cli.output import Console
    from runner.console.log.observers import Observers

ManifestOrPlan = Annotated[
    Path,
    typer.Argument(
        metavar="MANIFEST",
        help="A YAML file, or a plan that `plan --out` wrote.",
        show_default=False,
    ),
]
ValidateOnly = Annotated[
    bool,
    typer.Option(
        "--validate-only",
        envvar="RUNNER_VALIDATE_ONLY",
        help="Do everything up to the plan; nothing leaves this machine.",
    ),
]


@expand_groups
def apply(
    manifest: ManifestOrPlan,
    *,
    validate_only: ValidateOnly = False,
    batch: options.BatchOptions,
    yes: options.Yes = False,
    max_problems: options.MaxProblems = MAX_PROBLEMS,
    no_progress: options.NoProgress = False,
    output: options.OutputOptions,
) -> None:
    """Load, validate, plan, transfer what is not yet transferred, report."""
    request = batch.request(manifest, validate_only=validate_only)
    console = output.console(no_progress=no_progress, max_problems=max_problems)
    if validate_only or batch.without_secrets:
        from runner.cli.commands.plan import PlanOptions, plan_manifest

        plan_manifest(console, request, PlanOptions())
    else:
        apply_manifest(console, request, yes=yes)


def apply_manifest(console: Console, given: RunOptions, *, yes: bool) -> None:
    """Carry out a manifest, or a written plan; then exit."""
    import time

    from runner.app import apply as use_case
    from runner.app.plan import read_manifest
    from runner.app.plan_check import as_planned
    from runner.app.run_result import result_of
    from runner.app.signals import Signals
    from runner.cli.output import boundary
    from runner.cli.step_summary import summarize_report, summarizing
    from runner.staging.rows import Staging

    signals = Signals()
    signals.install()
    with boundary(console, given.manifest), summarizing(console, given.manifest):
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
        with console.watching() as observer:
            signals.last_word = partial(_close_view, console, observer)
            confirm = partial(_confirmed, console, yes=yes)
            hooks = use_case.RunHooks(observer, signals, confirm)
            applied = use_case.apply(request, manifest, staging, hooks)
            _log_bug(applied)
        duration_s = time.monotonic() - began
        source, summary, report = applied.source, applied.summary, applied.report
        console.show_result(result_of(source, summary, applied.code, report, duration_s), warnings)
        summarize_report(console, source, summary, report)
        raise SystemExit(applied.code)


def _close_view(console: Console, observer: Observers) -> None:
    """Take the view off the terminal, for a run that is about to end at once."""
    observer.close()
    console.err.flush()


def _confirmed(console: Console, question: Question, *, yes: bool) -> bool:
    """Ask on a terminal, and only where live interactions would move; without one, go on."""
    from runner.cli.confirmation import ask_on_terminal, question_text

    if yes or question.is_simulated:
        return True
    console.err.flush()
    answer = ask_on_terminal(question_text(question))
    return True if answer is None else answer


def _log_bug(applied: Applied) -> None:
    import logging

    from runner.core.exit_code import ExitCode

    if applied.code is ExitCode.BUG and applied.error is not None:
        logging.getLogger("runner").error("an internal error", exc_info=applied.error)
