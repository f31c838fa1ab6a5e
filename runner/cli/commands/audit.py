"""`runner audit verify`: checks an audit chain."""

# Commands import what they need when they run: `--help` and `--version` answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runner.cli import options
from runner.cli.option_groups import expand_groups


@expand_groups
def verify(
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE|RUN", help="An audit.jsonl or its folder, or a run.", show_default=False
        ),
    ],
    *,
    journal: options.JournalSelection,
    report_dir: options.ReportDirOfRun = None,
    output: options.OutputOptions,
) -> None:
    """Check the hash chain of a file or a run; show at which entry it breaks, and exit 1."""
    from runner.app.audit import names_file, verify_file, verify_run
    from runner.app.journal_location import find_journal
    from runner.cli.output import boundary
    from runner.console.results.audit_result import audited_to_json, render_audited
    from runner.core.exit_code import ExitCode

    console, where = output.console(), journal.location()
    with boundary(console, where.manifest):
        if names_file(target):
            audited = [verify_file(Path(target))]
        else:
            audited = verify_run(find_journal(where), target, report_dir)
        console.show(render_audited, audited_to_json, audited)
        broken = any(each.fault for each in audited)
        raise SystemExit(ExitCode.FAILURES if broken else ExitCode.OK)
