"""`runner reports prune`: removes old report folders."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from runner.app.prune import prune as remove
from runner.cli import option_parsers, options
from runner.cli.output import boundary
from runner.console.diagnostics.formats import OutputFormat
from runner.console.results.prune_result import prune_to_json, render_prune
from runner.core.exit_code import ExitCode
from runner.core.records.retention import Retention

KEEP = 30
OLDER_THAN_S = 90 * 86_400.0


def prune(
    *,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep",
            envvar="RUNNER_KEEP",
            min=0,
            help="Keep this many of each batch's newest runs; the newest is always kept.",
            show_default=f"{KEEP}",
        ),
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option(
            "--older-than",
            envvar="RUNNER_OLDER_THAN",
            parser=option_parsers.age,
            metavar="AGE",
            help="Remove only reports older than this, such as 90d.",
            show_default="90d",
        ),
    ] = None,
    report_dir: options.ReportDir = Path("reports"),
    batch: Annotated[
        str | None,
        typer.Option(
            "--batch", envvar="RUNNER_BATCH", help="Only this batch's reports.", show_default="all"
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", envvar="RUNNER_DRY_RUN", help="Only show what would be removed."),
    ] = False,
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Remove old report folders: never the newest, never one with transfers in doubt.

    Exit 74 if one could not be removed.
    """
    console = options.OutputOptions(output).console()
    with boundary(console):
        retention = Retention(
            KEEP if keep is None else keep, OLDER_THAN_S if older_than is None else older_than
        )
        pruned = remove(report_dir, retention, now=time.time(), batch=batch, dry_run=dry_run)
        console.show(render_prune, prune_to_json, pruned)
        raise SystemExit(ExitCode.STORAGE if pruned.failed else ExitCode.OK)
