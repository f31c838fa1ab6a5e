"""The port of sources of transfers, and the manifest's own list as one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, Protocol

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
"""A transfer's fields, in the order of a row's values."""

Values = tuple[Any, Any, Any, Any, Any, Any, Any]
"""A row's values in the order of `FIELDS`; None or an empty text if absent."""


class Block(NamedTuple):
    """Consecutive rows of a source, field by field; every value is a text, or None if absent."""

    positions: Sequence[int]  # of the rows in their source
    lines: Sequence[int]
    columns: Mapping[str, Sequence[str | None]]  # by field; the others are absent in every row


TakeBlock = Callable[[Block], bool]
"""Takes a block of rows if there is nothing to say about any; False: they come one by one."""


def refuse_blocks(_block: Block) -> bool:
    """Let every row come by itself."""
    return False


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

    def rows(self, take: TakeBlock = refuse_blocks) -> Iterator[tuple[int, int, Values]]:
        """Yield the position in this source, the line and the values of each row not in a block.

        `take` is called for blocks of rows that can be read together.
        """

    def where(self, field: str, *part: str | int) -> Place:
        """Return the place of `field` of the row yielded last, or of a part of it."""

    def header(self, field: str) -> Place | None:
        """Return where the columns are named, if no row of the file can have `field`."""

    def column(self, field: str) -> str | None:
        """Return the name by which the file has `field` in every row; None: it need not."""

    def find(self, wanted: Mapping[int, str]) -> Mapping[int, Place]:
        """Return the place of one field in each wanted row; rows are given by position."""


_FIRST_ITEMS, _ITEMS = 8, 1_000
"""Items that are read one by one at first, whatever they are, and together after that."""


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

    def rows(self, take: TakeBlock = refuse_blocks) -> Iterator[tuple[int, int, Values]]:
        """See `RowSource`; positions are indexes into `transfers`."""
        begin, size = self.start, _FIRST_ITEMS
        while begin < self.stop:
            end = min(begin + size, self.stop)
            block = self._block(begin, end) if begin > self.start else None
            if block is None or not take(block):
                yield from self._one_by_one(begin, end)
            begin, size = end, _ITEMS

    def _block(self, begin: int, end: int) -> Block | None:
        """Return some items as rows, if all of their values are texts and no problem is known."""
        tree, items = self.document.tree, self.document.tree.root["transfers"]
        chunk, faulty = items[begin:end], self.document.invalid_fields
        if faulty and not faulty.keys().isdisjoint(map(id, chunk)):
            return None
        if set(map(type, chain.from_iterable(map(dict.values, chunk)))) != {str}:
            return None
        given = set().union(*chunk)
        columns = {name: [item.get(name) for item in chunk] for name in FIELDS if name in given}
        if None in columns.get("interaction_id", [None]):
            return None
        return Block(range(begin, end), tree.lines(items, begin, end), columns)

    def _one_by_one(self, begin: int, end: int) -> Iterator[tuple[int, int, Values]]:
        tree, items = self.document.tree, self.document.tree.root["transfers"]
        invalid_fields = self.document.invalid_fields
        for index in range(begin, end):
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

    def column(self, _field: str) -> str | None:
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
