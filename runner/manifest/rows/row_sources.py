"""The port of sources of transfers, and the manifest's own list as one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from runner.core.diagnostics.problem import Place
from runner.manifest.reference_resolver import LocatedValue
from runner.manifest.schema.check import Document

FIELDS = (
    "key",
    "interaction_id",
    "destination_uri",
    "media",
    "fallback",
    "callbacks",
    "expected_destination_uri",
)
"""A transfer's fields, in the order of `Row.values`."""

Values = tuple[Any, Any, Any, Any, Any, Any, Any]
"""A row's values in the order of `FIELDS`; None or an empty text if absent."""


INVALID = object()
"""Replaces a faulty value whose problem is reported already: it is neither checked nor missing."""


def with_invalid(values: Values, invalid_fields: Collection[str]) -> Values:
    """Return a row's values with `INVALID` in the place of the fields named in `invalid_fields`."""
    left = [
        INVALID if field in invalid_fields else value
        for field, value in zip(FIELDS, values, strict=True)
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

    def where(self, field: str, *part: str | int) -> Place:
        """Return the place of `field` of the row yielded last, or of a part of it."""

    def header(self, field: str) -> Place | None:
        """Return where the columns are named, if no row of the file can have `field`."""

    def find(self, wanted: Mapping[int, str]) -> Mapping[int, Place]:
        """Return the place of one field in each wanted row; rows are given by position."""


@dataclass(slots=True)
class InlineRows:
    """The transfers in the manifest itself, from index `start` to `stop`."""

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
                get("expected_destination_uri"),
            )
            if id(item) in invalid_fields:
                values = with_invalid(values, invalid_fields[id(item)])
            yield index, tree.line(items, index), values

    def where(self, field: str, *part: str | int) -> Place:
        """See `RowSource`; an absent field has the place where the transfer begins."""
        if field in self._item:
            return self.document.where(self._item, field, *part)
        return self.document.tree.key(self._item, next(iter(self._item)))

    def header(self, _field: str) -> Place | None:
        """See `RowSource`."""
        return None

    def find(self, wanted: Mapping[int, str]) -> Mapping[int, Place]:
        """See `RowSource`."""
        items, where = self.document.tree.root["transfers"], self.document.where
        return {
            index: where(items[index], name if name in items[index] else "interaction_id")
            for index, name in wanted.items()
        }


def shared_fields(document: Document, *levels: Mapping[str, Any]) -> Mapping[str, LocatedValue]:
    """Return each field's value from the first of the mappings `levels` that has it."""
    given: dict[str, LocatedValue] = {}
    for level in levels:
        for name in FIELDS[2:-1]:  # an expected destination is each row's own
            if name in level and name not in given:
                given[name] = LocatedValue(level[name], partial(document.where, level, name))
    return given
