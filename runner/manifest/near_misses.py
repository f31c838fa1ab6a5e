"""Warns of columns and fields that are not read, but were probably meant to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

from runner.core.diagnostics.problem import Place, Problem, Severity
from runner.manifest.flow_style import flow
from runner.manifest.problem_collector import Collector
from runner.manifest.suggestions import nearest


def warn_of_near_misses(
    name: str, unfilled: Mapping[str, str], where: Callable[[], Place], problems: Collector
) -> None:
    """Add a warning if `name` looks like a field that the file does not have (R009).

    `unfilled` has the names that are looked for in vain, and the fields that they stand for.
    Files come from other programs' exports: what is not a transfer's field is left alone.
    """
    folded = name.strip().casefold().replace(" ", "_")
    near = get_close_matches(folded[:100], unfilled, n=1, cutoff=0.8)
    if near:
        message = f"`{name}` is ignored"
        mend = f"if it holds `{near[0]}`, rename it, or write {mapped(unfilled[near[0]], name)}"
        problems.add(Problem("R009", message, where(), mend, Severity.WARNING))


_IDS = {"id", "conversation_id", "conversationid", "interactionid"}
"""What other programs call an interaction's id, in lower case."""


def likely(at: str, name: str, names: Sequence[str]) -> str | None:
    """Return which of a file's `names` is probably `name`, that the field `at` is read from."""
    near = nearest(name, names)
    if near is None and at == name == "interaction_id":
        ids = [each for each in names if each.strip().casefold().replace(" ", "_") in _IDS]
        near = ids[0] if len(ids) == 1 else None
    return near


def mapped(at: str, column: str) -> str:
    """Return the entry of the manifest that has the field `at` read from `column`."""
    return f"`columns: {{{at}: {flow(column)}}}`"
