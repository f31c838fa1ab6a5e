"""Writes how `apply` and `plan` ended into the summary of a GitHub Actions step, if there is one."""

# The writer is loaded only where it is wanted: a dry run starts without it.

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.app.step_summary import append_error, append_report
from runner.cli.error_exit_codes import exit_code_of
from runner.cli.output import Console
from runner.console.log.redaction import harmless
from runner.core.records.run_record import ReportSource
from runner.core.records.summary import Summary

VARIABLE = "GITHUB_STEP_SUMMARY"
"""The variable that names the summary's file, in a step of GitHub Actions."""


def summarize_report(
    console: Console, source: ReportSource, summary: Summary, report: Path
) -> None:
    """Summarise a run or a plan that has a report; a summary that fails only warns."""
    if name := os.environ.get(VARIABLE):
        _warn(console, append_report(source, summary, report, name))


@contextmanager
def summarizing(console: Console, manifest: Path) -> Iterator[None]:
    """Summarise an error that ends the block, and raise it again: the boundary makes it an exit code."""
    try:
        yield
    except SystemExit:
        raise
    except BaseException as error:
        if name := os.environ.get(VARIABLE):
            _warn(console, append_error(error, exit_code_of(error), manifest, name))
        raise


def _warn(console: Console, why: str | None) -> None:
    if why is not None:
        console.err.write(f"warning: no summary of this step: {harmless(why)}; check ${VARIABLE}\n")
