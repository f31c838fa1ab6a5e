"""Says in plain words what libyaml found wrong."""

from __future__ import annotations

import yaml
from yaml.error import Mark, MarkedYAMLError

from runner.core.problem import Place, Problem, Related
from runner.loading.tree import Source, pack

_MENDS = (
    ("a tab", "indent with spaces: YAML does not allow tabs there"),
    (
        "mapping values are not allowed",
        "put quotes around a text that contains `: `, or mend the indentation",
    ),
    ("could not find expected ':'", "write `key: value`, or put quotes around a long text"),
    ("unexpected end of stream", "close the quote that was opened"),
    ("expected ',' or ']'", "close the list with `]`, or separate its items with commas"),
    ("expected ',' or '}'", "close the mapping with `}`, or separate its entries with commas"),
    ("expected <block end>", "mend the indentation: entries of one mapping start in one column"),
    ("expected key", "mend the indentation: entries of one mapping start in one column"),
    ("expected '-' indicator", "mend the indentation: the items of one list start in one column"),
    ("cannot start any token", "put quotes around a text that begins with this character"),
)


def syntax_problem(error: yaml.YAMLError, source: Source) -> Problem:
    """Return the problem that `error` stands for, with the mend that most often helps."""
    if not isinstance(error, MarkedYAMLError):
        return Problem("Y005", f"not YAML: {error}", Place(source.name, 1, 1), _mend(str(error)))
    said = error.problem or error.context or "the text cannot be read"
    mark, begin = error.problem_mark or error.context_mark, error.context_mark
    related: tuple[Related, ...] = ()
    if begin is not None and "unexpected end of stream" in said:
        mark = begin  # where the quote was opened says more than where the file ends
    elif begin is not None and begin is not mark:
        related = (Related(_place(begin, source), error.context or "begins here"),)
    place = _place(mark, source) if mark is not None else Place(source.name, 1, 1)
    if source.lines[place.line - 1][place.column - 1 : place.column] == "\t":
        said = "found a tab where the indentation should be"
    return Problem("Y005", f"not YAML: {said}", place, _mend(said), related=related)


def _mend(said: str) -> str:
    found = (mend for part, mend in _MENDS if part in said)
    return next(found, "check indentation, quotes and brackets on this line and the one before")


def _place(mark: Mark, source: Source) -> Place:
    last = len(source.lines) - 1
    if mark.line > last:  # the end of a text without a last line break
        return source.place(pack(last, len(source.lines[last]), 0))
    return source.place(pack(mark.line, mark.column, 0))
