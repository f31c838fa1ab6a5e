"""The command line: every command, in the order in which the help lists them."""

from __future__ import annotations

from typing import Annotated

import typer

from runner import __version__
from runner.cli import aids, batches, history

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


for command in (
    batches.apply,
    batches.plan,
    history.status,
    history.report,
    history.resolve,
    aids.simulate,
    aids.init,
    aids.schema,
    aids.explain,
):
    app.command()(command)
audit.command()(history.verify)
reports.command()(history.prune)
