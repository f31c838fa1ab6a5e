"""Runs a batch: opens the gateway, lets workers carry the plan's rows, and closes in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from runner.core.errors import GatewayError, StorageError
from runner.core.manifest import Limits
from runner.core.media import MediaMatrix
from runner.core.message import Reply, Stray
from runner.core.outcome import ExitCode
from runner.core.pacing import LONGEST_OBEYED_S
from runner.core.record import Figures, SessionClose
from runner.core.timestamps import timestamp
from runner.core.transfer import Event, State
from runner.engine.carrier import Carrier
from runner.engine.desk import Desk
from runner.engine.doubts import Doubts
from runner.engine.feed import Feed
from runner.engine.gate import Gate
from runner.engine.halt import Halt
from runner.engine.live import Live
from runner.engine.meter import Meter
from runner.engine.notices import Notices
from runner.engine.recorder import Recorder
from runner.engine.workshop import Chance, Rules, Workshop
from runner.ports import (
    Clock,
    Gateway,
    Journal,
    Note,
    Observer,
    Progress,
    SessionLost,
    SessionOpened,
)

T = TypeVar("T")

BEAT_S = 0.5
"""How often progress is told and the pace may climb."""

WAITING_PER_SLOT = 4
"""Transfers that may wait for their next delivery beside those in flight."""

MOST_NOTES = 1000
"""Stray frames and unclaimed replies that the audit log keeps, each kind; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a run is to do, and by which rules."""

    total: int  # transfers of the plan that are to be sent
    limits: Limits
    rules: Rules
    notices: Notices
    find_fault: Callable[[str, MediaMatrix], str | None]
    total_kbps: float | None = None  # of all transfers in flight together


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended. `halted` None: it came to the plan's end."""

    halted: ExitCode | None
    explanation: str | None
    error: Exception | None
    figures: Figures


class Batch:
    """One run's engine. Implements `GatewayListener`; `run` is called once."""

    def __init__(
        self,
        assignment: Assignment,
        *,
        gateway: Gateway,
        journal: Journal,
        clock: Clock,
        observer: Observer,
        chance: Chance,
        after_commit: Callable[[], None],
        halt: Halt,
    ) -> None:
        self.halt = halt
        self._todo = assignment
        self._gateway = gateway
        self._journal = journal
        self._clock = clock
        self._observer = observer
        self._after_commit = after_commit
        self._meter = Meter(clock.now())
        rules = assignment.rules
        self._gate = Gate(
            gateway,
            assignment.limits,
            clock,
            self._meter,
            halt,
            breaker=rules.policy.circuit_breaker,
            total_kbps=assignment.total_kbps,
        )
        self._desk = Desk(clock, rules.policy.negotiation_timeout_s, self._unclaimed)
        shop = Workshop(
            gateway=gateway,
            journal=journal,
            clock=clock,
            gate=self._gate,
            desk=self._desk,
            meter=self._meter,
            halt=halt,
            recorder=Recorder(journal, clock, self._meter, assignment.notices),
            rules=rules,
            chance=chance,
            find_fault=assignment.find_fault,
        )
        self._carrier = Carrier(shop)
        self._doubts = Doubts(shop, self._carrier, clock.now())
        self._feed = Feed(journal)
        self._aside: set[asyncio.Task[None]] = set()
        self._most_aside = WAITING_PER_SLOT * assignment.limits.in_flight
        self._chores: set[asyncio.Task[None]] = set()
        self._closed = False
        self._noted = {"stray": 0, "unclaimed": 0}

    async def run(self) -> Ending:
        """Carry the plan out; errors of the world are told in the `Ending`, never raised."""
        beat = asyncio.create_task(self._beat())
        timekeeper = asyncio.create_task(self._desk.keep_time())
        try:
            if await self._open():
                await self._carry_all()
        finally:
            self._closed = True
            await self._gateway.close()
            for task in (beat, timekeeper):
                task.cancel()
            await asyncio.gather(beat, timekeeper, *self._chores, return_exceptions=True)
        self._progress()
        figures = self._meter.figures(
            limit_per_s=self._todo.limits.rate_per_s, token_renewals=self._gateway.token_renewals
        )
        code = self.halt.code
        if code is ExitCode.STOPPED and self._meter.sent == 0:
            code = ExitCode.UNREACHABLE
        return Ending(code, self.halt.reason, self.halt.error, figures)

    # GatewayListener

    def replied(self, reply: Reply) -> None:
        """Hand a reply to whoever waits for it."""
        self._desk.replied(reply)

    def strayed(self, stray: Stray) -> None:
        """Keep a note of a frame that answers nothing."""
        self._note("stray", "stray frame", why=stray.why, text=stray.text)

    def session_opened(self, opened: SessionOpened) -> None:
        """Note that frames may leave."""
        self._meter.sessions_opened += 1
        self._meter.tls = opened.tls
        self._chore(self._record("session opened", generation=opened.generation, tls=opened.tls))
        self._observer.noticed(
            "session opened", generation=opened.generation, tls=opened.tls or "plain loopback"
        )

    def session_lost(self, lost: SessionLost) -> None:
        """Put in doubt what was in flight on the session."""
        now = timestamp(self._clock.wall())
        self._meter.closes.append(SessionClose(now, lost.code, lost.reason))
        self._desk.session_lost(lost)
        told = {"generation": lost.generation, "code": lost.code, "reason": lost.reason}
        self._chore(self._record("session closed", **told))
        if not lost.ours:
            self._gate.unanswered()
        if lost.ours:
            self._observer.noticed("session closed", **told)
        else:
            self._observer.warned("session lost; dialling again", **told)

    def gave_up(self, error: Exception) -> None:
        """End the run: there will be no further session."""
        code = ExitCode.STOPPED if isinstance(error, GatewayError) else ExitCode.BUG
        self.halt.stop(code, str(error), error)

    def slowed(self, why: str) -> None:
        """Halve the pace."""
        self._gate.slow(self._clock.now())
        self._observer.warned("slowing down", why=why)

    def paused(self, wait_s: float, why: str) -> None:
        """Let nothing leave for a while, or end the run if that is too long."""
        if wait_s > LONGEST_OBEYED_S:
            self.halt.stop(
                ExitCode.STOPPED, f"the gateway asks to wait {wait_s:g} s ({why}); try after that"
            )
        else:
            self._gate.silence(wait_s, why)

    # The run

    async def _open(self) -> bool:
        """Open the gateway, unless the run is stopped first; False: nothing can be sent."""
        opening = asyncio.create_task(self._gateway.open(self))
        stopping = asyncio.create_task(self.halt.wait())
        await asyncio.wait([opening, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in (opening, stopping):
            task.cancel()
        opened, _ = await asyncio.gather(opening, stopping, return_exceptions=True)
        if isinstance(opened, GatewayError):
            self.halt.stop(ExitCode.UNREACHABLE, str(opened), opened)
        elif isinstance(opened, Exception):
            self._stop_for(opened)
        return not self.halt.is_set

    async def _carry_all(self) -> None:
        """First look at what earlier runs left in doubt; then carry the plan, and clear up."""
        left = await self._guarded(self._look_at_doubts())
        for live in left or ():
            self._clear_up(live)
        workers = self._todo.limits.in_flight
        if self._todo.rules.looks_first:
            workers += self._gate.ahead
        carrying = (self._guarded(self._work()) for _ in range(min(workers, self._todo.total)))
        await asyncio.gather(*carrying)
        while self._aside:
            await asyncio.wait(self._aside)

    async def _look_at_doubts(self) -> list[Live]:
        doubts = await self._journal.doubts()
        if doubts:
            self._observer.warned("looking at what is in doubt", transfers=len(doubts))
        return await self._doubts.look_at_all(doubts)

    async def _work(self) -> None:
        """Carry rows until there are no more or the run is stopped."""
        while not self.halt.is_set and (row := await self._feed.next()) is not None:
            live = await self._carrier.take_up(row)
            await self._carrier.carry(live)
            if live.state is State.READY or live.state is State.UNKNOWN:
                await self._set_aside(live)
            self._after_commit()

    async def _set_aside(self, live: Live) -> None:
        """Let a transfer that has to wait do so beside the others, unless too many do."""
        if live.state is State.READY and len(self._aside) >= self._most_aside:
            await self._carrier.carry_on(live)
        if live.state is State.READY or live.state is State.UNKNOWN:
            self._clear_up(live)

    def _clear_up(self, live: Live) -> None:
        """See a transfer to its end beside the others: waiting for it holds nobody else back."""
        task = asyncio.create_task(self._guarded(self._see_through(live)))
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)
        task.add_done_callback(lambda _: self._after_commit())

    async def _see_through(self, live: Live) -> None:
        await self._carrier.carry_on(live)
        await self._doubts.clear_up(live)

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(BEAT_S)
            self._gate.climb()
            self._gate.watch_circuit()
            self._meter.tick(self._clock.now())
            self._progress()

    def _progress(self) -> None:
        counts = self._meter.counts()
        self._observer.progressed(
            Progress(
                total=self._todo.total,
                settled=sum(counts.values()),
                outcomes=counts,
                in_flight=self._meter.in_flight,
                sent=self._meter.sent,
                rate_per_s=self._meter.rate_per_s,
                waiting_for=None if self._closed else self._gate.waiting_for,
            )
        )

    # What nobody waited for

    def _unclaimed(self, reply: Reply) -> None:
        positive = self._todo.rules.classify(reply) is Event.ACCEPTED
        settled = self._carrier.settle_late(reply) if positive else None
        if settled is not None:
            self._chore(settled)
            self._observer.warned("a late reply settles a transfer", message_id=reply.message_id)
            return
        self._note("unclaimed", "unclaimed reply", message_id=reply.message_id, status=reply.status)
        if positive:  # however many strangers came before: it always settles
            self._chore(self._settle_history(reply))

    async def _settle_history(self, reply: Reply) -> None:
        if await self._carrier.settle_history(reply):
            self._observer.warned(
                "a late reply settles an earlier transfer", message_id=reply.message_id
            )

    def _note(self, kind: str, event: str, **fields: Any) -> None:
        """Keep a note, up to a bound."""
        self._noted[kind] += 1
        if self._noted[kind] <= MOST_NOTES:
            self._chore(self._record(event, **fields))

    async def _record(self, event: str, **fields: Any) -> None:
        await self._journal.record(Note(event, self._clock.wall(), fields))

    def _chore(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the transfers."""
        task = asyncio.create_task(self._guarded(work))
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _guarded(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Do a part of the run; a failure ends the whole run in order, the others drain."""
        try:
            return await work
        except StorageError as error:
            self.halt.stop(ExitCode.STORAGE, str(error), error)
        except Exception as bug:  # noqa: BLE001 - told as a bug at the end, with its trace
            self._stop_for(bug)
        return None

    def _stop_for(self, bug: Exception) -> None:
        self.halt.stop(ExitCode.BUG, f"an internal error: {bug!r}", bug)
