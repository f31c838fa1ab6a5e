"""Keeps rows whose destination is full, until it has room for them."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from runner.core.manifest.destinations import key_of
from runner.core.transfer.rows import PlannedRow
from runner.engine.destinations import Destinations

MOST_KEPT = 2000
"""Rows that are kept in memory; of further ones only the place in the plan is."""

MOST_KEPT_OF_ONE = 500
"""Those of one destination."""

Turn = tuple[bool, int]
ReadFurther = Callable[[str, Turn, int], Awaitable[Sequence[PlannedRow]]]
"""Returns so many rows for a destination that come after a turn."""


@dataclass(slots=True)
class _Lane:
    """The rows of one destination: the first ones, and how many follow them in the plan."""

    rows: deque[PlannedRow] = field(default_factory=deque)
    further: int = 0
    last: Turn = (False, -1)  # of the rows that were kept here
    first_further: Turn = (False, -1)
    is_reading: bool = False

    def __len__(self) -> int:
        return len(self.rows) + self.further

    @property
    def turn(self) -> Turn:
        """The first row's turn."""
        return self.rows[0].turn if self.rows else self.first_further


class HeldRows:
    """Rows that wait for their destination; of those that have room the oldest comes first."""

    def __init__(
        self, destinations: Destinations, now: Callable[[], float], read: ReadFurther
    ) -> None:
        self._destinations = destinations
        self._now = now
        self._read = read
        self._lanes: dict[str, _Lane] = {}  # by the destination as the rows have it
        self._uris: dict[str, set[str]] = {}  # the spellings of a destination
        self._candidates: list[tuple[Turn, str]] = []  # a heap: they may have room
        self._timers: list[tuple[float, str]] = []  # a heap: when they may
        self._kept = 0

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def __bool__(self) -> bool:
        return bool(self._lanes)

    def has(self, uri: str) -> bool:
        """Return whether rows of a destination wait: later ones come behind them."""
        return uri in self._lanes

    def add(self, row: PlannedRow) -> None:
        """Keep a row."""
        uri = row.destination_uri
        lane = self._lanes.get(uri)
        if lane is None:
            lane = self._lanes[uri] = _Lane()
            self._uris.setdefault(key_of(uri), set()).add(uri)
        full = self._kept >= MOST_KEPT or len(lane.rows) >= MOST_KEPT_OF_ONE
        if lane.further or lane.is_reading or (full and lane.rows):
            if not lane.further:
                lane.first_further = row.turn
            lane.further += 1
        else:
            lane.rows.append(row)
            lane.last = row.turn
            self._kept += 1
        self._destinations.hold(uri, 1)
        if len(lane) == 1:
            self._nominate(uri)

    def changed(self, key: str) -> None:
        """Note that a destination may have room."""
        for uri in self._uris.get(key, ()):
            self._nominate(uri)

    async def next(self) -> PlannedRow | None:
        """Return the oldest row whose destination has room, with its turn there; None: there is none."""
        now = self._now()
        while self._timers and self._timers[0][0] <= now:
            self._nominate(heapq.heappop(self._timers)[1])
        while self._candidates:
            _, uri = heapq.heappop(self._candidates)
            lane = self._lanes.get(uri)
            if lane is None or lane.is_reading:
                continue
            if self._destinations.gave_up(uri):
                self._drop(uri, lane)
            elif (wait_s := self._destinations.until_turn_s(uri)) > 0:
                if wait_s < math.inf:
                    heapq.heappush(self._timers, (now + wait_s, uri))
            elif not lane.rows:
                await self._read_further(uri, lane)
            elif self._destinations.reserve(lane.rows[0]):
                return self._take(uri, lane)
        return None

    @property
    def may_have_room(self) -> bool:
        """Whether `next` has not looked at a destination since it may have room."""
        return bool(self._candidates)

    @property
    def due_in_s(self) -> float:
        """The seconds until a destination may have room without a change; inf: not at all."""
        return self._timers[0][0] - self._now() if self._timers else math.inf

    def _nominate(self, uri: str) -> None:
        lane = self._lanes.get(uri)
        if lane is not None:
            heapq.heappush(self._candidates, (lane.turn, uri))

    def _take(self, uri: str, lane: _Lane) -> PlannedRow:
        row = lane.rows.popleft()
        self._kept -= 1
        self._destinations.hold(uri, -1)
        self._left(uri, lane)
        return row

    def _left(self, uri: str, lane: _Lane) -> None:
        if len(lane):
            self._nominate(uri)
        else:
            del self._lanes[uri]
            self._uris[key_of(uri)].discard(uri)

    def _drop(self, uri: str, lane: _Lane) -> None:
        self._destinations.hold(uri, -len(lane))
        self._destinations.give_up_rows(uri, len(lane))
        self._kept -= len(lane.rows)
        lane.rows.clear()
        lane.further = 0
        self._left(uri, lane)

    async def _read_further(self, uri: str, lane: _Lane) -> None:
        lane.is_reading = True
        try:
            rows = await self._read(uri, lane.last, min(MOST_KEPT_OF_ONE, lane.further))
        finally:
            lane.is_reading = False
        lane.rows.extend(rows)
        lane.further -= len(rows)
        self._kept += len(rows)
        if rows:
            lane.last = rows[-1].turn
            lane.first_further = (lane.last[0], lane.last[1] + 1)
        else:  # the plan has no more
            self._destinations.hold(uri, -lane.further)
            lane.further = 0
        self._left(uri, lane)
