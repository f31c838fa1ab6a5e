"""`runner explain`, once its arguments are read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from difflib import get_close_matches

from runner.cli.output import Console, boundary
from runner.console.diagnostics.explanations import (
    Explanation,
    explanations,
    explanations_to_json,
    render_codes,
    render_explanation,
)
from runner.console.diagnostics.formats import OutputFormat
from runner.console.streams import wants_color
from runner.core.errors import UsageError


def explain_codes(console: Console, codes: Sequence[str]) -> None:
    """Tell what codes mean, with examples; without any, what codes there are."""
    with boundary(console):
        told = [_explanation(code) for code in codes] or list(explanations().values())
        color = wants_color(console.out, os.environ)
        if console.output is OutputFormat.JSON:
            console.out.write(explanations_to_json(told))
        elif codes:
            console.out.write("\n".join(render_explanation(each, color=color) for each in told))
        else:
            console.out.write(render_codes(color=color))


def _explanation(code: str) -> Explanation:
    known = explanations()
    found = known.get(code.upper())
    if found is None:
        near = get_close_matches(code.upper()[:20], known, n=1, cutoff=0.0)
        raise UsageError(
            f"there is no code {code!r}; did you mean {near[0]}? `runner explain` lists them all"
        )
    return found
