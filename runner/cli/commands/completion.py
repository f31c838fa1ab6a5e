"""`runner completion`: prints the script by which a shell completes this program's commands."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from runner.cli import options
from runner.cli.completion import SCRIPTS, candidates
from runner.cli.output import boundary, must_be_shown
from runner.console.diagnostics.formats import OutputFormat
from runner.core.errors import UsageError


class Shell(StrEnum):
    """The shells that have a script, and what those scripts ask."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    WORDS = "words"


def completion(
    shell: Annotated[
        Shell,
        typer.Argument(
            help="bash, zsh or fish; words: complete the last WORD.",
            metavar="SHELL",
            show_default=False,
        ),
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WORD]...", help="With words: the words typed so far."),
    ] = None,
    *,
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Print what completes commands, options, environments, runs and keys in a shell."""
    console = options.OutputOptions(output).console()
    with boundary(console), must_be_shown(console):
        if shell is not Shell.WORDS:
            if words:
                raise UsageError(f"`completion {shell}` takes no words; leave them out")
            console.out.write(SCRIPTS[shell])
            return
        for value, meaning in candidates(words or [""]):
            console.out.write(f"{value}\t{meaning}\n")
