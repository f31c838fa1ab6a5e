"""The command line: all commands, in the order in which the help lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Annotated, NamedTuple

import typer

from runner import __version__
from runner.cli.command_classes import CommandGroup, GroupedCommand

GROUPS: Mapping[str, str] = {
    "audit": "Check the audit log, and sign where it ends.",
    "journal": "Make, check and fill a journal in a database.",
    "reports": "Remove old report folders.",
}
"""Commands that have commands of their own, with their help."""


class _Listed(NamedTuple):
    """Where a command is, and what the list of commands says of it."""

    module: str  # in `runner.cli.commands`
    short_help: str | None = None  # the list cuts off what is longer than a line
    group: str | None = None
    function: str | None = None  # if it has not the command's name


COMMANDS: Mapping[str, _Listed] = {
    "apply": _Listed("apply", "Check, plan, transfer what is not yet transferred, report."),
    "plan": _Listed("plan", "Show what `apply` would send; nothing leaves this machine."),
    "approvals": _Listed("approvals", "Show who approved a plan, and what is missing."),
    "status": _Listed("status", "Show the journal's runs, or one run's figures."),
    "control": _Listed("control", "Pause, slow down, confirm or stop a running batch."),
    "report": _Listed("report", "Render a run's report again."),
    "resolve": _Listed("resolve", "Settle a transfer in doubt by your decision."),
    "revert": _Listed("revert", "Write a manifest that carries back what a run moved."),
    "doctor": _Listed("doctor", "Connect as a run would, read-only, and explain."),
    "simulate": _Listed("simulate", "Serve the embedded gateway for other programs."),
    "submit": _Listed("submit", "Store a batch in the journal, for a worker to carry."),
    "cancel": _Listed("submit", "End a submission."),
    "worker": _Listed("worker", "Carry what is submitted: the daemon of a fleet."),
    "drain": _Listed("submit", "Let a worker hand over what it runs."),
    "init": _Listed("init", "Write a commented manifest to begin with."),
    "schema": _Listed("schema", "Print a JSON Schema, or how to use it in an editor."),
    "completion": _Listed("completion", "Print a shell's completion script."),
    "explain": _Listed("explain", "Explain a diagnostic's code, with examples."),
    "verify": _Listed("audit", group="audit"),
    "sign": _Listed("audit", group="audit"),
    "prune": _Listed("prune", group="reports"),
    "create": _Listed("journal", group="journal"),
    "check": _Listed("journal", group="journal"),
    "import": _Listed("journal", group="journal", function="import_"),
    "adopt": _Listed("journal", group="journal"),
}


def command_line(arguments: Sequence[str] = ()) -> typer.Typer:
    """Return the command line; if `arguments` begin with a command's name, that command alone.

    The others would take about a tenth of the smallest dry run's time.
    """
    word = arguments[0] if arguments else ""
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
    app.callback()(_shared)
    groups: dict[str | None, typer.Typer] = {None: app}
    for group, text in GROUPS.items():
        groups[group] = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
        app.add_typer(groups[group], name=group, help=text)
    known = {listed.group or name for name, listed in COMMANDS.items()}
    for name, listed in COMMANDS.items():
        if word not in known or word == (listed.group or name):
            module = import_module(f"runner.cli.commands.{listed.module}")
            command = getattr(module, listed.function or name)
            add = groups[listed.group].command(
                name=name, cls=GroupedCommand, short_help=listed.short_help
            )
            add(command)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"runner {__version__}")
        raise typer.Exit


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
