"""Reads the plan's rows page by page, so that memory does not grow with the batch."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Sequence

from runner.core.transfer.rows import PlannedRow
from runner.engine.destinations import SHORTEST_WAIT_S, Destinations
from runner.engine.held_rows import HeldRows
from runner.engine.stop import StopSignal
from runner.ports import Clock, Journal

PAGE = 500
"""Rows read from the plan at a time."""

FIRST_TURN = (False, -1)
"""Before the turn of every row."""


class PlanReader:
    """Reads the journal's plan in pages, and gives rows out as far as it is allowed to.

    What was rejected or failed before comes after all others. A page is read while the rows before
    it are sent, so that no worker waits for it. Rows whose destination is full are kept aside, and
    those behind them are given out.
    """

    def __init__(
        self, journal: Journal, destinations: Destinations, clock: Clock, stop_signal: StopSignal
    ) -> None:
        self._journal = journal
        self._destinations = destinations
        self._clock = clock
        self._stop_signal = stop_signal
        self._rows: deque[PlannedRow] = deque()
        self._after = -1
        self._failed_before = False  # the rows that are read now
        self._ended = False
        self._reading: asyncio.Future[Sequence[PlannedRow]] | None = None
        self._until = 0
        self._read = 0  # rows, so far
        self._held = HeldRows(destinations, clock.now, self._read_further)
        self._one_at_a_time = asyncio.Lock()
        self._changed = asyncio.Event()
        destinations.changed = self._room_made
        self.given = 0  # rows, so far
        self.last_turn = FIRST_TURN  # of the row read last

    def allow(self, until: int) -> None:
        """Let `until` rows be given out in all, those given out before included."""
        self._until = until

    @property
    def waits_for_destinations(self) -> bool:
        """Whether all rows that may be given out wait for their destination."""
        is_read = self._ended and not self._rows and self._reading is None
        return bool(self._held) and (is_read or self._read >= self._until)

    async def next(self) -> PlannedRow | None:
        """Return the next row, or None when there are no more, or no more are allowed.

        It waits while all rows that are left have full destinations, until the run is stopped.
        """
        async with self._one_at_a_time:
            while not self._stop_signal.is_set:
                self._changed.clear()
                row = (await self._held.next() if self._held else None) or await self._next()
                if row is not None:
                    self.given += 1
                    return row
                if not self._held:
                    break
                if self._held.may_have_room:  # it was added just now
                    continue
                await self._wait(self._held.due_in_s)
        return None

    async def _next(self) -> PlannedRow | None:
        """Return the plan's next row whose destination has room; those before it are kept aside."""
        while self._read < self._until:
            self._read_ahead()
            if self._rows:
                self._read += 1
                row = self._rows.popleft()
                self.last_turn = row.turn
                if not self._held.has(row.destination_uri) and self._destinations.reserve(row):
                    return row
                self._held.add(row)
                continue
            if self._reading is None:
                break
            await asyncio.wait([self._reading])
        return None

    async def _wait(self, wait_s: float) -> None:
        """Wait until a destination may have room, or the run is stopped."""
        waits = [
            asyncio.ensure_future(self._changed.wait()),
            asyncio.ensure_future(self._stop_signal.wait()),
        ]
        timeout = None if wait_s == math.inf else max(SHORTEST_WAIT_S, wait_s)
        try:
            await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    def _room_made(self, key: str) -> None:
        self._held.changed(key)
        self._changed.set()

    async def _read_further(
        self, uri: str, after: tuple[bool, int], most: int
    ) -> Sequence[PlannedRow]:
        failed_before, n = after
        return await self._journal.pending(
            n, most, failed_before=failed_before, destination_uri=uri
        )

    async def close(self) -> None:
        """Wait for what is still being read."""
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)

    def _read_ahead(self) -> None:
        """Take in the page that was read, if any, and have the next one read when rows run low."""
        if self._reading is not None and self._reading.done():
            page, self._reading = self._reading, None
            self._take_in(page.result())
        if self._reading is None and not self._ended and len(self._rows) < PAGE // 2:
            further = self._journal.pending(self._after, PAGE, failed_before=self._failed_before)
            self._reading = asyncio.ensure_future(further)

    def _take_in(self, page: Sequence[PlannedRow]) -> None:
        self._rows.extend(page)
        if len(page) == PAGE:
            self._after = page[-1].n
        elif self._failed_before:
            self._ended = True
        else:
            self._after, self._failed_before = -1, True
