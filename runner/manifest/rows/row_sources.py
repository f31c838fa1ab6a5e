"""Sources of transfers: the manifest's own list, CSV and JSONL files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from runner.core.diagnostics.problem import Place
from runner.manifest.reference_resolver import LocatedValue
from runner.manifest.schema.check import Document

FIELDS = ("key", "interaction_id", "destination_uri", "media", "fallback", "callbacks")
"""A transfer's fields, in the order of `Row.values`."""

Values = tuple[Any, Any, Any, Any, Any, Any]
"""A row's values in the order of `FIELDS`; None or an empty text if absent."""


INVALID = object()
"""Replaces a faulty value whose problem is reported: it is neither checked nor missing."""


def with_invalid(values: Values, invalid_fields: Collection[str]) -> Values:
    """Return a row's values with `INVALID` in the place of the fields named in `invalid_fields`."""
    left = [
        INVALID if at in invalid_fields else value for at, value in zip(FIELDS, values, strict=True)
    ]
    return tuple(left)  # type: ignore[return-value] # same length


class RowSource(Protocol):
    """A source of transfers. `name` is the file's name in a row's `source`."""

    name: str
    blank_is_absent: bool  # an empty text means no value, as in CSV
    is_file: bool  # a file beside the manifest, whose problems have the code R009
    shared: Mapping[str, LocatedValue]  # values for rows that have none of their own

    def rows(self) -> Iterator[tuple[int, int, Values]]:
        """Yield each row's position in this source, its line, and its values."""

    def where(self, at: str, *part: str | int) -> Place:
        """Return the place of a field of the row yielded last, or of a part of it."""

    def header(self, at: str) -> Place | None:
        """Return where the columns are named, if no row of the file can have the field `at`."""

    def find(self, wanted: Mapping[int, str]) -> Mapping[int, Place]:
        """Return the places of a field each of some rows, by the rows' positions."""


@dataclass(slots=True)
class InlineRows:
    """The transfers written in the manifest itself, from one index to another."""

    name: str
    document: Document
    start: int
    stop: int
    shared: Mapping[str, LocatedValue]
    blank_is_absent: bool = False
    is_file: bool = False
    _item: Mapping[str, Any] = field(default_factory=dict)

    def rows(self) -> Iterator[tuple[int, int, Values]]:
        """See `RowSource`; positions are indexes into `transfers`."""
        tree, items = self.document.tree, self.document.tree.root["transfers"]
        invalid_fields = self.document.invalid_fields
        for index in range(self.start, self.stop):
            self._item = item = items[index]
            get = item.get
            values = (
                get("key"),
                get("interaction_id"),
                get("destination_uri"),
                get("media"),
                get("fallback"),
                get("callbacks"),
            )
            if id(item) in invalid_fields:
                values = with_invalid(values, invalid_fields[id(item)])
            yield index, tree.line(items, index), values

    def where(self, at: str, *part: str | int) -> Place:
        """See `RowSource`; a field that is absent stands where the transfer begins."""
        if at in self._item:
            return self.document.where(self._item, at, *part)
        return self.document.tree.key(self._item, next(iter(self._item)))

    def header(self, _at: str) -> Place | None:
        """See `RowSource`."""
        return None

    def find(self, wanted: Mapping[int, str]) -> Mapping[int, Place]:
        """See `RowSource`."""
        items, where = self.document.tree.root["transfers"], self.document.where
        return {
            index: where(items[index], at if at in items[index] else "interaction_id")
            for index, at in wanted.items()
        }


def shared_fields(document: Document, *levels: Mapping[str, Any]) -> Mapping[str, LocatedValue]:
    """Return each field's value from the first of the mappings `levels` that has it."""
    given: dict[str, LocatedValue] = {}
    for level in levels:
        for at in FIELDS[2:]:
            if at in level and at not in given:
                given[at] = LocatedValue(level[at], partial(document.where, level, at))
    return given
