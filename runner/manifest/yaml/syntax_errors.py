"""Turns the parser's errors into plain messages with fixes: libyaml's, and those of PyYAML's own."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import yaml
from yaml.error import Mark, MarkedYAMLError

from runner.core.diagnostics.problem import Place, Problem, Related
from runner.manifest.yaml.tree import Source, pack


class _Words(NamedTuple):
    """Message and fix for a text of the parser; `begins`: its place is where the construct begins."""

    part: str
    message: str
    fix: str
    begins: bool = False


_COLUMN = "indent all entries of a {} by the same number of spaces"
_TAB = _Words("", "the indentation contains a tab", "indent with spaces only")
_AFTER = _Words(
    "",
    "there is more text after the end of the value",
    "put quotes around the whole text; within single quotes a `'` is written twice",
)
_WORDS = (
    _Words(
        "mapping values are not allowed",
        "`: ` is not allowed here",
        "put quotes around a text that contains `: `, or fix the indentation",
    ),
    _Words(
        "found unexpected ':'",
        "`:` is not allowed here",
        "put quotes around a text that contains `:`, or check the brackets",
    ),
    _Words(
        "could not find expected ':'",
        "this key has no `: ` after it",
        "write `key: value`, or put quotes around a text of several lines",
        begins=True,
    ),
    _Words(
        "unexpected end of stream",
        "a quote is opened here and never closed",
        "close it with the same quote",
        begins=True,
    ),
    _Words(
        "expected ',' or ']'",
        "a `,` or `]` is missing before this",
        "close the list with `]`, or separate its items with commas",
    ),
    _Words(
        "expected ',' or '}'",
        "a `,` or `}` is missing before this",
        "close the mapping with `}`, or separate its entries with commas",
    ),
    _Words(
        "expected '-' indicator",
        "this line does not line up with the list's other items",
        _COLUMN.format("list"),
    ),
    _Words(
        "expected <block end>",
        "this line does not line up with the mapping's other entries",
        _COLUMN.format("mapping"),
    ),
    _Words(
        "expected key",
        "this line does not line up with the mapping's other entries",
        _COLUMN.format("mapping"),
    ),
    _Words(
        "cannot start any token",
        "a value cannot begin with `{}`",
        "put quotes around a text that begins with `{}`",
    ),
    _Words(
        "expected node content",
        "a value is missing here, or a bracket is not closed",
        "write the value, or close what was opened with `]` or `}`",
    ),
    _Words(
        "sequence entries are not allowed",
        "a list item, `- `, is not allowed here",
        "begin the list on the next line, or write it as `[a, b]`",
    ),
    _Words(
        "unknown escape character",
        "unknown escape",
        "write a backslash twice, or put single quotes around the text",
    ),
    _Words(
        "invalid Unicode character escape",
        "this escape is not a character: it is half of a surrogate pair, or beyond U+10FFFF",
        r"write the character itself, or \U and its number in eight digits: \U0001F600",
    ),
    _Words(
        "alphabetic or numeric character",
        "a name is missing here",
        "put quotes around a text that begins with `*` or `&`",
    ),
    _Words(
        "incompatible YAML document",
        "unknown YAML version",
        "delete the line that begins with `%YAML`",
    ),
    _Words(
        "undefined tag handle",
        "unknown tag",
        "put quotes around a text that begins with `!`",
    ),
)
_DEFAULT_FIX = "check indentation, quotes and brackets on this line and the one before"
_BEGINS = {
    "flow sequence": "the list begins here",
    "block sequence": "the list begins here",
    "block collection": "the list begins here",
    "flow mapping": "the mapping begins here",
    "block mapping": "the mapping begins here",
}


def syntax_problem(error: yaml.YAMLError, source: Source) -> Problem:
    """Return the problem for `error`, with the most likely fix."""
    if not isinstance(error, MarkedYAMLError):
        return Problem("Y005", f"not YAML: {error}", Place(source.name, 1, 1), _DEFAULT_FIX)
    mark, begin = error.problem_mark or error.context_mark, error.context_mark
    words = _words(_as_libyaml(error))
    if words.begins and begin is not None:
        mark = begin  # more helpful than where the parser stopped
    place = _place(mark, source) if mark is not None else Place(source.name, 1, 1)
    found = source.lines[place.line - 1][place.column - 1 : place.column]
    before = source.lines[place.line - 1][: place.column - 1].strip()
    if found == "\t":
        words = _TAB
    elif before and "line up" in words.message:
        words = _AFTER
    related: tuple[Related, ...] = ()
    note = next((note for part, note in _BEGINS.items() if part in (error.context or "")), None)
    if note is not None and begin is not None and begin.line != place.line - 1:
        related = (Related(_place(begin, source), note),)
    message, fix = (text.replace("{}", found) for text in (words.message, words.fix))
    return Problem("Y005", f"not YAML: {message}", place, fix, related=related)


def _as_libyaml(error: MarkedYAMLError) -> str:
    """Return what libyaml says where PyYAML's own parser says it otherwise."""
    text = str(error.problem or error.context or "the text cannot be read")
    if text.startswith("expected <block end>") and "block collection" in (error.context or ""):
        return "did not find expected '-' indicator"
    return text.replace("expected the node content", "did not find expected node content")


def _words(text: str) -> _Words:
    found = (words for words in _WORDS if words.part in text)
    return next(found, _Words(text, text, _DEFAULT_FIX))


def _place(mark: Mark, source: Source) -> Place:
    place = source.place(pack(mark.line, mark.column, 0))
    if place.line <= len(source.lines) and source.lines[place.line - 1].strip():
        return place
    # The end of the text, or a blank line: point to the end of the last line with text.
    line = min(place.line, len(source.lines))
    while line > 1 and not source.lines[line - 1].strip():
        line -= 1
    return replace(place, line=line, column=len(source.lines[line - 1]) + 1)
