"""`apply`: lock, plan, carry out, report, in this order."""

from __future__ import annotations

import asyncio
import os
import random
import time
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from runner.app import run_record
from runner.app.callback_backlog import CallbackBacklog
from runner.app.callback_outbox import JournalOutbox
from runner.app.directory_queries import ask
from runner.app.gateway_identity import gateway_entry, origin_of
from runner.app.journal_checkpoint import (
    check_checkpoint,
    check_known,
    lost_heads,
    remember,
    write_checkpoint,
)
from runner.app.message_ids import MessageIds
from runner.app.name_resolution import NOTHING_FOUND
from runner.app.plan import new_run_id, plan_figures
from runner.app.plan_check import plan_rows
from runner.app.request import Request
from runner.app.signals import Signals
from runner.app.system_clock import SystemClock
from runner.composition import forget_earlier_gateway, language_of, opened_gateway, policy_of
from runner.core.errors import GatewayError, StorageError
from runner.core.manifest.model import Driver, Manifest
from runner.core.records.run_record import Figures, PlanFigures, ReportSource
from runner.core.records.summary import Summary, summarize
from runner.core.transfer.outcome import ExitCode, Outcome, exit_code
from runner.engine.callback_factory import CallbackFactory
from runner.engine.run import BatchRun, RunEnd, RunSpec
from runner.engine.run_context import Randomness, Rules
from runner.engine.stop import StopSignal
from runner.gateways.http.trust_check import check_trust
from runner.journal.filesystem import refuse_network, refuse_shared
from runner.journal.lock import JournalLock
from runner.journal.overview import Overview
from runner.journal.reader import Reader
from runner.journal.registry import GatewayEntry
from runner.journal.staging import Staging
from runner.journal.store import Store
from runner.journal.writer import JournalWriter
from runner.ports import Observer
from runner.report.place_check import check_place, clear_place
from runner.report.writer import write_report
from runner.webhooks import WebhookDispatcher

CALLBACK_GRACE_S = 30.0
"""How long callbacks that are still owed are tried for, once the transfers are done."""

HEADS_KEPT_S = 2.0
"""How often a run leaves its journal's head while it goes on."""


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
class RunHooks:
    """Who attends a run: watches it, may stop it, is asked before it sends."""

    observer: Observer
    signals: Signals
    confirm: Callable[[Question], bool]


def apply(request: Request, manifest: Manifest, staging: Staging, attendance: RunHooks) -> Applied:
    """Carry a loaded manifest out and leave its report.

    Raises `Locked`, `StorageError`, or `ManifestInvalid` for a plan that no longer holds, before
    the run begins; later errors are told in `Applied`.
    """
    path = request.journal_path(manifest)
    refuse_network(path)
    check_trust(manifest, os.environ)
    refuse_shared(path)
    if request.plan is not None:  # refused before a journal is made or anybody is waited for
        ask(request, manifest, staging, attendance.observer)
        plan_rows(request, manifest, staging, path if path.exists() else None)
    entry = _entry(manifest, attendance.observer)
    with nullcontext() if entry is None else entry.lock as gateway, JournalLock(path) as lock:
        waited_s = 0.0 if gateway is None else gateway.acquire(request.lock_timeout_s)
        lock.acquire(max(0.0, request.lock_timeout_s - waited_s))
        lock.hold_file()
        if not path.exists() and not request.new_history:
            if entry is not None:
                check_known(entry, path, None)
            check_checkpoint(path, None, request.report_dir, manifest)
        forget_earlier_gateway(path)
        store = Store(path, environment=manifest.environment.name, origin=origin_of(manifest))
        try:
            lock.hold_file()  # which was made just now
            return _Run(request, manifest, staging, attendance, store, entry=entry).carry_out()
        finally:
            store.close()


def _entry(manifest: Manifest, observer: Observer) -> GatewayEntry | None:
    """Return the registry's entry for the gateway, its folder made; None: it is not registered."""
    entry = gateway_entry(manifest, os.environ)
    if entry is None and manifest.environment.endpoints is None:
        return None  # the embedded gateway is the journal's own
    if entry is None or not entry.make_folder():
        observer.warned(
            "no state folder: runs with another journal of this gateway would not be noticed",
            set="XDG_STATE_HOME",
        )
        return None
    return entry


class _Run:
    """One run of `apply`, from its place in the journal to its report."""

    def __init__(
        self,
        request: Request,
        manifest: Manifest,
        staging: Staging,
        attendance: RunHooks,
        store: Store,
        *,
        entry: GatewayEntry | None,
    ) -> None:
        self._entry = entry
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
        self._record = run_record.begun(
            request, manifest, new_run_id(at), at=at, outcome="unfinished"
        )

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
            self._observer.noticed(
                "new journal; no history: everything will be sent",
                journal=str(store.path.resolve()),
            )
        if not self._request.new_history:
            if self._entry is not None:
                check_known(self._entry, store.path, store)
            check_checkpoint(store.path, store, self._request.report_dir, self._manifest)
        self._ask()
        plan_rows(self._request, self._manifest, self._staging, store.path)
        self._check_place()
        plan = plan_figures(self._request, self._manifest, self._staging)
        self._record = replace(self._record, waves=plan.waves)
        limits = self._request.limits(self._manifest.environment)
        store.begin_run(
            self._record.id,
            asdict(self._record),
            at=at,
            manifest=run_record.shown(self._manifest),
            rate_per_s=limits.rate_per_s,
            in_flight=limits.in_flight,
            burst=limits.burst,
        )
        if (recovered := store.recover(at=at)) > 0:
            self._observer.warned("an earlier run died with transfers in flight", count=recovered)
        store.store_plan(self._staging.planned())
        if self._request.new_history:
            self._waive(at)
        self._leave_head(at)
        self._observer.noticed("planned", run=self._record.id, **run_record.plan_in_short(plan))
        if plan.misses_window and plan.window is not None:
            self._observer.warned(
                "by the limits, the batch will not end inside its window",
                ends_at=plan.ends_at,
                not_after=plan.window.not_after,
            )
        return plan

    def _check_place(self) -> None:
        """See that the report can be written, while nothing has been sent yet."""
        root = self._request.report_dir
        clear_place(root, self._manifest.name)
        if not check_place(root, self._manifest.name, rows=self._staging.count):
            self._observer.warned(
                "every account of this machine may change the reports; take that right away",
                folder=str(root.resolve()),
            )

    def _waive(self, at: float) -> None:
        """Keep in the journal which histories it does without: the next run need not be asked."""
        lost = lost_heads(self._store, self._request.report_dir, self._manifest)
        if lost:
            self._store.waive(lost, at=at)

    def _leave_head(self, at: float) -> None:
        write_checkpoint(self._store, self._request.report_dir, self._manifest, at=at)
        if self._entry is not None:
            remember(self._entry, self._store)

    def _ask(self) -> None:
        """Have the gateway tell what the manifest leaves open, unless the plan has told it."""
        if self._request.plan is not None:
            return
        try:
            self._found = ask(self._request, self._manifest, self._staging, self._observer)
        except GatewayError as error:  # nothing is sent, and the report says why
            self._unreachable = error

    def _send(self, plan: PlanFigures, reader: Reader) -> RunEnd:
        if (error := self._unreachable) is not None:
            return RunEnd(ExitCode.UNREACHABLE, str(error), error, Figures())
        window = self._manifest.policy.window
        is_open = window is None or window.is_open(self._clock.wall())
        if plan.send and is_open and not self._attendance.confirm(self._question(plan)):
            return RunEnd(ExitCode.INTERRUPTED, "declined at the prompt", None, Figures())
        if not plan.send and not reader.outbox(0, 1) and not self._doubts(reader):
            return RunEnd(None, None, None, Figures())
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

    async def _carry(self, plan: PlanFigures, reader: Reader) -> RunEnd:
        writer = JournalWriter(self._store, reader)
        self._observer = owing = CallbackBacklog(self._observer, reader.callbacks_owed, self._clock)
        courier = self._courier(writer, reader)
        courier_run = asyncio.create_task(courier.run())
        counting = asyncio.create_task(owing.keep_count())
        keeping = asyncio.create_task(self._keep_heads(writer))
        halt = StopSignal()
        try:
            with self._attendance.signals.stopping(halt, self._observer):
                ending = await self._batch(plan, writer, reader, courier, halt)
                await courier.finish(0.0 if ending.halted else CALLBACK_GRACE_S)
                await courier_run
        except StorageError as error:
            return RunEnd(ExitCode.STORAGE, str(error), error, Figures())
        finally:
            courier_run.cancel()
            counting.cancel()
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await writer.close()
        return ending

    async def _keep_heads(self, writer: JournalWriter) -> None:
        """Leave the journal's head again and again while it grows.

        Else a copy that was made in the midst of a run that is killed later could be restored
        without anybody noticing, and who was moved since would be moved twice.
        """
        failures: list[StorageError] = []
        left = self._store.seq

        def leave() -> None:  # in the writer's thread, between two transactions
            nonlocal left
            if self._store.seq != left:
                left = self._store.seq
                try:
                    self._leave_head(self._clock.wall())
                except StorageError as error:  # the journal itself is sound, and the run goes on
                    failures.append(error)

        while not failures:
            await self._clock.sleep(HEADS_KEPT_S)
            await writer.perform(leave)
        self._observer.warned("the journal's head is not kept any more", why=str(failures[0]))

    async def _batch(
        self,
        plan: PlanFigures,
        writer: JournalWriter,
        reader: Reader,
        courier: WebhookDispatcher,
        halt: StopSignal,
    ) -> RunEnd:
        courier.poke()
        if not plan.send and not self._doubts(reader):
            return RunEnd(None, None, None, Figures())
        manifest, gateway_said = self._manifest, self._manifest.gateway
        language = language_of(manifest.environment)
        notices = CallbackFactory(
            manifest.callbacks,
            run=self._record.id,
            batch=manifest.name,
            new_id=lambda: f"msg_{uuid.uuid4().hex}",
        )
        assignment = RunSpec(
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
            failed_before=plan.failed_before,
        )
        destinations = self._staging.destinations()
        async with opened_gateway(
            manifest, self._store.path, self._clock, random.random, destinations
        ) as gateway:
            batch = BatchRun(
                assignment,
                gateway=gateway,
                journal=writer,
                clock=self._clock,
                observer=self._observer,
                chance=Randomness(random.random, MessageIds().new),
                after_commit=courier.poke,
                halt=halt,
            )
            return await batch.run()

    def _doubts(self, reader: Reader) -> bool:
        return bool(reader.doubts(self._store.run_no))

    def _courier(self, writer: JournalWriter, reader: Reader) -> WebhookDispatcher:
        return WebhookDispatcher(
            self._manifest.callbacks,
            JournalOutbox(self._manifest.callbacks, self._store, writer, reader, self._clock),
            self._clock,
            random.random,
            self._manifest.policy.retry,
            simulated=self._manifest.environment.driver is Driver.SIMULATOR,
            observer=self._observer,
        )

    def _finish(self, ending: RunEnd, reader: Reader, *, had_work: bool) -> Applied:
        run_no = self._store.run_no
        elsewhere = reader.doubts_elsewhere(run_no)
        told = [
            self._found.explanation,
            ending.explanation,
            run_record.elsewhere_in_words(elsewhere),
        ]
        explanation = "; ".join(filter(None, told))
        source = reader.report_source(run_no, explanation)
        summary = summarize(source.transfers(), ending.figures)
        doubts = summary.counts[Outcome.IN_DOUBT] + len(elsewhere)
        code = exit_code(dict(summary.counts) | {Outcome.IN_DOUBT: doubts}, ending.halted)
        at = self._clock.wall()
        record = run_record.ended(self._record, code, explanation or None, at=at)
        if ending.halted is ExitCode.STORAGE:  # the journal takes no more: the report alone tells
            source = replace(source, run=record, figures=ending.figures)
        else:
            self._store.finish_run(asdict(record), asdict(ending.figures), at)
            source = reader.report_source(run_no)
            # A copy that was made while the run went on lacks what came after it.
            self._leave_head(at)
        moves = had_work or code is not ExitCode.OK
        report = write_report(source, self._request.report_dir, summary, moves_latest=moves)
        return Applied(code, source, summary, report, ending.error)
