"""Gives out the plan's rows, so that memory does not grow with the batch."""

from __future__ import annotations

import asyncio
from collections import deque

from runner.core.plan import PlannedRow
from runner.ports import Journal

PAGE = 500
"""Rows read from the plan at a time."""


class Feed:
    """Reads the journal's plan in pages, and gives rows out as far as it is allowed to."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._page: deque[PlannedRow] = deque()
        self._after = -1
        self._ended = False
        self._reading = asyncio.Lock()
        self._given = 0
        self._until = 0
        self.last_n = -1  # of the row given out last

    def allow(self, until: int) -> None:
        """Let so many rows be given out in all."""
        self._until = until

    async def next(self) -> PlannedRow | None:
        """Return the next row, or None when there are no more, or no more are allowed."""
        while not self._page and not self._ended and self._given < self._until:
            async with self._reading:
                if not self._page and not self._ended:
                    await self._read()
        if not self._page or self._given >= self._until:
            return None
        self._given += 1
        row = self._page.popleft()
        self.last_n = row.n
        return row

    async def _read(self) -> None:
        page = await self._journal.pending(self._after, PAGE)
        self._page.extend(page)
        self._ended = len(page) < PAGE
        if page:
            self._after = page[-1].n
