"""What was done before, read from a journal: runs, transfers, claims, doubts, callbacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from runner.core.transfer.plan import Claim

T = TypeVar("T")


class ClaimSource(Protocol):
    """Finds what earlier runs did to interactions."""

    def claims(self, wanted: Iterable[tuple[T, str]]) -> Iterator[tuple[T, Sequence[Claim]]]:
        """Yield the transfers of each interaction that has any, oldest first.

        `wanted` are pairs of a mark, which comes back with the answer, and an interaction in its
        canonical form; they are taken page by page. All answers are of one moment. Raises
        `StorageError`.
        """
