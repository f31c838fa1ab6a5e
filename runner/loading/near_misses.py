"""Warns of columns and fields that are not read, but were probably meant to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches

from runner.core.problem import Place, Problem, Severity
from runner.loading.collector import Collector
from runner.loading.quoting import flow


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
        message = f"`{name}` is not read"
        mend = f"if it holds `{near[0]}`, rename it, or write {mapped(unfilled[near[0]], name)}"
        problems.add(Problem("R009", message, where(), mend, Severity.WARNING))


def mapped(at: str, column: str) -> str:
    """Return the entry of the manifest that has the field `at` read from `column`."""
    return f"`columns: {{{at}: {flow(column)}}}`"
