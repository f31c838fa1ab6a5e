"""Runs a batch: opens the gateway, lets workers carry the plan's rows, and closes in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from runner.core.errors import GatewayError
from runner.core.manifest.media import MediaMatrix
from runner.core.manifest.model import Limits
from runner.core.number_text import counted
from runner.core.pacing.waves import most_failures
from runner.core.records.recent_failures import stage_of
from runner.core.records.run_record import Figures, TimelineEventKind
from runner.core.transfer.message import Compose, Reply, build_text
from runner.core.transfer.outcome import ExitCode
from runner.core.transfer.states import State
from runner.engine.active_transfer import ActiveTransfer
from runner.engine.admission import Admission
from runner.engine.background_tasks import BackgroundTasks
from runner.engine.callback_factory import CallbackFactory
from runner.engine.gateway_events import GatewayEvents
from runner.engine.metrics import RunMetrics
from runner.engine.pending_replies import PendingReplies
from runner.engine.plan_reader import PlanReader
from runner.engine.progress import ProgressReporter
from runner.engine.reconciler import Reconciler
from runner.engine.recorder import Recorder
from runner.engine.rollout import Rollout, Wave
from runner.engine.run_context import Randomness, Rules, RunContext
from runner.engine.seats import Seats
from runner.engine.stop import StopSignal
from runner.engine.transfer_worker import TransferWorker
from runner.ports import (
    Clock,
    Gateway,
    Journal,
    Note,
    Observer,
)

T = TypeVar("T")

BEAT_S = 0.5
"""How often progress is told and the pace may climb."""

WAITING_PER_SLOT = 4
"""Transfers that may wait for their next delivery beside those in flight."""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What a run is to do, and by which rules."""

    total: int  # transfers of the plan that are to be sent
    limits: Limits
    rules: Rules
    notices: CallbackFactory
    find_fault: Callable[[str, MediaMatrix], str | None]
    total_kbps: float | None = None  # of all transfers in flight together
    compose: Compose = build_text
    failed_before: int = 0  # those of `total` that were rejected or failed before: they come last


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended. `halted` None: it came to the plan's end."""

    halted: ExitCode | None
    explanation: str | None
    error: Exception | None
    figures: Figures


class BatchRun:
    """One run's engine; `run` is called once."""

    def __init__(
        self,
        assignment: RunSpec,
        *,
        gateway: Gateway,
        journal: Journal,
        clock: Clock,
        observer: Observer,
        chance: Randomness,
        after_commit: Callable[[], None],
        halt: StopSignal,
    ) -> None:
        self.halt = halt
        self._todo = assignment
        self._gateway = gateway
        self._journal = journal
        self._clock = clock
        self._observer = observer
        self._after_commit = after_commit
        self._meter = RunMetrics(clock.now())
        rules = assignment.rules
        seats = self._seats()
        self._course = Rollout(
            rules.policy,
            assignment.total,
            assignment.failed_before,
            halt,
            self._meter,
            clock=clock,
            seats=seats,
        )
        self._gate = Admission(
            gateway,
            assignment.limits,
            clock,
            self._meter,
            halt,
            breaker=rules.policy.circuit_breaker,
            total_kbps=assignment.total_kbps,
            in_window=self._course.in_window,
        )
        self._desk = PendingReplies(clock, rules.policy.negotiation_timeout_s, self._unclaimed)
        shop = RunContext(
            gateway=gateway,
            journal=journal,
            clock=clock,
            gate=self._gate,
            desk=self._desk,
            meter=self._meter,
            halt=halt,
            recorder=Recorder(
                journal,
                clock,
                self._meter,
                assignment.notices,
                settled=self._course.settled,
                seats=seats,
            ),
            seats=seats,
            observer=observer,
            rules=rules,
            chance=chance,
            find_fault=assignment.find_fault,
            compose=assignment.compose,
        )
        self._carrier = TransferWorker(shop)
        self._doubts = Reconciler(shop, self._carrier, clock.now())
        self._feed = PlanReader(journal)
        self._aside: set[asyncio.Task[None]] = set()
        self._left: set[asyncio.Task[None]] = set()  # likewise, of what earlier runs left in doubt
        self._most_aside = WAITING_PER_SLOT * assignment.limits.in_flight
        self._chores = BackgroundTasks(halt)
        self._listener = GatewayEvents(shop, self._carrier, self._chores, observer)
        self._outlook = ProgressReporter(
            gateway=gateway,
            gate=self._gate,
            meter=self._meter,
            halt=halt,
            clock=clock,
            observer=observer,
            keep=self._listener.keep,
            limit_per_s=assignment.limits.rate_per_s,
            burst=assignment.limits.burst,
        )
        self._unfinished = 0  # transfers that were seen through to the run's end, not to theirs
        self._closed = False

    def _seats(self) -> Seats:
        todo = self._todo
        allowed = most_failures(todo.rules.policy.max_failures, total=todo.total)
        return Seats(allowed, self.halt)

    async def run(self) -> RunEnd:
        """Carry the plan out; errors of the world are told in the `RunEnd`, never raised."""
        beat = asyncio.create_task(self._beat())
        timekeeper = asyncio.create_task(self._desk.keep_time())
        try:
            await self._chores.guarded(self._take_back())
            if self._course.may_begin() and await self._open():
                await self._carry_all()
        finally:
            self._closed = True
            await self._gateway.close()
            await self._feed.close()
            for task in (beat, timekeeper):
                task.cancel()
            await asyncio.gather(beat, timekeeper, return_exceptions=True)
            await self._chores.finish()
        self._progress()
        figures = self._meter.figures(
            limit_per_s=self._todo.limits.rate_per_s,
            token_renewals=self._gateway.token_renewals,
            burst=self._todo.limits.burst,
        )
        code = self.halt.code
        if code is ExitCode.STOPPED and self._is_complete():  # nothing came of it
            return RunEnd(None, None, None, figures)
        if code is ExitCode.STOPPED and self._meter.sent == 0 and not self.halt.is_own:
            code = ExitCode.UNREACHABLE
        return RunEnd(code, self.halt.reason, self.halt.error, figures)

    def _is_complete(self) -> bool:
        """Tell whether all that was to be sent is final though the gateway then went away."""
        is_done = self._feed.given >= self._todo.total > 0 and not self._unfinished
        return is_done and not self.halt.is_own and isinstance(self.halt.error, GatewayError)

    # The run

    async def _open(self) -> bool:
        """Open the gateway, unless the run is stopped first; False: nothing can be sent."""
        opening = asyncio.create_task(self._gateway.open(self._listener))
        stopping = asyncio.create_task(self.halt.wait())
        await asyncio.wait([opening, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in (opening, stopping):
            task.cancel()
        opened, _ = await asyncio.gather(opening, stopping, return_exceptions=True)
        if isinstance(opened, GatewayError):
            self.halt.stop(ExitCode.UNREACHABLE, str(opened), opened)
        elif isinstance(opened, Exception):
            self._chores.stop_for(opened)
        return not self.halt.is_set

    async def _carry_all(self) -> None:
        """First look at what earlier runs left in doubt; then carry the plan, and clear up."""
        left = await self._chores.guarded(self._doubts.look_at_all())
        for live in left or ():  # no wave waits for their fences
            self._clear_up(live, self._left)
        for wave in self._course.waves():
            await self._chores.guarded(self._carry_wave(wave))
            while self._aside:
                await asyncio.wait(self._aside)
            if not self._course.goes_on():
                break
        while self._left:
            await asyncio.wait(self._left)

    async def _carry_wave(self, wave: Wave) -> None:
        """Carry a wave's rows; what has to wait for its next delivery is set aside."""
        self._course.begin(wave, after=self._feed.last_turn)
        if wave.number is not None:
            fields = {"wave": wave.number, "of": wave.of, "transfers": wave.size}
            self._outlook.stage = stage_of(fields)
            self._observer.noticed("wave begins", **fields)
            now, wall = self._clock.now(), self._clock.wall()
            told = f"of {wave.of} began: {counted(wave.size)}"
            self._meter.tell(TimelineEventKind.WAVE, now, wall, value=wave.number, reason=told)
            await self._journal.record(Note(Note.WAVE_BEGUN, wall, fields))
        self._feed.allow(wave.end)
        workers = self._todo.limits.in_flight
        if self._todo.rules.looks_first:
            workers += self._gate.ahead
        carrying = (self._chores.guarded(self._work()) for _ in range(min(workers, wave.size)))
        await asyncio.gather(*carrying)

    async def _take_back(self) -> None:
        """Bring to mind what is in doubt, before a late reply to it can come."""
        doubts = await self._journal.doubts()
        if doubts:
            self._observer.warned("looking at what is in doubt", transfers=len(doubts))
        self._doubts.take_back(doubts)

    async def _work(self) -> None:
        """Carry rows until there are no more or the run is stopped."""
        while not self.halt.is_set and (row := await self._feed.next()) is not None:
            live = await self._carrier.take_up(row)
            await self._carrier.carry(live)
            if live.state is State.READY or live.state is State.UNKNOWN:
                await self._set_aside(live)
            self._after_commit()

    async def _set_aside(self, live: ActiveTransfer) -> None:
        """Let a transfer that has to wait do so beside the others, unless too many do."""
        if live.state is State.READY and len(self._aside) >= self._most_aside:
            await self._carrier.carry_on(live)
        if live.state is State.READY or live.state is State.UNKNOWN:
            self._clear_up(live, self._aside)

    def _clear_up(self, live: ActiveTransfer, beside: set[asyncio.Task[None]]) -> None:
        """See a transfer to its end beside the others: waiting for it holds nobody else back."""
        task = asyncio.create_task(self._chores.guarded(self._see_through(live)))
        beside.add(task)
        task.add_done_callback(beside.discard)
        task.add_done_callback(lambda _: self._after_commit())

    async def _see_through(self, live: ActiveTransfer) -> None:
        await self._carrier.carry_on(live)
        await self._doubts.clear_up(live)
        self._unfinished += live.state is State.READY or live.state is State.UNKNOWN

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(BEAT_S)
            self._gate.climb()
            self._gate.circuit.watch()
            self._gate.look_ups.watch()
            self._course.watch_window()
            now = self._clock.now()
            self._meter.tick(now)
            self._meter.saw_renewals(self._gateway.token_renewals, now, self._clock.wall())
            self._outlook.tell_holds()
            self._progress()

    def _progress(self) -> None:
        self._observer.progressed(self._outlook.progress(self._todo.total, closed=self._closed))

    def _unclaimed(self, reply: Reply) -> None:
        self._listener.unclaimed(reply)  # made after the desk, whose waiters it settles first
