"""`runner init`: writes a manifest to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runner.app.init import templates, write_template
from runner.cli import options
from runner.cli.output import boundary
from runner.console.diagnostics.formats import OutputFormat
from runner.console.terminal_text import visible
from runner.core.next_steps import first_steps


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="The folder to write into.")
    ] = Path(),
    *,
    driver: Annotated[
        str | None,
        typer.Option(
            "--driver",
            metavar="DRIVER",
            help=f"Write a manifest for this driver: {', '.join(templates())}.",
            show_default=False,
        ),
    ] = None,
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Write a commented manifest, ready to run against the embedded gateway."""
    console = options.OutputOptions(output).console()
    with boundary(console):
        path = write_template(folder, driver)
        steps = first_steps(str(path))
        width = max(len(step.text) for step in steps)
        console.out.write(f"wrote {visible(str(path))}\n")
        for step in steps:
            console.out.write(f"{step.text + ':':<{width + 3}}{visible(step.command or '')}\n")
