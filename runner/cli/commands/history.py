"""What is done with what was done: `status`, `report`, `resolve`, `audit verify`, `reports prune`."""

# Commands import what they need when they run: `--help` and `--version` answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runner.cli import options
from runner.console.diagnostics.formats import OutputFormat


def status(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="Its id, or `latest`; none: all runs."),
    ] = None,
    *,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            envvar="RUNNER_WATCH",
            help="Follow a run (by default the latest) until it ends, as its own terminal shows it.",
        ),
    ] = False,
    journal: options.Journal = None,
    manifest: options.OfManifest = None,
    env: options.Env = None,
    output: options.Output = OutputFormat.PRETTY,
    log_format: options.LogFormat = options.LogFormatChoice.AUTO,
    log_file: options.LogFile = None,
    verbose: options.Verbose = 0,
    quiet: options.Quiet = 0,
    no_progress: options.NoProgress = False,
) -> None:
    """Show the runs of the journal, or one run's figures; works while it runs."""
    from runner.app.journal_location import JournalLocation

    console = options.console(
        output, log_format, log_file, verbose - quiet, no_progress=no_progress
    )
    where = JournalLocation(journal, manifest, env)
    if watch:
        from runner.cli.commands.watch import watch_run

        watch_run(console, where, run)
    else:
        from runner.cli.commands.status import show_status

        show_status(console, where, run)


def report(
    run: Annotated[
        str | None, typer.Argument(help="A run's id, or `latest`.", show_default=False)
    ] = None,
    *,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--compare",
            metavar="A B",
            help="Instead of RUN: what became of each transfer in run A, and in run B.",
            show_default=False,
        ),
    ] = None,
    journal: options.Journal = None,
    manifest: options.OfManifest = None,
    env: options.Env = None,
    report_dir: options.OfReportDir = None,
    formats: Annotated[
        str | None,
        typer.Option(
            "--format",
            envvar="RUNNER_FORMAT",
            help="Of html, json, junit, csv, md; several with commas.",
            show_default="html,json, or as --out ends",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            envvar="RUNNER_REPORT_OUT",
            help="Write into this folder, or this file, such as o.csv, of the format that its name"
            " ends with; - writes a single format to stdout.",
            show_default="the run's report folder",
        ),
    ] = None,
    output: options.Output = OutputFormat.PRETTY,
    log_format: options.LogFormat = options.LogFormatChoice.AUTO,
    log_file: options.LogFile = None,
    verbose: options.Verbose = 0,
    quiet: options.Quiet = 0,
) -> None:
    """Render a run's report again, from the journal; or compare two runs."""
    from runner.app.journal_location import JournalLocation
    from runner.cli.commands.report import Reporting, report_run

    where = JournalLocation(journal, manifest, env)
    asked = Reporting(run, compare, formats, report_dir, out)
    report_run(options.console(output, log_format, log_file, verbose - quiet), where, asked)


def resolve(
    run: options.Run,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The transfer's.", show_default=False)],
    *,
    word: Annotated[
        options.ResolveAs,
        typer.Option("--as", help="What happened to it, as you saw at the gateway."),
    ],
    reason: Annotated[
        str, typer.Option("--reason", help="How you know; it is kept in the audit log.")
    ],
    journal: options.Journal = None,
    manifest: options.OfManifest = None,
    env: options.Env = None,
    lock_timeout: options.LockTimeout = None,
    output: options.Output = OutputFormat.PRETTY,
    log_format: options.LogFormat = options.LogFormatChoice.AUTO,
    log_file: options.LogFile = None,
    verbose: options.Verbose = 0,
    quiet: options.Quiet = 0,
) -> None:
    """Settle a transfer in doubt by a person's word, journalled with who and when."""
    from runner.app.journal_location import JournalLocation
    from runner.cli.commands.resolve import resolve_transfer

    where = JournalLocation(journal, manifest, env)
    resolve_transfer(
        options.console(output, log_format, log_file, verbose - quiet),
        where,
        run=run,
        key=key,
        word=word.value,
        reason=reason,
        lock_timeout_s=lock_timeout or 0.0,
    )


def verify(
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE|RUN", help="An audit.jsonl or its folder, or a run.", show_default=False
        ),
    ],
    *,
    journal: options.Journal = None,
    manifest: options.OfManifest = None,
    env: options.Env = None,
    report_dir: options.OfReportDir = None,
    output: options.Output = OutputFormat.PRETTY,
    log_format: options.LogFormat = options.LogFormatChoice.AUTO,
    log_file: options.LogFile = None,
    verbose: options.Verbose = 0,
    quiet: options.Quiet = 0,
) -> None:
    """Check the hash chain, and say at which entry it breaks."""
    from runner.app.journal_location import JournalLocation
    from runner.cli.commands.audit import verify as verify_chain

    where = JournalLocation(journal, manifest, env)
    verify_chain(
        options.console(output, log_format, log_file, verbose - quiet), where, target, report_dir
    )


def prune(
    *,
    keep: options.Keep = None,
    older_than: options.OlderThan = None,
    report_dir: options.ReportDir = Path("reports"),
    batch: Annotated[
        str | None,
        typer.Option(
            "--batch", envvar="RUNNER_BATCH", help="Only this batch's reports.", show_default="all"
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", envvar="RUNNER_DRY_RUN", help="Only tell what would go.")
    ] = False,
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Remove old report folders: never the newest, never one with transfers in doubt."""
    from runner.cli.commands.prune import Pruning, prune_reports

    asked = Pruning(report_dir, batch, keep, older_than, dry_run)
    prune_reports(options.console(output), asked)
