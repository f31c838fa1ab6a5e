"""Warns about ignored columns and fields whose names resemble a transfer's field."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

from runner.core.diagnostics.problem import Place, Problem, Severity
from runner.manifest.problem_collector import Collector
from runner.manifest.suggestions import nearest
from runner.manifest.value_text import flow_yaml


def warn_of_near_misses(
    name: str, unfilled: Mapping[str, str], where: Callable[[], Place], problems: Collector
) -> None:
    """Add a warning if `name` looks like a field that the file does not have (R009).

    `unfilled` maps the names that the file lacks to the fields that are read from them. Other unknown
    names are ignored, because files are often exports of other programs.
    """
    folded = name.strip().casefold().replace(" ", "_")
    near = get_close_matches(folded[:100], unfilled, n=1, cutoff=0.8)
    if near:
        message = f"`{name}` is ignored"
        fix = (
            f"if it holds `{near[0]}`, rename it, or write {columns_entry(unfilled[near[0]], name)}"
        )
        problems.add(Problem("R009", message, where(), fix, Severity.WARNING))


_IDS = {"id", "conversation_id", "conversationid", "interactionid"}
"""Other programs' names for an interaction's id, in lower case."""


def probable_name(field: str, name: str, names: Sequence[str]) -> str | None:
    """Return the one of a file's `names` that is probably meant by `name`, the source of `field`."""
    near = nearest(name, names)
    if near is None and field == name == "interaction_id":
        ids = [each for each in names if each.strip().casefold().replace(" ", "_") in _IDS]
        near = ids[0] if len(ids) == 1 else None
    return near


def columns_entry(field: str, column: str) -> str:
    """Return the manifest's entry that reads `field` from `column`."""
    return f"`columns: {{{field}: {flow_yaml(column)}}}`"
