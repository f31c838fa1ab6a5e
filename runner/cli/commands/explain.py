"""`runner explain`: explains diagnostic codes."""

from __future__ import annotations

import os
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli import options
from runner.cli.output import boundary, must_be_shown
from runner.console.diagnostics.explanations import (
    explanations,
    explanations_to_json,
    render_codes,
    render_explanation,
)
from runner.console.diagnostics.formats import OutputFormat
from runner.console.output_streams import wants_color
from runner.core.errors import UsageError

if TYPE_CHECKING:
    from runner.console.diagnostics.explanations import Explanation


def explain(
    codes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CODE]...", help="Such as R002; without any, all are listed."),
    ] = None,
    *,
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Explain what a diagnostic's code means, why, and how to write it correctly."""
    console = options.OutputOptions(output).console()
    with boundary(console), must_be_shown(console):
        explained = [_explanation(code) for code in codes or ()] or list(explanations().values())
        color = wants_color(console.out, os.environ)
        if console.output is OutputFormat.JSON:
            console.out.write(explanations_to_json(explained))
        elif codes:
            shown = (render_explanation(each, color=color) for each in explained)
            console.out.write("\n".join(shown))
        else:
            console.out.write(render_codes(color=color))


def _explanation(code: str) -> Explanation:
    known = explanations()
    found = known.get(code.upper())
    if found is None:
        near = get_close_matches(code.upper()[:20], known, n=1, cutoff=0.0)
        raise UsageError(
            f"unknown code {code!r}; did you mean {near[0]}? `runner explain` lists them all"
        )
    return found
