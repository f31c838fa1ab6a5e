"""Delivers outcomes to callbacks during a run, without delaying it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from runner.core.frozen import frozen
from runner.core.manifest.model import Callback, RetryPolicy
from runner.core.webhook import Decision, Delivered, Failed, Retry, Suppressed, decide
from runner.ports import Clock, Observer
from runner.webhooks.addresses import Resolve, resolve_by_system, resolve_loopback
from runner.webhooks.client import WebhookClient

CONCURRENCY = 16
"""Deliveries under way at once, over all callbacks."""

ATTEMPT_S = 10.0
"""The limit for one attempt, from resolving the host to the end of the answer."""

LEASE_POLL_S = 0.2
"""How often a lease that has lapsed is looked at."""

_PAGE = 100  # rows taken from the outbox at a time
_BACKLOG = 20_000  # rows that may wait for one slow callback; about 15 MB


@frozen
class OutboxRow:
    """A callback to deliver. `body` is the exact JSON text that is signed and posted."""

    webhook_id: str  # stable over retries and runs, so that the receiver recognises repeats
    callback: str  # its name in the manifest
    body: str
    attempts: int  # made so far, by earlier runs


class Outbox(Protocol):
    """The callbacks to deliver, and their results. Implementations raise `StorageError`."""

    async def due(self, limit: int) -> Sequence[OutboxRow]:
        """Return pending rows that were not returned before."""

    async def delivered(self, row: OutboxRow, attempts: int) -> None:
        """Settle a delivered row."""

    async def failed(self, row: OutboxRow, attempts: int, reason: str, *, final: bool) -> None:
        """Settle a row for good, or (`final` False) leave it pending for the next run."""

    async def suppressed(self, row: OutboxRow, reason: str) -> None:
        """Settle a row that a rehearsal does not deliver."""


@dataclass(slots=True)
class _CallbackQueue:
    """The queue of one callback, with its own workers, so that a dead one does not delay others."""

    client: WebhookClient
    rows: asyncio.Queue[OutboxRow] = field(default_factory=asyncio.Queue)
    busy: int = 0

    @property
    def idle(self) -> bool:
        return not self.busy and self.rows.empty()


class WebhookDispatcher:
    """Delivers the rows of the outbox, each at least once (Standard Webhooks).

    `jitter` returns a number in [0, 1). `simulated`: only loopback addresses are called.
    `resolve` and `tls` default to the system's resolver and httpx's trusted certificates.
    """

    def __init__(
        self,
        callbacks: Mapping[str, Callback],
        outbox: Outbox,
        clock: Clock,
        jitter: Callable[[], float],
        policy: RetryPolicy,
        *,
        simulated: bool,
        observer: Observer,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        attempt_s: float = ATTEMPT_S,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        resolve = resolve or (resolve_loopback if simulated else resolve_by_system)
        tls = tls or (httpx.create_ssl_context() if callbacks else ssl.create_default_context())
        self._queues = {
            name: _CallbackQueue(
                WebhookClient(callback, resolve=resolve, tls=tls, simulated=simulated)
            )
            for name, callback in callbacks.items()
        }
        self._outbox = outbox
        self._clock = clock
        self._jitter = jitter
        self._policy = policy
        self._observer = observer
        self._attempt_s = attempt_s
        self._may_write = may_write  # by the journal's lease
        self._share = max(1, CONCURRENCY // max(1, len(callbacks)))
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._woken = asyncio.Event()
        self._ended = asyncio.Event()
        self._started = False
        self._has_more = True  # the outbox may hold rows that were not given out
        self._deadline: float | None = None  # set once finishing
        self._expired = False
        self._reported: set[tuple[str, str]] = set()

    def poke(self) -> None:
        """Look for new rows in the outbox soon. Cheap; call it after each commit.

        A manifest without callbacks adds none; rows of earlier runs are read when `run` begins.
        """
        if self._queues:
            self._has_more = True
            self._woken.set()

    async def run(self) -> None:
        """Deliver until `finish`. Raises what the outbox raises, nothing for a failed callback."""
        self._started = True
        try:
            async with asyncio.TaskGroup() as group:
                workers = [
                    group.create_task(self._work(queue))
                    for queue in self._queues.values()
                    for _ in range(self._share)
                ]
                await self._feed_queues()
                for worker in workers:
                    worker.cancel()
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        finally:
            self._ended.set()
            for queue in self._queues.values():
                await queue.client.close()

    async def finish(self, within_s: float) -> None:
        """Deliver for at most `within_s` more seconds and end `run`.

        Other rows stay pending for the next run.
        """
        self._deadline = self._clock.now() + within_s
        self.poke()
        self._woken.set()
        timer = asyncio.ensure_future(self._clock.sleep(within_s))
        ended = asyncio.ensure_future(self._ended.wait())
        await asyncio.wait({timer, ended}, return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()
        self._expired = True
        self._woken.set()
        if self._started:
            await ended
        ended.cancel()

    async def _feed_queues(self) -> None:
        """Move rows from the outbox to the queues, until asked to finish and all are done."""
        while True:
            self._woken.clear()
            await self._read_outbox()
            if self._expired or (self._deadline is not None and self._all_done()):
                return
            await self._woken.wait()

    def _all_done(self) -> bool:
        return not self._has_more and all(queue.idle for queue in self._queues.values())

    def _runs_low(self) -> bool:
        """Return whether a queue runs low; without callbacks, rows are only settled."""
        queues = self._queues.values()
        return not queues or any(queue.rows.qsize() < self._share for queue in queues)

    async def _read_outbox(self) -> None:
        while self._has_more and not self._expired and self._runs_low():
            self._has_more = False
            rows = await self._outbox.due(_PAGE)
            self._has_more = self._has_more or len(rows) == _PAGE
            for row in rows:
                await self._assign(row)

    async def _assign(self, row: OutboxRow) -> None:
        queue = self._queues.get(row.callback)
        if queue is None:
            await self._leave_pending(
                row, row.attempts, "the manifest no longer defines this callback"
            )
        elif queue.rows.qsize() >= _BACKLOG:
            await self._leave_pending(row, row.attempts, "too many wait for this address")
        else:
            queue.rows.put_nowait(row)

    async def _work(self, queue: _CallbackQueue) -> None:
        while True:
            row = await queue.rows.get()
            queue.busy += 1
            try:
                await self._deliver(queue.client, row)
            finally:
                queue.busy -= 1
                self._woken.set()

    async def _deliver(self, client: WebhookClient, row: OutboxRow) -> None:
        attempts, reason = row.attempts, "not tried"
        try:
            while True:
                async with self._slots:
                    while not self._may_write():
                        await self._clock.sleep(LEASE_POLL_S)
                    attempts += 1
                    verdict = await self._try(client, row, attempts - row.attempts)
                if not isinstance(verdict, Retry):
                    break
                reason = verdict.reason
                if self._too_late(verdict.wait_s):
                    verdict = Failed(f"{reason}; left for the next run", final=False)
                    break
                await self._clock.sleep(verdict.wait_s)
        except asyncio.CancelledError:
            if self._expired:
                await self._leave_pending(row, attempts, "the run ended before it was answered")
            raise
        await self._settle(row, attempts, verdict)

    async def _try(self, client: WebhookClient, row: OutboxRow, attempts: int) -> Decision:
        answer = await client.post(
            row.webhook_id, row.body, wall_s=self._clock.wall(), within_s=self._attempt_s
        )
        return decide(answer, attempts=attempts, retry=self._policy, jitter=self._jitter())

    def _too_late(self, wait_s: float) -> bool:
        return self._deadline is not None and self._clock.now() + wait_s > self._deadline

    async def _settle(self, row: OutboxRow, attempts: int, verdict: Decision) -> None:
        match verdict:
            case Delivered():
                await self._outbox.delivered(row, attempts)
            case Suppressed(reason):
                self._report_once(self._observer.noticed, "callback suppressed", row, reason)
                await self._outbox.suppressed(row, reason)
            case Failed(reason, final):
                self._report_once(self._observer.warned, "callback failed", row, reason)
                await self._outbox.failed(row, attempts, reason, final=final)

    async def _leave_pending(self, row: OutboxRow, attempts: int, reason: str) -> None:
        await self._settle(row, attempts, Failed(f"{reason}; left for the next run", final=False))

    def _report_once(
        self, report: Callable[..., None], event: str, row: OutboxRow, reason: str
    ) -> None:
        """Report each reason once per callback: the report has every row."""
        if (row.callback, reason) not in self._reported:
            self._reported.add((row.callback, reason))
            report(event, callback=row.callback, webhook_id=row.webhook_id, reason=reason)
