"""Rules out that keys or interactions repeat, without the disk: eight bytes for each of them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

_SHARES = 64
"""Parts whose hashes are compared with each other: a set of all would take sixty bytes for each."""


class PossibleRepeats:
    """Finds out whether any of the rows may repeat another's key or interaction.

    Texts with different hashes differ, so that rows without two equal hashes repeat nothing. Keys
    are compared once one is not its interaction.
    """

    def __init__(self) -> None:
        self._interactions = _Hashes()
        self._keys: _Hashes | None = None

    def add(self, interactions: Sequence[str], keys: Sequence[str]) -> None:
        """Take the interactions, in their canonical form, and the keys of some more rows."""
        if self._keys is None and any(map(str.__ne__, interactions, keys)):
            self._keys = self._interactions.copy()  # as all keys before were
        self._interactions.add(interactions)
        if self._keys is not None:
            self._keys.add(keys)

    def may_be(self) -> bool:
        """Return whether two rows may have the same key or interaction."""
        kept = (self._interactions, self._keys)
        return any(hashes is not None and hashes.may_repeat() for hashes in kept)


class _Hashes:
    """Hashes of texts, apart by their last bits."""

    def __init__(self) -> None:
        self._shares = [array("q") for _ in range(_SHARES)]

    def add(self, texts: Iterable[str]) -> None:
        """Keep the hashes of some more texts."""
        shares = self._shares
        for each in map(hash, texts):
            shares[each % _SHARES].append(each)

    def copy(self) -> _Hashes:
        """Return a copy."""
        new = _Hashes()
        new._shares = [share[:] for share in self._shares]
        return new

    def may_repeat(self) -> bool:
        """Return whether two hashes are equal."""
        return any(len(set(share)) < len(share) for share in self._shares)
