"""Makes of a queue's counts what is surely true of it now (genesys-cloud.md, "Observing destinations").

Pure: times are arguments, the clock's monotonic seconds.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence

from runner.core.pacing.destinations import Figures
from runner.gateways.genesys_cloud.protocol.observations import ON_QUEUE, WAITING, Count

NO_NUMBER = "the platform gives no number"


class _Recent:
    """The numbers that were in force within the last seconds."""

    def __init__(self) -> None:
        self._heard: deque[tuple[float, float]] = deque()  # when, what; the newest last

    def add(self, at: float, number: float) -> None:
        self._heard.append((at, number))

    def since(self, at: float) -> Iterable[float]:
        """Return what was in force at a time or later, and forget what was in force before."""
        while len(self._heard) > 1 and self._heard[1][0] <= at:
            self._heard.popleft()
        return (number for _, number in self._heard)


class QueueFigures:
    """The figures of one queue, whose counts may be late by up to `lag_s` seconds, in any order.

    Within that time as many wait as was said at the most, medium by medium, and as many are on queue as
    was said at the least. Counts that the platform does not give are not known, and never 0.
    """

    def __init__(self, lag_s: float) -> None:
        self.described_at = -math.inf
        """Since when the times are that the figures may describe: events alone do not prove more."""
        self._lag_s = lag_s
        self._is_known = False
        self._media: set[str | None] = set()  # that each answer has to name
        self._waiting: dict[str | None, float | None] = {}  # by medium, as it was said last
        self._most: dict[str | None, _Recent] = {}
        self._on_queue: dict[tuple[str | None, str | None], float | None] = {}
        self._least = _Recent()

    def answered(self, counts: Sequence[Count] | None, asked_at: float, now: float) -> None:
        """Take in the answer to a query of all counts; None: it does not name the queue.

        A medium that was named before and is not in it is not known. A count without a medium is of all.
        """
        self._is_known = counts is not None
        if counts is None:
            return
        self.described_at = max(self.described_at, asked_at - self._lag_s)
        said = _waiting_by_medium(counts)
        self._media |= {
            medium for medium, count in said.items() if medium is not None or count is not None
        }
        self._waiting = {medium: said.get(medium) for medium in self._media | said.keys()}
        self._remember(said, now)
        self._on_queue = {}
        self._take_on_queue(counts, now)

    def heard(self, counts: Sequence[Count], now: float) -> None:
        """Take in an event about some counts."""
        said = _waiting_by_medium(counts)
        self._media |= said.keys() - {None}
        self._waiting |= said
        self._remember(said, now)
        self._take_on_queue(counts, now)

    def lose(self) -> None:
        """Note that events may have been missed: nothing is known until the next answer."""
        self._is_known = False

    def figures(self, now: float) -> Figures | None:
        """Return the figures; a text says why one is not known. None: none is."""
        if not self._is_known:
            return None
        return {"waiting": self._most_waiting(now), "on_queue": self._least_on_queue(now)}

    def _most_waiting(self, now: float) -> float | str:
        unknown = sorted(medium or "" for medium, count in self._waiting.items() if count is None)
        if unknown or not self._waiting:
            named = ", ".join(filter(None, unknown))
            return f"{NO_NUMBER} for {named}" if named else NO_NUMBER
        most = {
            medium: max(self._most[medium].since(now - self._lag_s)) for medium in self._waiting
        }
        of_all = most.pop(None, 0.0)
        return max(of_all, sum(most.values()))

    def _least_on_queue(self, now: float) -> float | str:
        if self._total_on_queue() is None:
            return NO_NUMBER
        return min(self._least.since(now - self._lag_s))

    def _remember(self, said: dict[str | None, float | None], now: float) -> None:
        for medium, count in said.items():
            if count is not None:
                self._most.setdefault(medium, _Recent()).add(now, count)

    def _take_on_queue(self, counts: Sequence[Count], now: float) -> None:
        said: dict[tuple[str | None, str | None], list[float | None]] = {}
        for each in counts:
            if each.metric == ON_QUEUE:
                said.setdefault((each.media_type, each.qualifier), []).append(each.count)
        self._on_queue |= {key: _least(found) for key, found in said.items()}
        if said and (total := self._total_on_queue()) is not None:
            self._least.add(now, total)

    def _total_on_queue(self) -> float | None:
        """Return how many are on queue, whatever they do; who is for several media counts once."""
        totals: dict[str | None, float] = {}
        for (medium, _), count in self._on_queue.items():
            if count is None:
                return None
            totals[medium] = totals.get(medium, 0.0) + count
        return max(totals.values(), default=None)


def _waiting_by_medium(counts: Sequence[Count]) -> dict[str | None, float | None]:
    """Return the largest count of each medium; None: one of them is no number."""
    said: dict[str | None, float | None] = {}
    for each in counts:
        if each.metric == WAITING:
            before = said.get(each.media_type, 0.0)
            known = None if before is None or each.count is None else max(before, each.count)
            said[each.media_type] = known
    return said


def _least(counts: Sequence[float | None]) -> float | None:
    """Return the smallest of some counts; None: one of them is no number."""
    known = [count for count in counts if count is not None]
    return min(known) if len(known) == len(counts) else None
