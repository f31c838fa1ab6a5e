"""The command line: all commands, in the order in which the help lists them."""

from __future__ import annotations

from typing import Annotated

import typer

from runner import __version__
from runner.cli.command_classes import CommandGroup, GroupedCommand
from runner.cli.commands import (
    apply,
    approvals,
    audit,
    control,
    doctor,
    explain,
    init,
    journal,
    plan,
    prune,
    report,
    resolve,
    revert,
    schema,
    simulate,
    status,
    submit,
    worker,
)

app = typer.Typer(
    name="runner",
    cls=CommandGroup,
    context_settings={"help_option_names": ["--help", "-h"]},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Transfers live interactions as a manifest declares, each exactly once.",
)

audit_group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(audit_group, name="audit", help="Check the audit log, and sign where it ends.")

journal_group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(journal_group, name="journal", help="Make and check a journal in a database.")

reports_group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(reports_group, name="reports", help="Remove old report folders.")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"runner {__version__}")
        raise typer.Exit


@app.callback()
def _shared(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    del version


for command, short_help in (  # the list of commands cuts off what is longer than a line
    (apply.apply, "Check, plan, transfer what is not yet transferred, report."),
    (plan.plan, "Show what `apply` would send; nothing leaves this machine."),
    (approvals.approvals, "Show who approved a plan, and what is missing."),
    (status.status, "Show the journal's runs, or one run's figures."),
    (control.control, "Pause, slow down, confirm or stop a running batch."),
    (report.report, "Render a run's report again."),
    (resolve.resolve, "Settle a transfer in doubt by your decision."),
    (revert.revert, "Write a manifest that carries back what a run moved."),
    (doctor.doctor, "Connect as a run would, read-only, and explain."),
    (simulate.simulate, "Serve the embedded gateway for other programs."),
    (submit.submit, "Store a batch in the journal, for a worker to carry."),
    (submit.cancel, "End a submission."),
    (worker.worker, "Carry what is submitted: the daemon of a fleet."),
    (submit.drain, "Let a worker hand over what it runs."),
    (init.init, "Write a commented manifest to begin with."),
    (schema.schema, "Print a JSON Schema, or how to use it in an editor."),
    (explain.explain, "Explain a diagnostic's code, with examples."),
):
    app.command(cls=GroupedCommand, short_help=short_help)(command)
audit_group.command(cls=GroupedCommand)(audit.verify)
audit_group.command(cls=GroupedCommand)(audit.sign)
reports_group.command(cls=GroupedCommand)(prune.prune)
journal_group.command(cls=GroupedCommand)(journal.create)
journal_group.command(cls=GroupedCommand)(journal.check)
journal_group.command(cls=GroupedCommand)(journal.upgrade)
