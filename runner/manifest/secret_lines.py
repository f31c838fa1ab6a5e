"""Finds and hides secrets in plain text on source lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from runner.core.diagnostics.problem import Place, Problem
from runner.manifest.yaml.tree import Source

REFERENCE = "write a reference to it: {env: NAME}, {file: PATH}, {systemd: NAME} or {command: [PROGRAM, ARGUMENT]}"
"""The fix for a secret in plain text."""

# Each is linear in the line's length: adjacent repetitions never match the same text.
_NAMES = r"(?:secret|client_id|password|api_key|token)"
_KEY = rf"{_NAMES}[\"']?\s*:"
_PLAIN = re.compile(rf"{_KEY}\s*(?=[^\s{{#])", re.IGNORECASE)
_CONTINUED = re.compile(rf"{_KEY}\s*(?:[|>][-+0-9]*\s*)?$", re.IGNORECASE)
_SECRET = re.compile(rf"{_NAMES}\Z|\A(?:credentials|headers)\Z", re.IGNORECASE)


def holds_secret(key: object) -> bool:
    """Return whether the value of a key may be, or contain, a secret."""
    return isinstance(key, str) and _SECRET.search(key) is not None


def public_part(address: str) -> str | None:
    """Return an address without query and fragment; None if the rest may contain a password."""
    return None if "@" in address else re.split("[?#]", address, maxsplit=1)[0]


def hide_secrets(problems: Iterable[Problem], source: Source) -> Iterator[Problem]:
    """Mark problems whose source line may contain a secret, from the column where it may begin.

    A secret in plain text is itself a problem (R007). This is for other problems on its line, such as
    an unclosed quote that makes the manifest unreadable.
    """
    known: dict[int, int | None] = {}  # by line, because a line may have many problems

    def begin_of_secret(place: Place) -> int | None:
        if place.file != source.name or place.line > len(source.lines):
            return None
        if place.line not in known:
            known[place.line] = _begin_of_secret(source, place.line)
        return known[place.line]

    for problem in problems:
        place, begin = problem.place, None if problem.hide else begin_of_secret(problem.place)
        # A related place cannot be masked: it is dropped.
        related = tuple(r for r in problem.related if begin_of_secret(r.place) is None)
        shown = (
            problem if len(related) == len(problem.related) else replace(problem, related=related)
        )
        if begin is None:
            yield shown
        elif begin < place.column:
            masked = replace(place, column=begin, end_column=None)
            yield replace(shown, place=masked, hide=True)
        else:
            yield replace(shown, hide=True)


def _begin_of_secret(source: Source, line: int) -> int | None:
    if found := _PLAIN.search(source.lines[line - 1]):
        return found.end() + 1
    continued = line > 1 and _CONTINUED.search(source.lines[line - 2])
    return 1 if continued else None
