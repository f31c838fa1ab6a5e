"""Reads the plan's rows page by page, so that memory does not grow with the batch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from runner.core.transfer.rows import PlannedRow
from runner.ports import Journal

PAGE = 500
"""Rows read from the plan at a time."""

FIRST_TURN = (False, -1)
"""Before the turn of every row."""


class PlanReader:
    """Reads the journal's plan in pages, and gives rows out as far as it is allowed to.

    What was rejected or failed before comes after all others. A page is read while the rows before
    it are sent, so that no worker waits for it.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._rows: deque[PlannedRow] = deque()
        self._after = -1
        self._failed_before = False  # the rows that are read now
        self._ended = False
        self._reading: asyncio.Future[Sequence[PlannedRow]] | None = None
        self._until = 0
        self.given = 0  # rows, so far
        self.last_turn = FIRST_TURN  # of the row given out last

    def allow(self, until: int) -> None:
        """Let `until` rows be given out in all, those given out before included."""
        self._until = until

    async def next(self) -> PlannedRow | None:
        """Return the next row, or None when there are no more, or no more are allowed."""
        while self.given < self._until:
            self._read_ahead()
            if self._rows:
                self.given += 1
                row = self._rows.popleft()
                self.last_turn = row.turn
                return row
            if self._reading is None:
                break
            await asyncio.wait([self._reading])
        return None

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
