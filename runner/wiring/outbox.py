"""The courier's outbox, kept in the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from runner.callbacks import OutboxRow
from runner.journal.reading import Reader
from runner.journal.store import Store
from runner.journal.writer import JournalWriter
from runner.ports import Clock


class JournalOutbox:
    """Implements `callbacks.Outbox`; rows that earlier runs left come first."""

    def __init__(self, store: Store, writer: JournalWriter, reader: Reader, clock: Clock) -> None:
        self._store = store
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._given_out = 0

    async def due(self, limit: int) -> Sequence[OutboxRow]:
        """Return pending rows that were not given out yet."""
        rows = await asyncio.to_thread(self._reader.outbox, self._given_out, limit)
        if rows:
            self._given_out = rows[-1][0]
        return [OutboxRow(*row[1:]) for row in rows]

    async def delivered(self, row: OutboxRow, attempts: int) -> None:
        """Settle a row whose address took it."""
        await self._settle(row, "delivered", attempts, None)

    async def failed(self, row: OutboxRow, attempts: int, reason: str, *, final: bool) -> None:
        """Settle a row for good, or leave it to the next run."""
        await self._settle(row, "failed" if final else "pending", attempts, reason)

    async def suppressed(self, row: OutboxRow, reason: str) -> None:
        """Settle a row that a rehearsal must not deliver."""
        await self._settle(row, "suppressed", row.attempts, reason)

    async def _settle(self, row: OutboxRow, state: str, attempts: int, reason: str | None) -> None:
        await self._writer.perform(
            partial(
                self._store.settle_callback,
                row.webhook_id,
                state=state,
                attempts=attempts,
                reason=reason,
                at=self._clock.wall(),
            )
        )
