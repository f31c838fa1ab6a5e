"""Runs a batch: opens the gateway, has workers send the plan's rows, and closes in order."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from runner.core import next_steps
from runner.core.control import Bounds, CommandName
from runner.core.errors import GatewayError
from runner.core.exit_code import ExitCode
from runner.core.number_text import counted
from runner.core.pacing.destinations import Figures as CapacityFigures
from runner.core.pacing.waves import most_failures
from runner.core.pacing.what_if import what_if
from runner.core.records.recent_failures import stage_of
from runner.core.records.run_record import TimelineEventKind
from runner.core.transfer.states import State
from runner.engine.active_transfer import ActiveTransfer
from runner.engine.admission import Admission
from runner.engine.audit_notes import AuditNotes
from runner.engine.command_handler import CommandHandler
from runner.engine.destination_metrics import DestinationMetrics
from runner.engine.destinations import Destinations
from runner.engine.failure_seats import FailureSeats
from runner.engine.gateway_events import GatewayEvents
from runner.engine.late_replies import LateReplies
from runner.engine.message_sender import MessageSender
from runner.engine.metrics import RunMetrics
from runner.engine.pending_replies import PendingReplies
from runner.engine.plan_reader import PlanReader
from runner.engine.pre_delivery_check import PreDeliveryCheck
from runner.engine.progress import ProgressReporter
from runner.engine.reconciler import Reconciler
from runner.engine.recorder import Recorder
from runner.engine.rollout import Rollout, Wave
from runner.engine.rules import Randomness
from runner.engine.run_spec import RunEnd, RunSpec
from runner.engine.stop import StopSignal
from runner.engine.transfer_worker import TransferWorker
from runner.engine.wave_gatekeeper import WaveGatekeeper
from runner.ports import (
    CapacityObserver,
    Clock,
    Gateway,
    Journal,
    Note,
    Observer,
    Progress,
)

BEAT_S = 0.5
"""How often progress is reported and the pace may rise."""

WAITING_PER_SLOT = 4
"""Transfers that may wait for their next delivery beside those in flight."""


class BatchRun:
    """The engine of one run; `run` is called once."""

    def __init__(
        self,
        spec: RunSpec,
        *,
        gateway: Gateway,
        journal: Journal,
        clock: Clock,
        observer: Observer,
        randomness: Randomness,
        after_commit: Callable[[], None],
        stop_signal: StopSignal,
    ) -> None:
        self.stop_signal = stop_signal
        self._spec = spec
        self._gateway = gateway
        self._journal = journal
        self._clock = clock
        self._observer = observer
        self._after_commit = after_commit
        self._metrics = RunMetrics(clock.now())
        rules = spec.rules
        seats = self._seats()
        self._rollout = Rollout(
            rules.policy,
            spec.total,
            spec.failed_before,
            stop_signal,
            self._metrics,
            clock=clock,
            seats=seats,
            so_far=spec.so_far,
        )
        self._background = asyncio.TaskGroup()  # notes and late replies
        notes = AuditNotes(journal, clock, stop_signal, self._background)
        self._admission = Admission(
            gateway,
            spec.limits,
            clock,
            self._metrics,
            stop_signal,
            breaker=rules.policy.circuit_breaker,
            total_kbps=spec.total_kbps,
            in_window=self._rollout.in_window,
            may_write=journal.may_write,
            pace=spec.pace,
            note=notes.add,
        )
        self._destination_metrics = DestinationMetrics(clock.now(), self._forecast_s)
        self._destinations = Destinations(
            spec.destinations,
            clock=clock,
            observer=observer,
            notes=notes,
            metrics=self._destination_metrics,
        )
        recorder = Recorder(
            journal,
            clock,
            self._metrics,
            spec.callbacks,
            settled=self._rollout.settled,
            seats=seats,
        )
        late_replies = LateReplies(
            journal=journal,
            recorder=recorder,
            clock=clock,
            observer=observer,
            rules=rules,
            notes=notes,
            stop_signal=stop_signal,
            background=self._background,
            answered=self._admission.circuit.answered,
        )
        self._pending_replies = PendingReplies(
            clock,
            rules.policy.negotiation_timeout_s,
            late_replies.receive,
            outlives_session=rules.outlives_session,
        )
        self._worker = TransferWorker(
            journal=journal,
            late_replies=late_replies,
            seats=seats,
            destinations=self._destinations,
            check=PreDeliveryCheck(
                gateway=gateway,
                circuit=self._admission.look_ups,
                recorder=recorder,
                late_replies=late_replies,
                rules=rules,
                randomness=randomness,
                clock=clock,
                stop_signal=stop_signal,
            ),
            admission=self._admission,
            sender=MessageSender(
                gateway=gateway,
                admission=self._admission,
                destinations=self._destinations,
                pending_replies=self._pending_replies,
                recorder=recorder,
                metrics=self._metrics,
                rules=rules,
                randomness=randomness,
                clock=clock,
                stop_signal=stop_signal,
                compose=spec.compose,
                find_fault=spec.find_fault,
            ),
            recorder=recorder,
            rules=rules,
            stop_signal=stop_signal,
        )
        self._reconciler = Reconciler(
            gateway=gateway,
            worker=self._worker,
            admission=self._admission,
            recorder=recorder,
            rules=rules,
            randomness=randomness,
            clock=clock,
            stop_signal=stop_signal,
        )
        self._plan_reader = PlanReader(journal, self._destinations, clock, stop_signal)
        self._aside = 0  # transfers of this wave that wait beside the workers
        self._most_aside = WAITING_PER_SLOT * spec.limits.in_flight
        self._events = GatewayEvents(
            pending_replies=self._pending_replies,
            admission=self._admission,
            metrics=self._metrics,
            stop_signal=stop_signal,
            clock=clock,
            notes=notes,
            observer=observer,
        )
        self._progress_reporter = ProgressReporter(
            gateway=gateway,
            admission=self._admission,
            metrics=self._metrics,
            stop_signal=stop_signal,
            clock=clock,
            observer=observer,
            notes=notes,
            waits=lambda: (self._gatekeeper.waiting_for, self._destinations.waiting_for),
            paced_by=self._paced_by,
            command=lambda: next_steps.ending(spec.journal_name, self._ends_by()),
            burst=spec.limits.burst,
            sending_s=spec.sending_s,
        )
        self._gatekeeper = WaveGatekeeper(
            gates=spec.gates,
            every_s=spec.gates_every_s,
            prompt=spec.prompt,
            confirm_by=next_steps.shell_line(
                next_steps.control(spec.journal_name, CommandName.CONTINUE)
            ),
            longest_hold_s=rules.policy.answer_timeout_s,
            admission=self._admission,
            journal=journal,
            clock=clock,
            observer=observer,
            metrics=self._metrics,
            stop_signal=stop_signal,
        )
        self.commands = CommandHandler(
            Bounds(
                spec.limits,
                rules.policy.max_failures,
                spec.batch_total,
                rules.policy.answer_timeout_s,
                is_planned=spec.is_planned,
            ),
            gateway=gateway,
            journal=journal,
            clock=clock,
            observer=observer,
            metrics=self._metrics,
            admission=self._admission,
            rollout=self._rollout,
            gatekeeper=self._gatekeeper,
            notes=notes,
            stop_signal=stop_signal,
            progress=self._present,
            journal_name=spec.journal_name,
        )
        self._gatekeeper.decided = lambda what: self.commands.decided(
            what, f"{spec.user} at the terminal"
        )
        self._unfinished = 0  # transfers that were seen through to the run's end, not to theirs
        self._closed = False

    def _ends_by(self) -> CommandName | None:
        """Return the command by which a person ends what holds the run; None: there is none."""
        if self.commands.is_paused:
            return CommandName.RESUME
        return CommandName.CONTINUE if self._gatekeeper.question is not None else None

    def _seats(self) -> FailureSeats:
        todo = self._spec
        allowed = most_failures(todo.rules.policy.max_failures, total=todo.batch_total)
        return FailureSeats(allowed, self.stop_signal)

    def _forecast_s(self, uri: str, figures: CapacityFigures) -> float | None:
        spec = self._spec
        limits, sends = spec.destinations.limits_of(uri), spec.sends.get(uri, 0)
        if limits is None or not sends:
            return None
        rate = spec.limits.rate_per_s
        found = what_if(limits, figures, sends=sends, rate_per_s=rate, handle_s=spec.handle_s)
        return None if found is None else found.ends_s

    async def run(self) -> RunEnd:
        """Send the plan's transfers; failures end the run and are returned, never raised.

        First it looks at what earlier runs left in doubt; then it sends the plan, wave by wave.
        """
        async with self._closed_in_order(), asyncio.TaskGroup() as left_in_doubt:
            # No wave waits for the fences of what earlier runs left in doubt.
            with self.stop_signal.on_failure():
                restored = await self._restore_doubts()
                self._restore_commands()
                if self._rollout.may_begin() and await self._open():
                    # None of these is sent again before the first wave may begin.
                    doubts = await self._look_up_all(restored)
                    waves = self._rollout.waves(doubts=len(doubts))
                    for number, wave in enumerate(waves, 1):
                        self._progress_reporter.pauses_left_s = math.fsum(
                            later.conditions.pause_s for later in waves[number:]
                        )
                        if not await self._gatekeeper.admit(wave):
                            break
                        workers = await self._begin(wave)
                        async with self._gatekeeper.watching(wave), asyncio.TaskGroup() as tasks:
                            for transfer in doubts:  # the first wave waits for those of its batch
                                group = tasks if transfer.is_of_batch else left_in_doubt
                                group.create_task(self._finish_transfer(transfer))
                            doubts.clear()
                            for _ in range(workers):  # until all are final or in doubt
                                tasks.create_task(self._send_rows(tasks))
                        if not self._rollout.goes_on() or not self._all_begun(wave):
                            break
                    for transfer in doubts:
                        left_in_doubt.create_task(self._finish_transfer(transfer))
        if (full := self._destinations.explanation) is not None and not self.stop_signal.is_set:
            self.stop_signal.set_by_rule(full)
        self._progress()
        return self._end()

    def _all_begun(self, wave: Wave) -> bool:
        """Return whether the next wave may follow this one by what full destinations left of it."""
        return wave.number is None or self._destinations.explanation is None

    @asynccontextmanager
    async def _closed_in_order(self) -> AsyncIterator[None]:
        """Run what is periodic beside the block; after it, close the gateway, then the plan."""
        async with self._background as background:
            periodic = (
                background.create_task(self.stop_signal.guard(self._beat)),
                background.create_task(self.stop_signal.guard(self._pending_replies.keep_time)),
            )
            try:
                yield
            finally:
                self._closed = True
                self.commands.close()
                await self.stop_signal.guard(self._gateway.close)
                await self._plan_reader.close()
                for task in periodic:
                    task.cancel()

    def _end(self) -> RunEnd:
        figures = self._metrics.figures(
            limit_per_s=self._spec.limits.rate_per_s,
            token_renewals=self._gateway.token_renewals,
            burst=self._spec.limits.burst,
        )
        figures = replace(figures, destinations=self._destination_metrics.figures())
        code = self.stop_signal.code
        if code is ExitCode.STOPPED and self._is_complete():  # nothing came of it
            return RunEnd(None, None, None, figures)
        if code is ExitCode.STOPPED and self._metrics.sent == 0 and not self.stop_signal.is_own:
            code = ExitCode.UNREACHABLE
        return RunEnd(code, self.stop_signal.reason, self.stop_signal.error, figures)

    def _is_complete(self) -> bool:
        """Return whether all that was to be sent is final though the gateway then went away."""
        is_done = self._plan_reader.given >= self._spec.total > 0 and not self._unfinished
        return (
            is_done
            and not self.stop_signal.is_own
            and isinstance(self.stop_signal.error, GatewayError)
        )

    # The run

    async def _open(self) -> bool:
        """Open the gateway, unless the run is stopped first; False: nothing can be sent."""
        if self._spec.observed and isinstance(self._gateway, CapacityObserver):
            self._gateway.observe(self._spec.observed, self._destinations.observed)
            self._destinations.ask_again = self._gateway.ask_again
        opening = asyncio.create_task(self._gateway.open(self._events))
        stopping = asyncio.create_task(self.stop_signal.wait())
        await asyncio.wait([opening, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in (opening, stopping):
            task.cancel()
        opened, _ = await asyncio.gather(opening, stopping, return_exceptions=True)
        if isinstance(opened, GatewayError):
            self.stop_signal.set(ExitCode.UNREACHABLE, str(opened), opened)
        elif isinstance(opened, Exception):
            raise opened
        return not self.stop_signal.is_set

    async def _begin(self, wave: Wave) -> int:
        """Let a wave's rows be read; return how many workers send them."""
        self._rollout.begin(wave, after=self._plan_reader.last_turn)
        if wave.number is not None:
            await self._announce(wave)
        self._plan_reader.allow(wave.end)
        workers = self._spec.limits.in_flight
        if self._spec.rules.looks_first:
            workers += self._admission.ahead
        return min(workers, wave.size)

    async def _announce(self, wave: Wave) -> None:
        fields: dict[str, Any] = {"wave": wave.number, "of": wave.of, "transfers": wave.size}
        self._progress_reporter.stage = stage_of(fields)
        self._observer.noticed("wave begins", **fields)
        now, wall = self._clock.now(), self._clock.wall()
        self._metrics.add_event(
            TimelineEventKind.WAVE,
            now,
            wall,
            value=wave.number,
            reason=f"of {wave.of} began: {counted(wave.size)}",
        )
        fields |= {"pauses_left_s": self._progress_reporter.pauses_left_s}
        await self._journal.record(Note(Note.WAVE_BEGUN, wall, fields))

    async def _restore_doubts(self) -> list[ActiveTransfer]:
        """Track what earlier runs left in doubt, before a late reply to it can come."""
        doubts = await self._journal.doubts()
        if doubts:
            self._observer.warned("looking at what is in doubt", transfers=len(doubts))
        restored = self._reconciler.restore(doubts)
        for transfer in restored:
            self._rollout.take_over(transfer)
        return restored

    async def _look_up_all(self, restored: list[ActiveTransfer]) -> list[ActiveTransfer]:
        """Return what may be sent again; what may just have been moved counts at its destination."""
        for transfer in restored:
            self._destinations.occupy(transfer)
        doubts = await self._reconciler.look_up_all()
        kept = {transfer.transfer_id for transfer in doubts}
        for transfer in restored:
            if transfer.transfer_id not in kept:
                self._destinations.release(transfer)
        return doubts

    def _restore_commands(self) -> None:
        """Put in force what operators ordered of the batch's earlier runs."""
        if self._spec.so_far is not None:
            for given in self._spec.so_far.commands:
                self.commands.restore(given)
            self.commands.note_restored()

    async def _send_rows(self, tasks: asyncio.TaskGroup) -> None:
        """Send rows until there are no more or the run is stopped."""
        with self.stop_signal.on_failure():
            while (
                not self.stop_signal.is_set and (row := await self._plan_reader.next()) is not None
            ):
                transfer = await self._worker.start(row)
                await self._worker.process(transfer)
                if transfer.state is State.READY or transfer.state is State.UNKNOWN:
                    await self._set_aside(transfer, tasks)
                self._after_commit()

    async def _set_aside(self, transfer: ActiveTransfer, tasks: asyncio.TaskGroup) -> None:
        """Let a transfer wait beside the workers; where too many do, wait here.

        No worker waits for a full destination. While somebody waits for one, no further row for it
        begins: so those who wait there are few without being counted.
        """
        while (
            transfer.state is State.READY
            and not self.stop_signal.is_set
            and not self._destinations.has_waiting(transfer)
            and self._aside - self._destinations.waiting >= self._most_aside
        ):
            await self._worker.process_again(transfer)
        if transfer.state is State.READY or transfer.state is State.UNKNOWN:
            self._aside += 1
            tasks.create_task(self._finish_transfer(transfer)).add_done_callback(
                self._no_longer_aside
            )

    def _no_longer_aside(self, _task: asyncio.Task[None]) -> None:
        self._aside -= 1

    async def _finish_transfer(self, transfer: ActiveTransfer) -> None:
        """Send a transfer, waiting as is due, until it is final or stays in doubt."""
        with self.stop_signal.on_failure():
            await self._worker.process_to_end(transfer)
            await self._reconciler.settle(transfer)
            self._unfinished += transfer.state is State.READY or transfer.state is State.UNKNOWN
        self._destinations.release(transfer)
        self._after_commit()

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(BEAT_S)
            self._admission.raise_rate()
            self._admission.watch()
            self._rollout.watch_window()
            self._destinations.watch()
            self.commands.watch()
            now = self._clock.now()
            self._metrics.tick(now)
            self._metrics.saw_renewals(self._gateway.token_renewals, now, self._clock.wall())
            self._progress_reporter.report_holds()
            self._progress()

    def _paced_by(self) -> str | None:
        """Return which destinations' own limits all that may be sent waits for."""
        waits = self._plan_reader.waits_for_destinations and not self._admission.is_waited_for
        return self._destinations.limiting if waits else None

    def _progress(self) -> None:
        self._observer.progressed(self._present())

    def _present(self) -> Progress:
        return self._progress_reporter.progress(self._spec.total, closed=self._closed)
