"""Finds numbers by the identity of objects, in twelve bytes each."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator

_SHORTEST, _PARTS = 4_096, 16


class IdentityIndex:
    """A number below 2**32 for each of many objects, found by `id`; the objects must stay alive.

    A dict takes 120 bytes for each. Here one holds only what was added last, at most a sixteenth; the
    rest is in sorted arrays. What is added again has its new number.
    """

    __slots__ = ("_latest", "_most", "_sorted")

    def __init__(self) -> None:
        self._latest: dict[int, int] = {}
        self._most = _SHORTEST  # which the dict holds before it is sorted
        self._sorted: list[tuple[array[int], array[int]]] = []  # identities, and their numbers

    def __setitem__(self, identity: int, number: int) -> None:
        self._latest[identity] = number
        if len(self._latest) >= self._most:
            self._sort_latest()

    def __getitem__(self, identity: int) -> int:
        """Return an object's number. Raises `KeyError` if it has none."""
        number = self._latest.get(identity)
        if number is not None:
            return number
        for identities, numbers in reversed(self._sorted):
            at = bisect_left(identities, identity)
            if at < len(identities) and identities[at] == identity:
                return numbers[at]
        raise KeyError(identity)

    def __iter__(self) -> Iterator[int]:
        """Yield each identity; one that was added again may come twice."""
        return (identity for identity, _ in self.items())

    def items(self) -> Iterator[tuple[int, int]]:
        """Yield identities and numbers in the order of their addition: the last of an identity counts."""
        for identities, numbers in self._sorted:
            yield from zip(identities, numbers, strict=True)
        yield from self._latest.items()

    def _sort_latest(self) -> None:
        latest, self._latest = self._latest, {}
        identities = array("Q", sorted(latest))
        numbers = array("I", map(latest.__getitem__, identities))
        self._sorted.append((identities, numbers))
        held = sum(len(each) for each, _ in self._sorted)
        self._most = max(_SHORTEST, held // _PARTS)
