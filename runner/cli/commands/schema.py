"""`runner schema`: prints a JSON Schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runner.app.editor_files import EDITORS, shown_files, write_editor_files
from runner.app.init import EDITOR_ADVICE
from runner.cli import options
from runner.cli.output import boundary, must_be_shown
from runner.console.diagnostics.formats import OutputFormat
from runner.core.errors import UsageError
from runner.schemas_lookup import schema_text

SCHEMAS = ("manifest", "interaction-transfer", "report", "plan", "result")


def schema(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[NAME]",
            help="manifest, interaction-transfer, report, plan or result; with --editor: vscode or"
            " jetbrains.",
        ),
    ] = "manifest",
    *,
    editor: Annotated[
        bool,
        typer.Option(
            "--editor",
            help="Show how to use the schema in an editor; with `vscode` or `jetbrains` behind it,"
            " settings and snippets for that one.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Write the editor's files into this project."),
    ] = None,
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Print a schema."""
    console = options.OutputOptions(output).console()
    with boundary(console), must_be_shown(console):
        if editor and name in EDITORS:
            if out is None:
                console.out.write(shown_files(name))
                return
            for path in write_editor_files(name, out):
                console.out.write(f"written: {path}\n")
            return
        if out is not None:
            raise UsageError(f"--out is for `--editor {'` or `--editor '.join(EDITORS)}`")
        if name not in SCHEMAS:
            raise UsageError(f"unknown schema {name!r}; use one of {', '.join(SCHEMAS)}")
        console.out.write(EDITOR_ADVICE if editor else schema_text(f"{name}.v1"))
