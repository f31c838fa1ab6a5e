"""`runner schema`: prints a JSON Schema."""

# Commands import what they need when they run: `--help` and `--version` answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from typing import Annotated

import typer

from runner.cli import options
from runner.console.diagnostics.formats import OutputFormat
from runner.core.errors import UsageError

SCHEMAS = ("manifest", "interaction-transfer", "report", "plan", "result")


def schema(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[NAME]", help="manifest, interaction-transfer, report, plan or result."
        ),
    ] = "manifest",
    *,
    editor: Annotated[
        bool, typer.Option("--editor", help="Show how to use the schema in an editor.")
    ] = False,
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Print a schema."""
    from runner.app.init import EDITOR_ADVICE
    from runner.cli.output import boundary
    from runner.schemas_lookup import schema_text

    console = options.OutputOptions(output).console()
    with boundary(console):
        if name not in SCHEMAS:
            raise UsageError(f"unknown schema {name!r}; use one of {', '.join(SCHEMAS)}")
        console.out.write(EDITOR_ADVICE if editor else schema_text(f"{name}.v1"))
