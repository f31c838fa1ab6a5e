"""The command line: every command, in the order in which the help lists them."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from runner import __version__
from runner.cli.argument_check import check_words
from runner.cli.commands import batch, history, tools
from runner.core.errors import UsageError
from runner.core.transfer.outcome import ExitCode

app = typer.Typer(
    name="runner",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Transfers live interactions as a manifest declares, each exactly once.",
)

audit = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(audit, name="audit", help="Look after the audit log.")

reports = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(reports, name="reports", help="Look after the report folders.")


def run() -> None:
    """Run the command line and exit."""
    try:
        check_words(sys.argv[1:], os.environ)
    except UsageError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(ExitCode.USAGE)
    app(prog_name="runner")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"runner {__version__}")
        raise typer.Exit


@app.callback()
def _shared(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Tell the version.")
    ] = False,
) -> None:
    del version


for command, in_short in (  # a line each of the list, which would break off longer ones
    (batch.apply, "Check, plan, transfer what is not yet transferred, report."),
    (batch.plan, "Say what `apply` would send; nothing leaves this machine."),
    (history.status, "Show the journal's runs, or one run's figures."),
    (history.report, "Render a run's report again."),
    (history.resolve, "Settle a transfer in doubt by your word."),
    (tools.doctor, "Connect as a run would, read-only, and explain."),
    (tools.simulate, "Serve the embedded gateway for other programs."),
    (tools.init, "Write a commented manifest to begin with."),
    (tools.schema, "Print a JSON Schema, or how to use it in an editor."),
    (tools.explain, "Tell what a diagnostic's code means, with examples."),
):
    app.command(short_help=in_short)(command)
audit.command()(history.verify)
reports.command()(history.prune)
