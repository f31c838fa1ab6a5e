"""Delivers outcomes to callbacks while a run goes on, and never holds the run up."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from runner.core.manifest.model import Callback, RetryPolicy
from runner.core.webhook import Again, Delivered, Failed, Suppressed, Verdict, judge
from runner.ports import Clock, Observer
from runner.webhooks.addresses import Resolve, resolve_anywhere, resolve_at_home
from runner.webhooks.client import WebhookClient

CONCURRENCY = 16
"""Deliveries under way at once, over all callbacks."""

ATTEMPT_S = 10.0
"""The longest that one attempt may take, from resolving the host to the answer's end."""

LEASE_POLL_S = 0.2
"""How often a lease that has lapsed is looked at."""

_PAGE = 100  # rows taken from the outbox at a time
_BACKLOG = 20_000  # rows that may wait for one slow callback; about 15 MB


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One callback that is owed. `body` is the exact JSON text that is signed and posted."""

    webhook_id: str  # stable over retries and runs, so that the receiver recognises repeats
    callback: str  # its name in the manifest
    body: str
    attempts: int  # made so far, by earlier runs


class Outbox(Protocol):
    """What is owed, and what became of it. Implementations raise `StorageError`."""

    async def due(self, limit: int) -> Sequence[OutboxRow]:
        """Return pending rows that were not given out yet."""

    async def delivered(self, row: OutboxRow, attempts: int) -> None:
        """Settle a row whose address took it."""

    async def failed(self, row: OutboxRow, attempts: int, reason: str, *, final: bool) -> None:
        """Settle a row for good, or (`final` False) leave it pending for the next run."""

    async def suppressed(self, row: OutboxRow, reason: str) -> None:
        """Settle a row that a rehearsal must not deliver."""


@dataclass(slots=True)
class _Lane:
    """One callback's queue. Each has workers of its own, so that a dead one starves no other."""

    line: WebhookClient
    rows: asyncio.Queue[OutboxRow] = field(default_factory=asyncio.Queue)
    busy: int = 0

    @property
    def idle(self) -> bool:
        return not self.busy and self.rows.empty()


class WebhookDispatcher:
    """Takes rows from the outbox and delivers them, at least once each (Standard Webhooks).

    `jitter` returns a number in [0, 1). `simulated`: nothing but loopback addresses is called.
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
        resolve = resolve or (resolve_at_home if simulated else resolve_anywhere)
        tls = tls or (httpx.create_ssl_context() if callbacks else ssl.create_default_context())
        self._lanes = {
            name: _Lane(WebhookClient(callback, resolve=resolve, tls=tls, simulated=simulated))
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
        self._more = True  # the outbox may hold rows that were not given out
        self._deadline: float | None = None  # set once finishing
        self._expired = False
        self._told: set[tuple[str, str]] = set()

    def poke(self) -> None:
        """Learn that the outbox may hold new rows. Cheap; call it after each commit.

        A manifest without callbacks adds none; what earlier runs left is seen when `run` begins.
        """
        if self._lanes:
            self._more = True
            self._woken.set()

    async def run(self) -> None:
        """Deliver until `finish`. Raises what the outbox raises; a failing callback raises nothing."""
        self._started = True
        try:
            async with asyncio.TaskGroup() as group:
                workers = [
                    group.create_task(self._work(lane))
                    for lane in self._lanes.values()
                    for _ in range(self._share)
                ]
                await self._pump()
                for worker in workers:
                    worker.cancel()
        except ExceptionGroup as several:
            raise several.exceptions[0] from None
        finally:
            self._ended.set()
            for lane in self._lanes.values():
                await lane.line.close()

    async def finish(self, within_s: float) -> None:
        """Deliver what can be delivered in `within_s` seconds and end `run`.

        What is left stays pending for the next run.
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

    async def _pump(self) -> None:
        """Move rows from the outbox to the lanes, until asked to finish and all is done."""
        while True:
            self._woken.clear()
            await self._pull()
            if self._expired or (self._deadline is not None and self._all_done()):
                return
            await self._woken.wait()

    def _all_done(self) -> bool:
        return not self._more and all(lane.idle for lane in self._lanes.values())

    def _hungry(self) -> bool:
        """Tell whether some lane's workers would soon wait; without lanes, rows are only noted."""
        lanes = self._lanes.values()
        return not lanes or any(lane.rows.qsize() < self._share for lane in lanes)

    async def _pull(self) -> None:
        while self._more and not self._expired and self._hungry():
            self._more = False
            rows = await self._outbox.due(_PAGE)
            self._more = self._more or len(rows) == _PAGE
            for row in rows:
                await self._assign(row)

    async def _assign(self, row: OutboxRow) -> None:
        lane = self._lanes.get(row.callback)
        if lane is None:
            await self._leave(row, row.attempts, "the manifest no longer defines this callback")
        elif lane.rows.qsize() >= _BACKLOG:
            await self._leave(row, row.attempts, "too many wait for this address")
        else:
            lane.rows.put_nowait(row)

    async def _work(self, lane: _Lane) -> None:
        while True:
            row = await lane.rows.get()
            lane.busy += 1
            try:
                await self._deliver(lane.line, row)
            finally:
                lane.busy -= 1
                self._woken.set()

    async def _deliver(self, line: WebhookClient, row: OutboxRow) -> None:
        attempts, reason = row.attempts, "not tried"
        try:
            while True:
                async with self._slots:
                    while not self._may_write():
                        await self._clock.sleep(LEASE_POLL_S)
                    attempts += 1
                    verdict = await self._try(line, row, attempts - row.attempts)
                if not isinstance(verdict, Again):
                    break
                reason = verdict.reason
                if self._too_late(verdict.wait_s):
                    verdict = Failed(f"{reason}; left for the next run", final=False)
                    break
                await self._clock.sleep(verdict.wait_s)
        except asyncio.CancelledError:
            if self._expired:
                await self._leave(row, attempts, "the run ended before it was answered")
            raise
        await self._settle(row, attempts, verdict)

    async def _try(self, line: WebhookClient, row: OutboxRow, attempts: int) -> Verdict:
        answer = await line.post(
            row.webhook_id, row.body, wall_s=self._clock.wall(), within_s=self._attempt_s
        )
        return judge(answer, attempts=attempts, retry=self._policy, jitter=self._jitter())

    def _too_late(self, wait_s: float) -> bool:
        return self._deadline is not None and self._clock.now() + wait_s > self._deadline

    async def _settle(self, row: OutboxRow, attempts: int, verdict: Verdict) -> None:
        match verdict:
            case Delivered():
                await self._outbox.delivered(row, attempts)
            case Suppressed(reason):
                self._tell(self._observer.noticed, "callback suppressed", row, reason)
                await self._outbox.suppressed(row, reason)
            case Failed(reason, final):
                self._tell(self._observer.warned, "callback failed", row, reason)
                await self._outbox.failed(row, attempts, reason, final=final)

    async def _leave(self, row: OutboxRow, attempts: int, reason: str) -> None:
        await self._settle(row, attempts, Failed(f"{reason}; left for the next run", final=False))

    def _tell(self, say: Callable[..., None], event: str, row: OutboxRow, reason: str) -> None:
        """Say each reason once per callback: the report has every row."""
        if (row.callback, reason) not in self._told:
            self._told.add((row.callback, reason))
            say(event, callback=row.callback, webhook_id=row.webhook_id, reason=reason)
