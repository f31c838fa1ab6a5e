"""A document as plain containers, with the place of every key and value."""

from __future__ import annotations

import re
from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePath
from typing import Any

from runner.core.diagnostics.problem import Place
from runner.core.frozen import frozen
from runner.manifest.yaml.identity_index import IdentityIndex

# A mark is a span of one line, packed into 64 bits: line, column (both from 0) and width.
_LINE_SHIFT, _COLUMN_SHIFT = 38, 12
_COLUMN_MASK, _WIDTH_MASK = (1 << 26) - 1, (1 << 12) - 1

_LARGE = 100
"""Number of keys above which a mapping's key positions are cached."""

ValuePath = tuple[str | int, ...]
"""The keys and indexes that lead to a value of a document."""

_LINE_BREAK = re.compile(r"\r\n|\r|\n")


def pack(line: int, column: int, width: int) -> int:
    """Return a mark; a `width` of 0 or beyond 4,095 characters is unknown."""
    return (
        line << _LINE_SHIFT | column << _COLUMN_SHIFT | (width if 0 < width <= _WIDTH_MASK else 0)
    )


@dataclass(frozen=True)
class Source:
    """A manifest's text. `name` is its path as the user gave it."""

    name: str
    text: str
    sha256: str

    @property
    def path_name(self) -> str:
        """The file's own name, without the folders that lead to it."""
        return PurePath(self.name).name

    @cached_property
    def lines(self) -> list[str]:
        """The lines, without their ends."""
        return _LINE_BREAK.split(self.text)

    def place(self, mark: int) -> Place:
        """Return the place of a mark."""
        column = (mark >> _COLUMN_SHIFT & _COLUMN_MASK) + 1
        width = mark & _WIDTH_MASK
        return Place(
            self.name, (mark >> _LINE_SHIFT) + 1, column, column + width if width else None
        )

    def shown(self, place: Place) -> str:
        """Return the text at a place; empty if its end is unknown."""
        if place.end_column is None:
            return ""
        return self.lines[place.line - 1][place.column - 1 : place.end_column - 1]


@dataclass(slots=True)
class Marks:
    """Every container's marks in one flat array, found by the container's identity.

    A mapping has two marks for each key, in the order of its keys: the key's and the value's; a
    sequence has one for each item. Millions of them cost eight bytes each, and each container twelve.
    """

    flat: array[int] = field(default_factory=lambda: array("Q"))
    start_of: IdentityIndex = field(default_factory=IdentityIndex)
    _positions: dict[int, dict[str, int]] = field(default_factory=dict)  # of large mappings' keys

    def add(self, container: object, marks: list[int]) -> None:
        """Store a container's marks; the container must stay alive."""
        self.start_of[id(container)] = len(self.flat)
        self.flat.extend(marks)

    def of(self, container: Sequence[Any] | Mapping[str, Any]) -> Sequence[int]:
        """Return a container's marks."""
        start = self.start_of[id(container)]
        each = 2 if isinstance(container, Mapping) else 1
        return self.flat[start : start + each * len(container)]

    def of_keys(self, mapping: Mapping[str, Any], count: int) -> Sequence[int]:
        """Return the marks of a mapping's first keys, of which it had `count` when they were added."""
        start = self.start_of[id(mapping)]
        return self.flat[start : start + 2 * count]

    def extend(self, other: Marks) -> None:
        """Add another document's marks; its containers must stay alive."""
        offset = len(self.flat)
        self.flat.extend(other.flat)
        for each, start in other.start_of.items():
            self.start_of[each] = offset + start

    def forget(self, container: object) -> None:
        """Forget what is cached of a container whose keys have changed."""
        self._positions.pop(id(container), None)

    def position(self, mapping: Mapping[str, Any], key: str) -> int:
        """Return a key's index in its mapping, in constant time for large mappings."""
        if len(mapping) <= _LARGE:
            return list(mapping).index(key)
        known = self._positions.get(id(mapping))
        if known is None:
            known = {each: number for number, each in enumerate(mapping)}
            self._positions[id(mapping)] = known
        return known[key]

    def remove(self, container: Any, members: Collection[str | int]) -> None:
        """Remove keys or indexes from a container, with their marks."""
        marks = self.of(container)
        if isinstance(container, dict):
            kept = [i for i, key in enumerate(container) if key not in members]
            left = [mark for i in kept for mark in marks[2 * i : 2 * i + 2]]
            for key in members:
                container.pop(key, None)
        else:
            kept = [i for i in range(len(container)) if i not in members]
            left = [marks[i] for i in kept]
            container[:] = [container[i] for i in kept]
        self.add(container, left)
        self.forget(container)


@frozen
class Tree:
    """A document: its root value and the places of its parts.

    What was included has another source: `origins` by the identity of a container, `entry_origins`
    by that of a shared section and the entry's name or index. `included` keeps these containers alive.
    """

    root: Any
    root_mark: int
    marks: Marks
    source: Source
    origins: Mapping[int, Source] = field(default_factory=dict)
    entry_origins: dict[tuple[int, str], Source] = field(default_factory=dict)
    included: tuple[Tree, ...] = ()
    is_partial: bool = False  # a file could not be included: what it defines is not known

    def key(self, mapping: Mapping[str, Any], key: str) -> Place:
        """Return the place of a key."""
        return self._source(mapping, key).place(self._mark(mapping, key, 0))

    def value(self, container: Any, at: str | int) -> Place:
        """Return the place of a key's value, or of a sequence's item."""
        if isinstance(container, Mapping):
            return self._source(container, str(at)).place(self._mark(container, str(at), 1))
        source = self._source(container, str(at))
        return source.place(self.marks.flat[self.marks.start_of[id(container)] + int(at)])

    def line(self, items: Sequence[Any], index: int) -> int:
        """Return the line, from 1, on which a sequence's item begins."""
        mark = self.marks.flat[self.marks.start_of[id(items)] + index]
        return (mark >> _LINE_SHIFT) + 1

    def lines(self, items: Sequence[Any], begin: int, end: int) -> list[int]:
        """Return the lines of some items of a sequence."""
        start = self.marks.start_of[id(items)]
        return [(mark >> _LINE_SHIFT) + 1 for mark in self.marks.flat[start + begin : start + end]]

    def reach(self, path: Sequence[str | int]) -> tuple[Any, Place]:
        """Return the value at a path of keys and indexes, and its place."""
        container, value, place = None, self.root, self.source.place(self.root_mark)
        for step in path:
            container, value = value, value[step]
            place = self.value(container, step)
        return value, place

    def shown(self, place: Place) -> str:
        """Return the text at a place of this document; empty if its end is unknown."""
        sources = (self.source, *(each.source for each in self.included))
        found = next((each for each in sources if each.name == place.file), None)
        return "" if found is None else found.shown(place)

    def _source(self, container: Any, key: str) -> Source:
        if not self.included:
            return self.source
        own = self.origins.get(id(container), self.source)
        return self.entry_origins.get((id(container), key), own)

    def _mark(self, mapping: Mapping[str, Any], key: str, which: int) -> int:
        start = self.marks.start_of[id(mapping)]
        return self.marks.flat[start + 2 * self.marks.position(mapping, key) + which]
