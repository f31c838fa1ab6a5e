"""Reports unread columns and fields whose names resemble a transfer's field."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache

from runner.core.diagnostics.problem import Place, Problem, Severity
from runner.manifest.problem_collector import Collector
from runner.manifest.suggestions import nearest
from runner.manifest.value_text import flow_yaml

GUARDED = frozenset({"interaction_id", "destination_uri", "expected_destination_uri"})
"""Fields that say whom to move and where to: what may be meant for one is not ignored."""


def report_near_miss(
    name: str,
    unfilled: Mapping[str, str],
    filled: Collection[str],
    where: Callable[[], Place],
    problems: Collector,
) -> bool:
    """Add a problem if the unread `name` looks like a field's; return whether it did (R009).

    `unfilled` maps the names that the file lacks to the fields that are read from them; `filled` are
    the names of guarded fields that it has. A guarded field is an error: its value would come from
    elsewhere. Other unknown names are ignored, because files are often exports of other programs.
    """
    for there in filled:
        if _letters(there) == _letters(name):
            message = f"`{name}` and `{there}` differ in spelling only"
            fix = f"delete one of them, or write which one is read: {columns_entry(there, there)}"
            problems.add(Problem("R009", message, where(), fix))
            return True
    near = _near(name, tuple(unfilled), _SIMILAR)
    if near is None:
        return False
    field = unfilled[near]
    entry = columns_entry(field, name)
    if field in GUARDED and resembles(name, near):
        message = f"`{name}` is not read, but its name resembles `{near}`"
        fix = f"rename it, or write {entry}; if it holds something else, give it another name"
        problems.add(Problem("R009", message, where(), fix))
    else:
        fix = f"if it holds `{near}`, rename it, or write {entry}"
        problems.add(Problem("R009", f"`{name}` is ignored", where(), fix, Severity.WARNING))
    return True


def resembles(name: str, *others: str) -> bool:
    """Return whether a name is another one in another spelling, or with a slip of the pen."""
    letters = set(map(_letters, others))
    return _letters(name) in letters or _near(name, others, _SPELT_WRONG) is not None


_SIMILAR, _SPELT_WRONG = 0.8, 0.9


@lru_cache(maxsize=1024)
def _near(name: str, known: tuple[str, ...], cutoff: float) -> str | None:
    folded = name.strip().casefold().replace(" ", "_")
    return next(iter(get_close_matches(folded[:100], known, n=1, cutoff=cutoff)), None)


def _letters(name: str) -> str:
    return _NO_LETTERS.sub("", name).casefold()


_NO_LETTERS = re.compile(r"[\W_]+")
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
