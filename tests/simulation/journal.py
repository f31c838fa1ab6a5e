"""The real store and reader behind `ports.Journal`, with group commit on the virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from runner.core.errors import StorageError
from runner.core.transfer.rows import PlannedRow
from runner.journal.sqlite.reader import Reader
from runner.journal.sqlite.store import Store
from runner.ports import Doubt, Entry, JournalledTransfer, Note
from tests.simulation.life import Life

Waiting = tuple[Sequence[Entry | Note], "asyncio.Future[None]"]

FULL_DISK = "the simulated disk is full"


class SimulatedJournal:
    """Implements `ports.Journal` in one thread: a commit takes a while, what waits shares the next.

    A process may die right before a commit or right after it, before anybody learns of it.
    """

    def __init__(self, store: Store, reader: Reader, life: Life) -> None:
        self.store = store
        self.reader = reader
        self.life = life
        self._last_transfer_id = store.last_transfer_id
        self._queue: list[Waiting] = []
        self._busy = False
        self._idle = asyncio.Event()
        self._failure: StorageError | None = None
        self._commit_s = life.chance.choice((0.0005, 0.003, 0.02, 0.3))

    def record(self, *entries: Entry | Note) -> Awaitable[None]:
        """Make entries durable with the next commit."""
        done: asyncio.Future[None] = self.life.simulation.loop.create_future()
        self._queue.append((entries, done))
        self._begin()
        return done

    def new_transfer_id(self) -> int:
        """Return an id that no transfer bears yet."""
        self._last_transfer_id += 1
        return self._last_transfer_id

    def may_write(self) -> bool:
        """Return True: no lease runs out."""
        return True

    async def pending(
        self,
        after: int,
        limit: int,
        *,
        failed_before: bool = False,
        destination_uri: str | None = None,
    ) -> Sequence[PlannedRow]:
        """Return the next rows of the plan."""
        await self._look()
        return self.reader.pending(
            self.store.run_no,
            after,
            limit,
            failed_before=failed_before,
            destination_uri=destination_uri,
        )

    async def message_ids(self, lineage: int) -> frozenset[str]:
        """Return the ids of every delivery of a lineage."""
        await self._look()
        return self.reader.message_ids(lineage)

    async def find(self, message_id: str) -> JournalledTransfer | None:
        """Return the transfer that a delivery belongs to."""
        await self._look()
        return self.reader.find(message_id)

    async def doubts(self) -> Sequence[Doubt]:
        """Return every transfer in doubt."""
        await self._look()
        return self.reader.doubts(self.store.run_no)

    async def close(self) -> None:
        """Wait until everything is written."""
        while self._busy:
            self._idle.clear()
            await self._idle.wait()

    async def _look(self) -> None:
        """Take the time that a question to another thread takes."""
        await asyncio.sleep(self.life.chance.choice((0.0, 0.0005, 0.01)))
        if self.life.is_over:
            await self.life.silence()

    def _begin(self) -> None:
        if self._queue and not self._busy:
            self._busy = True
            self.life.simulation.loop.call_soon(self._collect)

    def _collect(self) -> None:
        group, self._queue = self._queue, []
        self.life.simulation.loop.call_later(self._commit_s, self._commit, group)

    def _commit(self, group: Sequence[Waiting]) -> None:
        doom = self.life.reaches("commit")
        if doom is not None and doom.before:
            self.life.die()
        if self.life.is_over:
            return
        self._write([entry for entries, _ in group for entry in entries])
        if doom is not None:
            self.life.die()
            return
        if self.life.strikes(self.life.delivery_faults.stops_at_commit):
            self.life.simulation.stall(self.life.chance.choice((0.5, 2, 15, 50)))
        for _, done in group:
            self._resolve(done)
        self._busy = False
        self._idle.set()
        self._begin()

    def _write(self, entries: Sequence[Entry | Note]) -> None:
        if self._failure is not None:
            return
        if self.life.strikes(self.life.delivery_faults.disk_full):
            self.life.simulation.note("disk full")
            self._failure = StorageError(FULL_DISK)
            return
        try:
            self.store.record(entries)
        except StorageError as failure:
            self._failure = failure

    def _resolve(self, done: asyncio.Future[None]) -> None:
        if done.done():
            return
        if self._failure is None:
            done.set_result(None)
        else:
            done.set_exception(self._failure)
