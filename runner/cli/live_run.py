"""Carries out a batch for one environment: confirmation, live view, metrics, result, exit code.

It brings the engine, the drivers and the gateways' libraries, which a dry run does without.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from functools import partial
from pathlib import Path

from runner.app import apply as use_case
from runner.app.apply import Applied, Question
from runner.app.compose_result import result_of
from runner.app.plan import read_manifest
from runner.app.plan_check import as_planned, with_run_named
from runner.app.run_options import RunOptions
from runner.app.signals import Signals
from runner.app.wait_for_window import wait_for_window
from runner.cli.confirmation import ask_beside_run, ask_on_terminal, question_text
from runner.cli.output import Console, boundary
from runner.cli.step_summary import summarize_report, summarizing
from runner.console.log.observers import Observers
from runner.core.exit_code import ExitCode
from runner.core.frozen import frozen
from runner.core.manifest.model import Manifest
from runner.core.next_steps import apply as apply_again
from runner.core.next_steps import control, shell_line
from runner.metrics.metrics_file import MetricsFile
from runner.metrics.otlp_export import RunExport
from runner.metrics.otlp_settings import otlp_settings
from runner.metrics.run_metrics import RunMetrics
from runner.staging.rows import Staging


@frozen
class LiveRun:
    """Runs a manifest for one environment after another, when it is called.

    `wait` is how long to wait for a window, in seconds; None does not wait. `metrics` are those of
    the environments of before, which the file of metrics keeps.
    """

    yes: bool
    wait: float | None
    metrics_file: Path | None
    metrics: list[RunMetrics] = field(default_factory=list)

    def __call__(self, console: Console, given: RunOptions) -> None:
        """Run the manifest, show the result, and exit with its code."""
        signals = Signals()
        signals.install()
        with boundary(console, given.manifest), summarizing(console, given.manifest):
            request = as_planned(given)
        path = request.manifest
        if self.wait is not None:
            with boundary(console, path), summarizing(console, path):
                wait_for_window(request, self.wait, partial(_say, console))
        with boundary(console, path), summarizing(console, path), Staging() as staging:
            loaded, warnings = read_manifest(request, staging)
            request = with_run_named(request, loaded)
            console.show_problems(warnings, path.parent, result=False)
            with (
                console.watching() as observer,
                _measured(self.metrics_file, self.metrics, loaded, observer) as ended,
            ):
                arguments = request.arguments(loaded)
                again = shell_line(apply_again(arguments))
                signals.last_word = partial(_end_at_once, console, observer, again)
                confirm = partial(_confirmed, console, yes=self.yes)
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
def _measured(
    path: Path | None, in_file: list[RunMetrics], manifest: Manifest, observer: Observers
) -> Iterator[Callable[[int, str | None], None]]:
    """Keep a file of metrics, or send them, while a run goes on; yield what takes its end.

    `in_file` are those of the command's earlier environments, which the file keeps; this one's are added.
    """
    environment = manifest.environment
    labels = {"batch": manifest.name, "environment": environment.name}
    told: list[Callable[[int, str | None], None]] = []
    if path is not None:
        file = MetricsFile(
            path, labels, in_file, now=time.monotonic, wall=time.time, warn=observer.warned
        )
        observer.add(file)
        told.append(file.ended)
    if (settings := otlp_settings(os.environ)) is not None:
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


def _end_at_once(console: Console, observer: Observers, again: str) -> None:
    """Take the view off the terminal, and say what to do, for a run that is about to end at once."""
    observer.close()
    console.err.write(f"to look up what is in doubt, and go on:\n  {again}\n")
    console.err.flush()


def _confirmed(console: Console, question: Question, *, yes: bool) -> bool:
    """Ask on a terminal, and only where live interactions would move; without one, go on."""
    if yes or question.is_simulated:
        return True
    console.err.flush()
    answer = ask_on_terminal(question_text(question))
    return True if answer is None else answer


def _log_bug(applied: Applied) -> None:
    if applied.code is ExitCode.BUG and applied.error is not None:
        logging.getLogger("runner").error("an internal error", exc_info=applied.error)
