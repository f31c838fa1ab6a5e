"""Transfers counted by what they have in common: destination, codec, and so on.

In one pass and in bounded memory: a batch may have a destination for each of a million transfers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.core.record import TransferRecord

KEPT = 2_000
"""Distinct names that are counted apart; transfers of later ones are counted together."""

NAME_LIMIT = 200
"""Characters kept of a name: codecs are what a gateway says they are."""

Name = Callable[[TransferRecord], str | None]
"""What a transfer goes under in a breakdown; None: nothing, it is not counted there."""


@dataclass(frozen=True, slots=True)
class Part:
    """The transfers that share a name, counted by kind (their outcome, or what a plan foresees)."""

    name: str
    counts: Mapping[int, int]
    names: int = 1  # how many share this part; more than one where the rest is summed up

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A batch by one of its dimensions: the parts shown, and the rest in one."""

    by: str
    parts: tuple[Part, ...]
    rest: Part | None
    exact: bool  # False: `rest.names` is at least so many

    @property
    def largest(self) -> int:
        """The largest part's transfers, by which the others are drawn."""
        parts = self.parts if self.rest is None else (*self.parts, self.rest)
        return max(part.total for part in parts)


class Partition:
    """Counts transfers by several dimensions at once.

    `kind` gives a transfer's kind as a number; `troubles` are the kinds that put a part first.
    """

    def __init__(
        self,
        dimensions: Mapping[str, Name],
        kind: Callable[[TransferRecord], int],
        troubles: frozenset[int],
    ) -> None:
        self._kind = kind
        self._troubles = troubles
        self._dimensions = [(by, name, _Names()) for by, name in dimensions.items()]
        self.kinds: Counter[int] = Counter()

    def add_all(self, transfers: Iterable[TransferRecord]) -> None:
        """Count all of `transfers`."""
        dimensions, kinds = self._dimensions, self.kinds
        for transfer in transfers:
            kind = self._kind(transfer)
            kinds[kind] += 1
            for _, find, names in dimensions:
                name = find(transfer)
                if name is not None:
                    names.add(name, kind)

    def breakdowns(self, shown: int) -> tuple[Breakdown, ...]:
        """Return those dimensions that any transfer has, `shown` parts of each.

        Parts with most trouble come first, then the largest.
        """
        return tuple(
            names.breakdown(by, shown, self._troubles)
            for by, _, names in self._dimensions
            if names.counts
        )


class _Names:
    """One dimension's counts."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[int]] = {}
        self.others: Counter[int] = Counter()

    def add(self, name: str, kind: int) -> None:
        counts = self.counts.get(name)
        if counts is None:
            if len(self.counts) >= KEPT:
                self.others[kind] += 1
                return
            counts = self.counts[name] = Counter()
        counts[kind] += 1

    def breakdown(self, by: str, shown: int, troubles: frozenset[int]) -> Breakdown:
        def place(part: Part) -> tuple[int, int]:
            return -sum(part.counts.get(kind, 0) for kind in troubles), -part.total

        parts = sorted((Part(name, counts) for name, counts in self.counts.items()), key=place)
        left = parts[shown:]
        rest = sum((Counter(part.counts) for part in left), self.others)
        names = len(left) + bool(self.others)
        return Breakdown(
            by,
            tuple(parts[:shown]),
            Part("", rest, names) if names else None,
            exact=not self.others,
        )


def destination(transfer: TransferRecord) -> str:
    """Name the transfer's destination."""
    return transfer.destination_uri


def codecs(transfer: TransferRecord) -> str:
    """Name the codecs asked for, and those that the gateway named, if it named any."""
    requested = _codecs(transfer.media_requested)
    if transfer.media_negotiated is None:
        return requested
    return f"{requested} → {_codecs(transfer.media_negotiated)}"


def route(transfer: TransferRecord) -> str:
    """Name where it was, as far as a plan knows, and where it goes."""
    if transfer.origin_uri is None:
        return transfer.destination_uri
    return f"{transfer.origin_uri} → {transfer.destination_uri}"


def _codecs(media: Mapping[str, Any]) -> str:
    halves = (media.get(half) for half in ("audio", "video"))
    named = [half.get("codec") for half in halves if isinstance(half, Mapping)]
    text = " + ".join(codec for codec in named if isinstance(codec, str)) or "no codec named"
    return text if len(text) <= NAME_LIMIT else text[: NAME_LIMIT - 1] + "…"
