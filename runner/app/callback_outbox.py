"""The webhook dispatcher's outbox, which is in the journal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence

from runner.core.manifest.model import Callback
from runner.ports import Clock
from runner.ports.history import History
from runner.ports.journal import RunJournal
from runner.webhooks import OutboxRow

_PAGE = 100


def owes_callbacks(history: History, batch: str) -> bool:
    """Return whether a journal holds callbacks that the batch's runs are to deliver."""
    after = 0
    while rows := history.outbox(after, _PAGE):
        if any(_is_of(batch, row.body) for row in rows):
            return True
        after = rows[-1].no
    return False


def _is_of(batch: str, body: str) -> bool:
    return bool(json.loads(body).get("batch", batch) == batch)


class JournalOutbox:
    """Implements `webhooks.Outbox`; rows of earlier runs come first.

    Other batches' rows stay pending: their manifests may give a callback of the same name another
    address and secret.
    """

    def __init__(
        self,
        batch: str,
        callbacks: Mapping[str, Callback],
        journal: RunJournal,
        history: History,
        clock: Clock,
    ) -> None:
        self._batch = batch
        self._callbacks = callbacks
        self._journal = journal
        self._history = history
        self._clock = clock
        self._given_out = 0

    async def due(self, limit: int) -> Sequence[OutboxRow]:
        """Return pending rows that were not returned before."""
        wanted: list[OutboxRow] = []
        while (asked := limit - len(wanted)) > 0:
            rows = await asyncio.to_thread(self._history.outbox, self._given_out, asked)
            for row in rows:
                self._given_out = row.no
                owed = OutboxRow(*row[1:])
                if _is_of(self._batch, owed.body) and await self._is_wanted(owed):
                    wanted.append(owed)
            if len(rows) < asked:
                break
        return wanted

    async def _is_wanted(self, row: OutboxRow) -> bool:
        """Return whether the manifest's `on` lists the outcome; suppress the row if not.

        `resolve` adds rows without reading the manifest.
        """
        callback = self._callbacks.get(row.callback)
        if callback is None or (outcome := json.loads(row.body)["outcome"]) in callback.on:
            return True
        await self.suppressed(row, f"`on` does not list {outcome}")
        return False

    async def delivered(self, row: OutboxRow, attempts: int) -> None:
        """Settle a row that its address accepted."""
        await self._settle(row, "delivered", attempts, None)

    async def failed(self, row: OutboxRow, attempts: int, reason: str, *, final: bool) -> None:
        """Settle a row as failed, or leave it to the next run."""
        await self._settle(row, "failed" if final else "pending", attempts, reason)

    async def suppressed(self, row: OutboxRow, reason: str) -> None:
        """Settle a row that must not be delivered."""
        await self._settle(row, "suppressed", row.attempts, reason)

    async def _settle(self, row: OutboxRow, state: str, attempts: int, reason: str | None) -> None:
        at = self._clock.wall()
        await self._journal.settle_callback(
            row.webhook_id, state=state, attempts=attempts, reason=reason, at=at
        )
