"""Transfers counted by what they have in common: destination, codec, and so on.

In one pass and in bounded memory: a batch may have a destination for each of a million transfers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from runner.core.records.run_record import TransferRecord

KEPT = 2_000
"""Distinct names that are counted apart; transfers of later ones are counted together."""

NAME_LIMIT = 200
"""Characters kept of a name: codecs are what a gateway says they are."""

Name = Callable[[TransferRecord], str | None]
"""What a transfer goes under in a breakdown; None: nothing, it is not counted there."""


class Part(NamedTuple):
    """The transfers that share a name, counted by kind (their outcome, or what a plan foresees)."""

    name: str
    counts: Mapping[int, int]
    names: int = 1  # how many share this part; more than one where the rest is summed up

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts.values())


class Breakdown(NamedTuple):
    """A batch by one of its dimensions: the parts shown, and the rest in one."""

    by: str
    parts: tuple[Part, ...]
    rest: Part | None
    exact: bool  # False: `rest.names` is a lower bound

    @property
    def largest(self) -> int:
        """The largest part's transfers, by which the others are drawn."""
        parts = self.parts if self.rest is None else (*self.parts, self.rest)
        return max(part.total for part in parts)


class Partition:
    """Counts transfers by several dimensions at once.

    `kind` gives a transfer's kind as a number; `troubles` are the kinds that put a part first,
    but in the dimensions `in_order`, whose parts stay as they come.
    """

    def __init__(
        self,
        dimensions: Mapping[str, Name],
        kind: Callable[[TransferRecord], int],
        troubles: frozenset[int],
        *,
        in_order: frozenset[str] = frozenset(),
    ) -> None:
        self._kind = kind
        self._in_order = in_order
        self._troubles = troubles
        self._dimensions = [(by, name, _Names()) for by, name in dimensions.items()]
        self.kinds: Counter[int] = Counter()

    def add_all(self, transfers: Iterable[TransferRecord]) -> None:
        """Count all of `transfers`."""
        find_kind, kinds = self._kind, self.kinds
        dimensions = [(find, names.counts, names.begin) for _, find, names in self._dimensions]
        for transfer in transfers:  # there may be a million
            kind = find_kind(transfer)
            kinds[kind] += 1
            for find, counts, begin in dimensions:
                pair = (find(transfer), kind)
                if pair in counts:
                    counts[pair] += 1
                else:
                    begin(*pair)

    def add_alike(self, counted: Iterable[tuple[TransferRecord, int]]) -> None:
        """Count transfers that stand for some that have the same kind and names.

        They come in the order of the first of each.
        """
        for transfer, alike in counted:
            kind = self._kind(transfer)
            self.kinds[kind] += alike
            for _, find, names in self._dimensions:
                names.add(find(transfer), kind, alike)

    def breakdowns(self, shown: int) -> tuple[Breakdown, ...]:
        """Return those dimensions that any transfer has, `shown` parts of each.

        Parts with most trouble come first, then the largest.
        """
        return tuple(
            names.breakdown(by, shown, None if by in self._in_order else self._troubles)
            for by, _, names in self._dimensions
            if names.known
        )


class _Names:
    """One dimension's counts."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str | None, int], int] = {}
        self.known: set[str] = set()
        self.others: Counter[int] = Counter()

    def begin(self, name: str | None, kind: int, alike: int = 1) -> None:
        """Count a transfer, or as many, whose name has not been seen with its kind."""
        if name is None:
            return
        if name not in self.known:
            if len(self.known) >= KEPT:
                self.others[kind] += alike
                return
            self.known.add(name)
        self.counts[name, kind] = alike

    def add(self, name: str | None, kind: int, alike: int) -> None:
        """Count as many transfers of a name."""
        if (name, kind) in self.counts:
            self.counts[name, kind] += alike
        else:
            self.begin(name, kind, alike)

    def breakdown(self, by: str, shown: int, troubles: frozenset[int] | None) -> Breakdown:
        """Return the dimension's parts; `troubles` None: in the order in which they came."""

        def place(part: Part) -> tuple[int, int]:
            trouble = sum(part.counts.get(kind, 0) for kind in troubles or ())
            return (-trouble, -part.total) if troubles is not None else (0, 0)

        by_name: dict[str, dict[int, int]] = {}
        for (name, kind), count in self.counts.items():
            by_name.setdefault(str(name), {})[kind] = count
        parts = sorted((Part(name, counts) for name, counts in by_name.items()), key=place)
        left = parts[shown:]
        rest = sum((Counter(part.counts) for part in left), self.others)
        names = len(left) + bool(self.others)
        return Breakdown(
            by,
            tuple(parts[:shown]),
            Part("", rest, names) if names else None,
            exact=not self.others,
        )


def wave(transfer: TransferRecord) -> str | None:
    """Name the wave in which it is sent, if there are waves."""
    return None if transfer.wave is None else f"wave {transfer.wave}"


def destination(transfer: TransferRecord) -> str:
    """Name the transfer's destination."""
    return transfer.destination_uri


class Codecs:
    """Names the codecs asked for, and those that the gateway named, if it named any."""

    def __init__(self) -> None:
        self._media: Mapping[str, Any] | None = None  # of the transfer named last
        self._requested = ""

    def __call__(self, transfer: TransferRecord) -> str:
        """Name those of one transfer."""
        if transfer.media_requested is not self._media:  # neighbours mostly share one
            self._media = transfer.media_requested
            self._requested = _codecs(transfer.media_requested)
        if transfer.media_negotiated is None:
            return self._requested
        return f"{self._requested} → {_codecs(transfer.media_negotiated)}"


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
