"""`runner apply`: check, plan, transfer, report."""

# Commands import what they need when they run: `--help` and `--version` answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli import options
from runner.cli.dataclass_options import expand_dataclasses
from runner.console.diagnostics.formats import OutputFormat
from runner.console.diagnostics.problem_text import MAX_PROBLEMS
from runner.core.batch_options import CHECKS

if TYPE_CHECKING:
    from runner.app.apply import Applied, Question
    from runner.app.run_options import RunOptions
    from runner.cli.output import Console
    from runner.console.log.observers import Observers
    from runner.core.manifest.model import Manifest
    from runner.metrics.run_metrics import RunMetrics

SIGNALLED = 128
"""Exit codes above it say which signal ended a run."""

ONE_DOCUMENT = frozenset({OutputFormat.JSON, OutputFormat.SARIF})
"""Outputs that programs read whole: two documents one after another are none."""

ValidateOnly = Annotated[
    bool,
    typer.Option(
        "--validate-only",
        envvar="RUNNER_VALIDATE_ONLY",
        help="Do everything up to the plan and stop; nothing leaves this machine.",
        rich_help_panel=CHECKS,
    ),
]


@expand_dataclasses
def apply(
    manifest: options.ManifestOrPlan,
    *,
    validate_only: ValidateOnly = False,
    environment: options.Envs = None,
    batch: options.SharedOptions,
    yes: options.Yes = False,
    wait: options.Wait = None,
    max_problems: options.MaxProblems = MAX_PROBLEMS,
    no_progress: options.NoProgress = False,
    metrics_file: options.MetricsFile = None,
    output: options.OutputOptions,
) -> None:
    """Load, validate, plan, transfer what is not yet transferred, report."""
    requests = batch.requests(manifest, environment, validate_only=validate_only)
    only_checked = validate_only or batch.without_secrets
    metrics = partial(_metrics, metrics_file, [])
    run = _plan if only_checked else partial(_apply, yes=yes, wait=wait, metrics=metrics)
    new_console = partial(output.console, no_progress=no_progress, max_problems=max_problems)
    if len(requests) > 1:
        _apply_in_turn(new_console, requests, only_checked=only_checked, run=run)
    else:
        run(new_console(), requests[0])


def _plan(console: Console, given: RunOptions) -> None:
    """Check a manifest for one environment, show its plan, and exit."""
    from runner.cli.commands.plan import PlanOptions, plan_manifest

    plan_manifest(console, given, PlanOptions())


def _apply(
    console: Console,
    given: RunOptions,
    *,
    yes: bool,
    wait: float | None,
    metrics: Callable[
        [Manifest, Observers], AbstractContextManager[Callable[[int, str | None], None]]
    ],
) -> None:
    """Run a manifest for one environment, show its result, and exit with its code."""
    from runner.app import apply as use_case
    from runner.app.compose_result import result_of
    from runner.app.plan import read_manifest
    from runner.app.plan_check import as_planned, with_run_named
    from runner.app.signals import Signals
    from runner.cli.confirmation import ask_beside_run
    from runner.cli.output import boundary
    from runner.cli.step_summary import summarize_report, summarizing
    from runner.core.next_steps import apply as apply_again
    from runner.core.next_steps import control, shell_line
    from runner.staging.rows import Staging

    signals = Signals()
    signals.install()
    with boundary(console, given.manifest), summarizing(console, given.manifest):
        request = as_planned(given)
    path = request.manifest
    if wait is not None:
        from runner.app.wait_for_window import wait_for_window

        with boundary(console, path), summarizing(console, path):
            wait_for_window(request, wait, lambda line: _say(console, line))
    with boundary(console, path), summarizing(console, path), Staging() as staging:
        loaded, warnings = read_manifest(request, staging)
        request = with_run_named(request, loaded)
        console.show_problems(warnings, path.parent, result=False)
        with console.watching() as observer, metrics(loaded, observer) as ended:
            arguments = request.arguments(loaded)
            again = shell_line(apply_again(arguments))
            signals.last_word = partial(_end_at_once, console, observer, again)
            confirm = partial(_confirmed, console, yes=yes)
            prompt = partial(
                ask_beside_run,
                show=_above_the_view(console),
                elsewhere=shell_line(control(arguments.journal_path, "continue")),
            )
            hooks = use_case.RunHooks(observer, signals, confirm, prompt)
            applied = use_case.apply(request, loaded, staging, hooks)
            ended(applied.code, applied.source.run.finished_at)
            _log_bug(applied)
        source, summary, report = applied.source, applied.summary, applied.report
        console.show_result(result_of(source, summary, applied.code, report), warnings)
        summarize_report(console, source, summary, report)
        raise SystemExit(applied.code)


def _above_the_view(console: Console) -> Callable[[str], object] | None:
    """Return what writes above the live view; None: there is no view."""
    return console.err.write if console.err.isatty() else None


@contextmanager
def _metrics(
    path: Path | None, in_file: list[RunMetrics], manifest: Manifest, observer: Observers
) -> Iterator[Callable[[int, str | None], None]]:
    """Keep a file of metrics, or send them, while a run goes on; yield what takes its end.

    `in_file` are those of the command's earlier environments, which the file keeps; this one's are added.
    """
    import os
    import time

    from runner.metrics.otlp_settings import otlp_settings

    environment = manifest.environment
    labels = {"batch": manifest.name, "environment": environment.name}
    told: list[Callable[[int, str | None], None]] = []
    if path is not None:
        from runner.metrics.metrics_file import MetricsFile

        file = MetricsFile(
            path, labels, in_file, now=time.monotonic, wall=time.time, warn=observer.warned
        )
        observer.add(file)
        told.append(file.ended)
    if (settings := otlp_settings(os.environ)) is not None:
        from runner.metrics.otlp_export import RunExport

        export = RunExport(
            settings,
            labels,
            simulated=environment.is_simulated,
            wall=time.time,
            observer=observer,
        )
        observer.add(export)
        told.append(export.ended)

    def ended(code: int, finished_at: str | None) -> None:
        for each in told:
            each(code, finished_at)

    yield ended


def _say(console: Console, line: str) -> None:
    console.err.write(f"{line}\n")
    console.err.flush()


def _check_all(console: Console, requests: Sequence[RunOptions]) -> None:
    """Check every environment before the first is begun; nothing is begun if one is refused."""
    from runner.app.all_or_none import check_each, check_run
    from runner.cli.output import boundary
    from runner.cli.step_summary import summarizing

    path = requests[0].manifest
    with boundary(console, path), summarizing(console, path):
        check_each(requests, check_run)


def _apply_in_turn(
    new_console: Callable[[], Console],
    requests: Sequence[RunOptions],
    *,
    only_checked: bool,
    run: Callable[[Console, RunOptions], None],
) -> None:
    """Run a manifest for several environments, each a run of its own; exit with the worst code.

    Unless `only_checked`, all are checked before the first is begun. A signal ends the run that
    goes on, and all that would follow.
    """
    from runner.cli.output import boundary
    from runner.core.errors import UsageError
    from runner.core.exit_code import worst

    console = new_console()
    if console.output in ONE_DOCUMENT:
        with boundary(console, requests[0].manifest):
            raise UsageError(
                f"--output {console.output} prints one document, and {len(requests)} environments are"
                " asked for: apply them one at a time"
            )
    if not only_checked:
        _check_all(console, requests)
    environments = [str(each.environment) for each in requests]
    codes: dict[str, int] = {}
    for name, request in zip(environments, requests, strict=True):
        try:
            run(new_console(), request)
            codes[name] = 0
        except SystemExit as ended:
            codes[name] = int(ended.code or 0)
        if codes[name] > SIGNALLED:
            break
    ends = [f"{name}: exit code {code}" for name, code in codes.items()]
    ends += [f"{name}: not begun" for name in environments[len(codes) :]]
    console.err.write(f"environments: {'; '.join(ends)}\n")
    raise SystemExit(worst(codes.values()))


def _end_at_once(console: Console, observer: Observers, again: str) -> None:
    """Take the view off the terminal, and say what to do, for a run that is about to end at once."""
    observer.close()
    console.err.write(f"to look up what is in doubt, and go on:\n  {again}\n")
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
