"""What is done with what was done: `status`, `report`, `resolve` and `audit verify`."""

# Commands import what they need when they run: `--help` and `--version` answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runner.cli import options
from runner.console.formats import OutputFormat


def status(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="Its id, or `latest`; none: all runs."),
    ] = None,
    *,
    journal: options.Journal = None,
    manifest: options.OfManifest = None,
    env: options.Env = None,
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Show the runs of the journal, or one run's figures; works while it runs."""
    from runner.cli.status import show_status
    from runner.wiring.journals import Whereabouts

    show_status(options.console(output), Whereabouts(journal, manifest, env), run)


def report(
    run: options.Run,
    *,
    journal: options.Journal = None,
    manifest: options.OfManifest = None,
    env: options.Env = None,
    report_dir: options.ReportDir = Path("reports"),
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            envvar="RUNNER_FORMAT",
            help="Of html, json, junit, csv; several with commas.",
        ),
    ] = "html,json",
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Render a run's report again, from the journal."""
    from runner.cli.reporting import report_run
    from runner.wiring.journals import Whereabouts

    where = Whereabouts(journal, manifest, env)
    report_run(options.console(output), where, run, report_dir, formats.split(","))


def resolve(
    run: options.Run,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The transfer's.", show_default=False)],
    *,
    word: Annotated[
        options.Word,
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
) -> None:
    """Settle a transfer in doubt by a person's word, journalled with who and when."""
    from runner.cli.resolving import resolve_transfer
    from runner.wiring.journals import Whereabouts

    where = Whereabouts(journal, manifest, env)
    resolve_transfer(
        options.console(output),
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
    report_dir: options.ReportDir = Path("reports"),
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Check the hash chain, and say at which entry it breaks."""
    from runner.cli.auditing import verify as verify_chain
    from runner.wiring.journals import Whereabouts

    where = Whereabouts(journal, manifest, env)
    verify_chain(options.console(output), where, target, report_dir)
