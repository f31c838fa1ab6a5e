"""`runner apply`, once its options are read."""

from __future__ import annotations

import logging
import time
from functools import partial

from runner.app.apply import Applied, Question, RunHooks, apply
from runner.app.plan import read_manifest
from runner.app.plan_check import as_planned
from runner.app.request import Request
from runner.app.run_result import result_of
from runner.app.signals import Signals
from runner.cli.confirmation import ask_on_terminal, in_words
from runner.cli.output import Console, boundary
from runner.cli.step_summary import summarize_report, summarizing
from runner.console.log.observers import Observers
from runner.core.manifest.model import Driver
from runner.core.transfer.outcome import ExitCode
from runner.journal.staging import Staging

_log = logging.getLogger("runner")


def apply_manifest(console: Console, given: Request, *, yes: bool) -> None:
    """Load, validate, plan, transfer what is not yet transferred, report; then exit."""
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
            signals.last_word = partial(_last_word, console, observer)
            attendance = RunHooks(observer, signals, lambda q: yes or _confirmed(console, q))
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
        summarize_report(console, applied.source, applied.summary, applied.report)
        raise SystemExit(applied.code)


def _last_word(console: Console, observer: Observers) -> None:
    """Take the view off the terminal, for a run that is about to end at once."""
    observer.close()
    console.err.flush()


def _confirmed(console: Console, question: Question) -> bool:
    """Ask on a terminal, and only where live interactions would move; elsewhere never hang."""
    if question.driver is Driver.SIMULATOR:
        return True
    console.err.flush()
    answer = ask_on_terminal(in_words(question))
    return True if answer is None else answer


def _trace(applied: Applied) -> None:
    if applied.code is ExitCode.BUG and applied.error is not None:
        _log.error("an internal error", exc_info=applied.error)
