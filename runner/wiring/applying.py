"""`apply`: lock, plan, carry out, report, in this order."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from runner.callbacks import Courier
from runner.core.errors import GatewayError, StorageError
from runner.core.manifest import Driver, Manifest
from runner.core.outcome import ExitCode, Outcome, exit_code
from runner.core.record import Figures, PlanFigures, ReportSource
from runner.core.summary import Summary, summarize
from runner.engine.batch import Assignment, Batch, Ending
from runner.engine.halt import Halt
from runner.engine.notices import Notices
from runner.engine.workshop import Chance, Rules
from runner.journal.filesystem import refuse_network
from runner.journal.lock import JournalLock
from runner.journal.overview import Overview
from runner.journal.reading import Reader
from runner.journal.staging import Staging
from runner.journal.store import Store
from runner.journal.writer import JournalWriter
from runner.ports import Observer
from runner.report.writing import write_report
from runner.wiring import records
from runner.wiring.asking import ask
from runner.wiring.clock import SystemClock
from runner.wiring.finding import NOTHING_FOUND
from runner.wiring.gateway import (
    forget_earlier_gateway,
    language_of,
    opened_gateway,
    origin_of,
    policy_of,
)
from runner.wiring.holding import plan_rows
from runner.wiring.message_ids import MessageIds
from runner.wiring.outbox import JournalOutbox
from runner.wiring.owing import Owing
from runner.wiring.planning import new_run_id, plan_figures
from runner.wiring.request import Request
from runner.wiring.signals import Signals
from runner.wiring.witness import check_witness, leave_witness

CALLBACK_GRACE_S = 30.0
"""How long callbacks that are still owed are tried for, once the transfers are done."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What a run left."""

    code: ExitCode
    source: ReportSource
    summary: Summary
    report: Path
    error: Exception | None = None  # what ended it early, for the trace


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked before a run sends."""

    environment: str
    driver: Driver
    gateway: str
    origin: str  # the gateway's address
    send: int
    unchanged: int
    in_doubt: int
    new_journal: str | None  # the path of a journal that tells of no transfer


@dataclass(frozen=True, slots=True)
class Attendance:
    """Who attends a run: watches it, may stop it, is asked before it sends."""

    observer: Observer
    signals: Signals
    confirm: Callable[[Question], bool]


def apply(
    request: Request, manifest: Manifest, staging: Staging, attendance: Attendance
) -> Applied:
    """Carry a loaded manifest out and leave its report.

    Raises `Locked`, `StorageError`, or `ManifestInvalid` for a plan that no longer holds, before
    the run begins; later errors are told in `Applied`.
    """
    path = request.journal_path(manifest)
    refuse_network(path)
    if request.plan is not None:  # refused before a journal is made or anybody is waited for
        ask(request, manifest, staging, attendance.observer)
        plan_rows(request, manifest, staging, path if path.exists() else None)
    with JournalLock(path) as lock:
        lock.acquire(request.lock_timeout_s)
        if not path.exists() and not request.new_history:
            check_witness(path, None, request.report_dir, manifest)
        forget_earlier_gateway(path)
        store = Store(path, environment=manifest.environment.name, origin=origin_of(manifest))
        try:
            return _Run(request, manifest, staging, attendance, store).carry_out()
        finally:
            store.close()


class _Run:
    """One run of `apply`, from its place in the journal to its report."""

    def __init__(
        self,
        request: Request,
        manifest: Manifest,
        staging: Staging,
        attendance: Attendance,
        store: Store,
    ) -> None:
        self._request = request
        self._manifest = manifest
        self._staging = staging
        self._attendance = attendance
        self._observer = attendance.observer
        self._store = store
        self._clock = SystemClock()
        self._found = NOTHING_FOUND
        self._unreachable: GatewayError | None = None
        at = time.time()
        self._record = records.begun(request, manifest, new_run_id(at), at=at, outcome="unfinished")

    def carry_out(self) -> Applied:
        plan = self._plan()
        reader = Reader(self._store.path)
        try:
            had_work = bool(plan.send or plan.in_doubt or self._doubts(reader))
            ending = self._send(plan, reader)
            with self._attendance.signals.deferring(self._observer):
                return self._finish(ending, reader, had_work=had_work)
        finally:
            reader.close()

    def _plan(self) -> PlanFigures:
        store, at = self._store, self._clock.wall()
        if store.is_new:
            self._observer.warned(
                "new journal; no history: everything will be sent",
                journal=str(store.path.resolve()),
            )
        if not self._request.new_history:
            check_witness(store.path, store, self._request.report_dir, self._manifest)
        self._ask()
        plan_rows(self._request, self._manifest, self._staging, store.path)
        plan = plan_figures(self._request, self._manifest, self._staging)
        self._record = replace(self._record, waves=plan.waves)
        limits = self._request.limits(self._manifest.environment)
        store.begin_run(
            self._record.id,
            asdict(self._record),
            at=at,
            manifest=records.shown(self._manifest),
            rate_per_s=limits.rate_per_s,
            in_flight=limits.in_flight,
        )
        if (recovered := store.recover(at=at)) > 0:
            self._observer.warned("an earlier run died with transfers in flight", count=recovered)
        store.store_plan(self._staging.planned())
        leave_witness(store, self._request.report_dir, self._manifest, at=at)
        self._observer.noticed("planned", run=self._record.id, **records.plan_in_short(plan))
        if plan.misses_window and plan.window is not None:
            self._observer.warned(
                "by the limits, the batch will not end inside its window",
                ends_at=plan.ends_at,
                not_after=plan.window.not_after,
            )
        return plan

    def _ask(self) -> None:
        """Have the gateway tell what the manifest leaves open, unless the plan has told it."""
        if self._request.plan is not None:
            return
        try:
            self._found = ask(self._request, self._manifest, self._staging, self._observer)
        except GatewayError as error:  # nothing is sent, and the report says why
            self._unreachable = error

    def _send(self, plan: PlanFigures, reader: Reader) -> Ending:
        if (error := self._unreachable) is not None:
            return Ending(ExitCode.UNREACHABLE, str(error), error, Figures())
        window = self._manifest.policy.window
        is_open = window is None or window.is_open(self._clock.wall())
        if plan.send and is_open and not self._attendance.confirm(self._question(plan)):
            return Ending(ExitCode.INTERRUPTED, "declined at the prompt", None, Figures())
        if not plan.send and not reader.outbox(0, 1) and not self._doubts(reader):
            return Ending(None, None, None, Figures())
        return asyncio.run(self._carry(plan, reader))

    def _question(self, plan: PlanFigures) -> Question:
        manifest, store = self._manifest, self._store
        with Overview(store.path) as overview:  # an earlier run may have been declined
            has_history = overview.last_transfer_id() > 0
        return Question(
            environment=manifest.environment.name,
            driver=manifest.environment.driver,
            gateway=manifest.gateway.name,
            origin=origin_of(manifest),
            send=plan.send,
            unchanged=plan.unchanged,
            in_doubt=plan.in_doubt,
            new_journal=None if has_history else str(store.path.resolve()),
        )

    async def _carry(self, plan: PlanFigures, reader: Reader) -> Ending:
        writer = JournalWriter(self._store, reader)
        self._observer = owing = Owing(self._observer, reader.callbacks_owed, self._clock)
        courier = self._courier(writer, reader)
        courier_run = asyncio.create_task(courier.run())
        counting = asyncio.create_task(owing.keep_count())
        halt = Halt()
        try:
            with self._attendance.signals.stopping(halt, self._observer):
                ending = await self._batch(plan, writer, reader, courier, halt)
                await courier.finish(0.0 if ending.halted else CALLBACK_GRACE_S)
                await courier_run
        except StorageError as error:
            return Ending(ExitCode.STORAGE, str(error), error, Figures())
        finally:
            courier_run.cancel()
            counting.cancel()
            await writer.close()
        return ending

    async def _batch(
        self,
        plan: PlanFigures,
        writer: JournalWriter,
        reader: Reader,
        courier: Courier,
        halt: Halt,
    ) -> Ending:
        courier.poke()
        if not plan.send and not self._doubts(reader):
            return Ending(None, None, None, Figures())
        manifest, gateway_said = self._manifest, self._manifest.gateway
        language = language_of(manifest.environment)
        notices = Notices(
            manifest.callbacks,
            run=self._record.id,
            batch=manifest.name,
            new_id=lambda: f"msg_{uuid.uuid4().hex}",
        )
        assignment = Assignment(
            total=plan.send,
            limits=self._request.limits(manifest.environment),
            rules=Rules(
                policy_of(manifest),
                gateway_said.promise,
                gateway_said.carried_out,
                gateway_said.not_carried_out,
                needs_sight=language.needs_sight,
            ),
            notices=notices,
            find_fault=language.find_fault,
            compose=language.compose,
            total_kbps=gateway_said.total_bandwidth_kbps,
        )
        destinations = self._staging.destinations()
        async with opened_gateway(
            manifest, self._store.path, self._clock, random.random, destinations
        ) as gateway:
            batch = Batch(
                assignment,
                gateway=gateway,
                journal=writer,
                clock=self._clock,
                observer=self._observer,
                chance=Chance(random.random, MessageIds().new),
                after_commit=courier.poke,
                halt=halt,
            )
            return await batch.run()

    def _doubts(self, reader: Reader) -> bool:
        return bool(reader.doubts(self._store.run_no))

    def _courier(self, writer: JournalWriter, reader: Reader) -> Courier:
        return Courier(
            self._manifest.callbacks,
            JournalOutbox(self._manifest.callbacks, self._store, writer, reader, self._clock),
            self._clock,
            random.random,
            self._manifest.policy.retry,
            simulated=self._manifest.environment.driver is Driver.SIMULATOR,
            observer=self._observer,
        )

    def _finish(self, ending: Ending, reader: Reader, *, had_work: bool) -> Applied:
        run_no = self._store.run_no
        elsewhere = reader.doubts_elsewhere(run_no)
        told = [self._found.explanation, ending.explanation, records.elsewhere_in_words(elsewhere)]
        explanation = "; ".join(filter(None, told))
        source = reader.report_source(run_no, explanation)
        summary = summarize(source.transfers(), ending.figures)
        doubts = summary.counts[Outcome.IN_DOUBT] + len(elsewhere)
        code = exit_code(dict(summary.counts) | {Outcome.IN_DOUBT: doubts}, ending.halted)
        at = self._clock.wall()
        record = records.ended(self._record, code, explanation or None, at=at)
        if ending.halted is ExitCode.STORAGE:  # the journal takes no more: the report alone tells
            source = replace(source, run=record, figures=ending.figures)
        else:
            self._store.finish_run(asdict(record), asdict(ending.figures), at)
            source = reader.report_source(run_no)
            # A copy that was made while the run went on lacks what came after it.
            leave_witness(self._store, self._request.report_dir, self._manifest, at=at)
        moves = had_work or code is not ExitCode.OK
        report = write_report(source, self._request.report_dir, summary, moves_latest=moves)
        return Applied(code, source, summary, report, ending.error)
