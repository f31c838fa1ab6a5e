"""Commits in groups: one thread owns the store; entries that wait share its next transaction."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from runner.core.errors import StorageError
from runner.core.transfer.rows import PlannedRow
from runner.ports import Doubt, Entry, JournalledTransfer, Note
from runner.ports.history import History


class WrittenStore(Protocol):
    """What the writer needs of a store, of whatever database."""

    @property
    def most_at_once(self) -> int:
        """How many entries that wait are written together, about."""

    @property
    def run_no(self) -> int:
        """The number of the run that was begun."""

    @property
    def last_transfer_id(self) -> int:
        """The newest transfer's id when the store was opened."""

    def may_write(self) -> bool:
        """Return whether a frame may leave now; see `ports.Journal`."""

    def record(self, entries: Sequence[Entry | Note]) -> None:
        """Append events and change transfers accordingly, in one transaction."""

    def settle_callback(
        self, webhook_id: str, *, state: str, attempts: int, reason: str | None, at: float
    ) -> None:
        """Store what became of a callback."""


_Task = Sequence[Entry | Note] | Callable[[], None]
_Waiting = tuple[_Task, "asyncio.Future[None]"]


class JournalWriter:
    """Implements `ports.RunJournal` over a store and a history of the same journal.

    After a failed transaction every later call raises the same `StorageError`, and the store is
    not touched again.
    """

    def __init__(self, store: WrittenStore, history: History) -> None:
        self._store = store
        self._history = history
        self._run_no = store.run_no
        self._last_transfer_id = store.last_transfer_id
        self._loop = asyncio.get_running_loop()
        self._gathered: list[_Waiting] = []  # in this turn of the loop
        self._queue: queue.SimpleQueue[list[_Waiting] | None] = queue.SimpleQueue()
        self._failure: StorageError | None = None
        self._thread = threading.Thread(target=self._write_all, name="journal", daemon=True)
        self._thread.start()

    def record(self, *entries: Entry | Note) -> Awaitable[None]:
        """Make entries durable; see `ports.Journal`."""
        return self._gather(entries)

    def perform(self, write: Callable[[], None]) -> Awaitable[None]:
        """Call a method of the store in the writer's thread, behind what waits already."""
        return self._gather(write)

    def settle_callback(
        self, webhook_id: str, *, state: str, attempts: int, reason: str | None, at: float
    ) -> Awaitable[None]:
        """Store what became of a callback."""
        return self.perform(
            lambda: self._store.settle_callback(
                webhook_id, state=state, attempts=attempts, reason=reason, at=at
            )
        )

    def new_transfer_id(self) -> int:
        """Return an id that no transfer has yet."""
        self._last_transfer_id += 1
        return self._last_transfer_id

    def may_write(self) -> bool:
        """Return whether the store's right to send lasts."""
        return self._store.may_write()

    async def pending(
        self,
        after: int,
        limit: int,
        *,
        failed_before: bool = False,
        destination_uri: str | None = None,
    ) -> Sequence[PlannedRow]:
        """Return the next rows of this run's plan that are to be sent."""
        return await asyncio.to_thread(
            self._history.pending,
            self._run_no,
            after,
            limit,
            failed_before=failed_before,
            destination_uri=destination_uri,
        )

    async def message_ids(self, lineage: int) -> frozenset[str]:
        """Return the ids of every delivery of a lineage's transfers."""
        return await asyncio.to_thread(self._history.message_ids, lineage)

    async def find(self, message_id: str) -> JournalledTransfer | None:
        """Return the transfer that a delivery belongs to, of whatever run."""
        return await asyncio.to_thread(self._history.find, message_id)

    async def doubts(self) -> Sequence[Doubt]:
        """Return every transfer in doubt."""
        return await asyncio.to_thread(self._history.doubts, self._run_no)

    async def close(self) -> None:
        """Write what waits, then end the thread."""
        self._hand_over()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _gather(self, task: _Task) -> Awaitable[None]:
        done: asyncio.Future[None] = self._loop.create_future()
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        self._gathered.append((task, done))
        return done

    def _hand_over(self) -> None:
        """Wake the thread once for all that a turn of the loop brought.

        Waking it for each entry would make it contend with the loop for the GIL, and spend commits on
        small batches.
        """
        if self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []

    def _write_all(self) -> None:
        """Write what is handed over, in order, until None is.

        Entries are written in parts, so that the event loop can process one part while the next is
        written.
        """
        waiting: deque[_Waiting] = deque()
        ends = False
        while waiting or not ends:
            while not (ends or (waiting and self._queue.empty())):
                further = self._queue.get()
                ends = further is None
                waiting += further or ()
            if waiting:
                self._write_some(waiting)

    def _write_some(self, waiting: deque[_Waiting]) -> None:
        """Take from what waits a call, or entries for one transaction, and write that."""
        task, done = waiting.popleft()
        if callable(task):
            self._attempt(task, [done])
            return
        entries, waiters = [*task], [done]
        while waiting and len(entries) < self._store.most_at_once:
            task, done = waiting[0]
            if callable(task):
                break
            entries += task
            waiters.append(done)
            waiting.popleft()
        self._attempt(lambda: self._store.record(entries), waiters)

    def _attempt(self, write: Callable[[], None], done: Sequence[asyncio.Future[None]]) -> None:
        if self._failure is None:
            try:
                write()
            except StorageError as failure:
                self._failure = failure
            except Exception as bug:  # noqa: BLE001 - passed to the waiters as a storage failure
                self._failure = StorageError(f"the journal could not be written: {bug!r}")
                self._failure.__cause__ = bug
        self._loop.call_soon_threadsafe(_resolve, done, self._failure)


def _resolve(done: Sequence[asyncio.Future[None]], failure: StorageError | None) -> None:
    for future in done:
        if future.done():
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
