"""Rows from JSON Lines: one object a line, with any field of a transfer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Never

import jsonschema_rs

from runner.core.problem import Place, Problem
from runner.loading.builder import build
from runner.loading.choices import Given
from runner.loading.collector import Collector
from runner.loading.explain import described, explain
from runner.loading.files import BadRow, RowFile
from runner.loading.near_misses import warn_of_near_misses
from runner.loading.rows import FIELDS, Values
from runner.loading.schema import validator
from runner.loading.tree import Source, Tree


class _Unusable(ValueError):
    """JSON that another reader would read differently."""


class JsonRows:
    """The rows of a JSONL file; `columns` renames, see `RowSource` for the rest."""

    def __init__(
        self,
        name: str,
        file: RowFile,
        columns: Mapping[str, str],
        shared: Mapping[str, Given],
        problems: Collector,
    ) -> None:
        self.name = name
        self.blank_is_absent = False
        self.shared = shared
        self._file = file
        self._names = {at: columns.get(at, at) for at in FIELDS}
        self._problems = problems
        self._line = 0
        self._text = ""
        self._unread: set[str] = set()

    def rows(self) -> Iterator[tuple[int, int, Values]]:
        """Yield each row's line twice, as its position too, and its values."""
        check = validator("transfer")
        try:
            for row in self._objects():
                known = {at: row[name] for at, name in self._names.items() if name in row}
                if len(known) < len(row):
                    self._notice_unread(row)
                if check.is_valid(known):
                    yield self._line, self._line, tuple(map(known.get, FIELDS))  # type: ignore[misc] # six of them
                else:
                    self._explain(check, known)
        except BadRow as bad:
            self._problems.add(bad.problem)

    def where(self, at: str, *part: str | int) -> Place:
        """Return the place of a field, or of a part of it, in the row yielded last."""
        begin = Place(self._file.shown, self._line, 1)
        tree = self._tree()
        if tree is None or not isinstance(tree.root, dict) or self._names[at] not in tree.root:
            return begin
        return replace(tree.reach((self._names[at], *part))[1], line=self._line)

    def find(self, wanted: Mapping[int, str]) -> Mapping[int, Place]:
        """See `RowSource`; reads the file once more."""
        places: dict[int, Place] = {}
        for row in self._objects():
            if (at := wanted.get(self._line)) is not None:
                places[self._line] = self.where(at if self._names[at] in row else "interaction_id")
        return places

    def _objects(self) -> Iterator[dict[str, Any]]:
        for number, text in enumerate(self._file.lines(), start=1):
            self._line, self._text = number, text
            if text.isspace():
                continue
            try:
                row = _DECODER.decode(text)
                if _HALF_ESCAPE.search(text):
                    json.dumps(row, ensure_ascii=False).encode()
            except json.JSONDecodeError as error:
                self._refuse(f"not JSON: {error.msg.lower()}", error.colno)
            except UnicodeEncodeError:
                self._refuse("the row holds half a character, a lone surrogate")
            except (ValueError, RecursionError) as error:
                self._refuse(str(error) if isinstance(error, _Unusable) else "not usable JSON")
            else:
                if isinstance(row, dict):
                    yield row
                else:
                    self._refuse("the row is not an object")

    def _refuse(self, message: str, column: int = 1) -> None:
        mend = 'write one object a line: {"interaction_id": "…", "destination_uri": "…"}'
        place = Place(self._file.shown, self._line, column)
        self._problems.add(Problem("R009", message, place, mend))

    def _notice_unread(self, row: Mapping[str, Any]) -> None:
        read = set(self._names.values())
        for name in row.keys() - read - self._unread:
            self._unread.add(name)
            place = Place(self._file.shown, self._line, 1)
            warn_of_near_misses(name, read.difference(row), place, self._problems)

    def _tree(self) -> Tree | None:
        """Return the row as a document with places: JSON is YAML, but for rare escapes."""
        text = self._text.lstrip("\ufeff").rstrip("\r\n")
        return build(Source(self._file.shown, text, ""), Collector())

    def _explain(self, check: jsonschema_rs.Validator, known: Mapping[str, Any]) -> None:
        tree = self._tree()
        for error in check.iter_errors(known):
            path, kind = tuple(error.instance_path), described(error)
            if tree is None or not path:
                self._refuse(f"the row lacks `{kind.get('property', 'a field')}`")
                continue
            path = (self._names[str(path[0])], *path[1:])
            for found in explain(tree, path, list(error.schema_path), kind):
                place = replace(found.place, line=self._line)
                self._problems.add(replace(found, code="R009", place=place))


def _no_constant(text: str) -> Never:
    raise _Unusable(f"{text} is not a number of JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Unusable(f"the field `{twice}` stands twice")
    return found


_HALF_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
