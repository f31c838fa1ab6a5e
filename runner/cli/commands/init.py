"""`runner init` and `runner schema`, once their options are read."""

from __future__ import annotations

from pathlib import Path

from runner.app.init import EDITOR_ADVICE, write_template
from runner.cli.output import Console, boundary
from runner.console.text import visible
from runner.core.errors import UsageError
from runner.core.next_steps import first_steps
from runner.schemas_lookup import schema_text

SCHEMAS = ("manifest", "interaction-transfer", "report", "plan", "result")


def write_first_manifest(console: Console, folder: Path) -> None:
    """Write a manifest to begin with, and tell what to do with it."""
    with boundary(console):
        path = write_template(folder)
        width = max(len(step.text) for step in first_steps(str(path)))
        console.out.write(f"wrote {visible(str(path))}\n")
        for step in first_steps(str(path)):
            console.out.write(f"{step.text + ':':<{width + 3}}{visible(step.command or '')}\n")


def print_schema(console: Console, name: str, *, editor: bool) -> None:
    """Print a schema, or how to wire it into an editor."""
    with boundary(console):
        if name not in SCHEMAS:
            raise UsageError(f"there is no schema {name!r}; choose of {', '.join(SCHEMAS)}")
        console.out.write(EDITOR_ADVICE if editor else schema_text(f"{name}.v1"))
