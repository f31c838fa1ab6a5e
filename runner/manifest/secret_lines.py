"""Keeps source lines with a secret in plain text from being shown beside a problem."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from runner.core.diagnostics.problem import Place, Problem
from runner.manifest.yaml.tree import Source

REFERENCE = "write a reference to it: {env: NAME}, {file: PATH} or {command: [PROGRAM, ARGUMENT]}"
"""What to write instead of a secret."""

# Each is linear in the line's length: nothing repeats what something beside it could match too.
_NAMES = r"(?:secret|client_id|password|api_key|token)"
_KEY = rf"{_NAMES}[\"']?\s*:"
_PLAIN = re.compile(rf"{_KEY}\s*(?=[^\s{{#])", re.IGNORECASE)
_CONTINUED = re.compile(rf"{_KEY}\s*(?:[|>][-+0-9]*\s*)?$", re.IGNORECASE)
_SECRET = re.compile(rf"{_NAMES}\Z|\A(?:credentials|headers)\Z", re.IGNORECASE)


def holds_secret(key: object) -> bool:
    """Tell whether what stands under a key may be a secret, or have one in it."""
    return isinstance(key, str) and _SECRET.search(key) is not None


def public_part(address: str) -> str | None:
    """Return an address without query and fragment; None if a password may be in the rest too."""
    return None if "@" in address else re.split("[?#]", address, maxsplit=1)[0]


def hide_secrets(problems: Iterable[Problem], source: Source) -> Iterator[Problem]:
    """Mark the problems whose source line may show a secret, from where it may begin.

    A secret in plain text is a problem of its own (R007); this concerns what else is wrong on its
    line, such as the quote that makes the whole manifest unreadable.
    """
    known: dict[int, int | None] = {}  # by line: a thousand problems may stand on a long one

    def begin_of_secret(place: Place) -> int | None:
        if place.file != source.name or place.line > len(source.lines):
            return None
        if place.line not in known:
            known[place.line] = _begin_of_secret(source, place.line)
        return known[place.line]

    for problem in problems:
        place, begin = problem.place, None if problem.hide else begin_of_secret(problem.place)
        # A second place has no mask of its own: the message has to do.
        related = tuple(r for r in problem.related if begin_of_secret(r.place) is None)
        told = (
            problem if len(related) == len(problem.related) else replace(problem, related=related)
        )
        if begin is None:
            yield told
        elif begin < place.column:
            masked = replace(place, column=begin, end_column=None)
            yield replace(told, place=masked, hide=True)
        else:
            yield replace(told, hide=True)


def _begin_of_secret(source: Source, line: int) -> int | None:
    if found := _PLAIN.search(source.lines[line - 1]):
        return found.end() + 1
    continued = line > 1 and _CONTINUED.search(source.lines[line - 2])
    return 1 if continued else None
