"""Gives out the plan's rows, so that memory does not grow with the batch."""

from __future__ import annotations

import asyncio
from collections import deque

from runner.core.plan import PlannedRow
from runner.ports import Journal

PAGE = 500
"""Rows read from the plan at a time."""


class Feed:
    """Reads the journal's plan in pages."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._page: deque[PlannedRow] = deque()
        self._after = -1
        self._ended = False
        self._reading = asyncio.Lock()

    async def next(self) -> PlannedRow | None:
        """Return the next row, or None when there are no more."""
        if not self._page and not self._ended:
            async with self._reading:
                while not self._page and not self._ended:
                    await self._read()
        return self._page.popleft() if self._page else None

    async def _read(self) -> None:
        page = await self._journal.pending(self._after, PAGE)
        self._page.extend(page)
        self._ended = len(page) < PAGE
        if page:
            self._after = page[-1].n
