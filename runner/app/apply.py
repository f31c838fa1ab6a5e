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
from runner.app.run_options import RunOptions
from runner.app.signals import Signals
from runner.app.system_clock import SystemClock
from runner.composition import forget_earlier_gateway, opened_gateway, policy_of
from runner.core.errors import GatewayError, StorageError
from runner.core.manifest.model import Manifest
from runner.core.records.run_record import Figures, PlanFigures, ReportSource
from runner.core.records.summary import Summary, summarize
from runner.core.transfer.outcome import ExitCode, Outcome, exit_code
from runner.drivers import spec_of
from runner.engine.callback_factory import CallbackFactory
from runner.engine.rules import Randomness, Rules
from runner.engine.run import BatchRun, RunEnd, RunSpec
from runner.engine.stop import StopSignal
from runner.gateways.http.trust_check import check_trust
from runner.ports import Observer
from runner.ports.history import History
from runner.ports.journal import RunJournal
from runner.ports.journal_access import GatewayEntry, JournalAccess, JournalStore
from runner.report.place_check import check_place, clear_place
from runner.report.writer import write_report
from runner.staging.rows import Staging
from runner.webhooks import WebhookDispatcher

CALLBACK_GRACE_S = 30.0
"""How long callbacks that are still owed are tried for, once the transfers are done."""

HEADS_KEPT_S = 2.0
"""How often a run leaves its journal's head while it goes on."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of a run."""

    code: ExitCode
    source: ReportSource
    summary: Summary
    report: Path
    error: Exception | None = None  # what ended it early, for the trace


@dataclass(frozen=True, slots=True)
class Question:
    """The question to a person before a run sends."""

    environment: str
    is_simulated: bool
    gateway: str
    origin: str  # the gateway's address
    send: int
    unchanged: int
    in_doubt: int
    new_journal: str | None  # the path of a journal without transfers


@dataclass(frozen=True, slots=True)
class RunHooks:
    """Watches a run, may stop it, and is asked before it sends."""

    observer: Observer
    signals: Signals
    confirm: Callable[[Question], bool]


def apply(request: RunOptions, manifest: Manifest, staging: Staging, hooks: RunHooks) -> Applied:
    """Carry a loaded manifest out and leave its report.

    Raises `Locked`, `StorageError`, or `ManifestInvalid` for a plan that no longer holds, before
    the run begins; later errors are in `Applied`.
    """
    journal = request.journal_access(manifest)
    journal.check_place()
    check_trust(manifest, os.environ)
    if request.plan is not None:  # refused before a journal is made or a lock is waited for
        ask(request, manifest, staging, hooks.observer)
        plan_rows(request, manifest, staging, journal)
    entry = _entry(manifest, hooks.observer)
    with nullcontext() if entry is None else entry.lock as gateway, journal.lock() as lock:
        waited_s = 0.0 if gateway is None else gateway.acquire(request.lock_timeout_s)
        lock.acquire(max(0.0, request.lock_timeout_s - waited_s))
        if not journal.exists() and not request.new_history:
            if entry is not None:
                check_known(entry, journal, None)
            check_checkpoint(journal, None, request.report_dir, manifest)
        forget_earlier_gateway(journal.location)
        store = lock.open_store(environment=manifest.environment.name, origin=origin_of(manifest))
        try:
            run = _Run(request, manifest, staging, hooks, journal=journal, store=store, entry=entry)
            return run.carry_out()
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
        request: RunOptions,
        manifest: Manifest,
        staging: Staging,
        hooks: RunHooks,
        *,
        journal: JournalAccess,
        store: JournalStore,
        entry: GatewayEntry | None,
    ) -> None:
        self._entry = entry
        self._request = request
        self._manifest = manifest
        self._staging = staging
        self._hooks = hooks
        self._observer = hooks.observer
        self._journal = journal
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
        with self._journal.open_history() as history:
            had_work = bool(plan.send or plan.in_doubt or self._doubts(history))
            end = self._send(plan, history)
            with self._hooks.signals.deferring(self._observer):
                return self._finish(end, history, had_work=had_work)

    def _plan(self) -> PlanFigures:
        store, at = self._store, self._clock.wall()
        if store.is_new:
            self._observer.noticed(
                "new journal; no history: everything will be sent",
                journal=self._journal.real_address,
            )
        if not self._request.new_history:
            if self._entry is not None:
                check_known(self._entry, self._journal, store)
            check_checkpoint(self._journal, store, self._request.report_dir, self._manifest)
        self._ask()
        plan_rows(self._request, self._manifest, self._staging, self._journal)
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
        """Check that the report can be written before anything is sent."""
        root = self._request.report_dir
        clear_place(root, self._manifest.name)
        if not check_place(root, self._manifest.name, rows=self._staging.count):
            self._observer.warned(
                "every account of this machine may change the reports; take that right away",
                folder=str(root.resolve()),
            )

    def _waive(self, at: float) -> None:
        """Store which histories the run does without, so that the next run does not refuse."""
        lost = lost_heads(self._store, self._request.report_dir, self._manifest)
        if lost:
            self._store.waive(lost, at=at)

    def _leave_head(self, at: float) -> None:
        root = self._request.report_dir
        write_checkpoint(self._journal, self._store, root, self._manifest, at=at)
        if self._entry is not None:
            remember(self._entry, self._journal, self._store)

    def _ask(self) -> None:
        """Ask the gateway for what the manifest leaves open, unless the plan holds it."""
        if self._request.plan is not None:
            return
        try:
            self._found = ask(self._request, self._manifest, self._staging, self._observer)
        except GatewayError as error:  # nothing is sent, and the report says why
            self._unreachable = error

    def _send(self, plan: PlanFigures, history: History) -> RunEnd:
        if (error := self._unreachable) is not None:
            return RunEnd(ExitCode.UNREACHABLE, str(error), error, Figures())
        window = self._manifest.policy.window
        is_open = window is None or window.is_open(self._clock.wall())
        if plan.send and is_open and not self._hooks.confirm(self._question(plan)):
            return RunEnd(ExitCode.INTERRUPTED, "declined at the prompt", None, Figures())
        if not plan.send and not history.outbox(0, 1) and not self._doubts(history):
            return RunEnd(None, None, None, Figures())
        return asyncio.run(self._carry(plan, history))

    def _question(self, plan: PlanFigures) -> Question:
        manifest = self._manifest
        has_history = self._store.last_transfer_id > 0  # an earlier run may have been declined
        return Question(
            environment=manifest.environment.name,
            is_simulated=manifest.environment.is_simulated,
            gateway=manifest.gateway.name,
            origin=origin_of(manifest),
            send=plan.send,
            unchanged=plan.unchanged,
            in_doubt=plan.in_doubt,
            new_journal=None if has_history else self._journal.real_address,
        )

    async def _carry(self, plan: PlanFigures, history: History) -> RunEnd:
        writer = self._store.start_writer(history)
        self._observer = backlog = CallbackBacklog(
            self._observer, history.callbacks_owed, self._clock
        )
        dispatcher = self._dispatcher(writer, history)
        dispatching = asyncio.create_task(dispatcher.run())
        counting = asyncio.create_task(backlog.keep_count())
        keeping = asyncio.create_task(self._keep_heads(writer))
        stop = StopSignal()
        try:
            with self._hooks.signals.stopping(stop, self._observer):
                end = await self._batch(plan, writer, history, dispatcher, stop)
                await dispatcher.finish(0.0 if end.halted else CALLBACK_GRACE_S)
                await dispatching
        except StorageError as error:
            return RunEnd(error.exit_code, str(error), error, Figures())
        finally:
            dispatching.cancel()
            counting.cancel()
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await writer.close()
        return end

    async def _keep_heads(self, journal: RunJournal) -> None:
        """Write checkpoints while the journal grows.

        Otherwise a copy that is made during a run that is killed later could be restored unnoticed,
        and the interactions that were moved after the copy would be moved twice.
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
            await journal.perform(leave)
        self._observer.warned("the journal's head is not kept any more", why=str(failures[0]))

    async def _batch(
        self,
        plan: PlanFigures,
        writer: RunJournal,
        history: History,
        dispatcher: WebhookDispatcher,
        stop: StopSignal,
    ) -> RunEnd:
        dispatcher.poke()
        if not plan.send and not self._doubts(history):
            return RunEnd(None, None, None, Figures())
        manifest, gateway_said = self._manifest, self._manifest.gateway
        driver = spec_of(manifest.environment)
        codec = driver.codec()
        callbacks = CallbackFactory(
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
                needs_look_up=driver.needs_lookup,
            ),
            callbacks=callbacks,
            find_fault=codec.find_fault,
            compose=codec.compose,
            total_kbps=gateway_said.total_bandwidth_kbps,
            failed_before=plan.failed_before,
        )
        destinations = self._staging.destinations()
        async with opened_gateway(
            manifest, self._journal.location, self._clock, random.random, destinations
        ) as gateway:
            batch = BatchRun(
                assignment,
                gateway=gateway,
                journal=writer,
                clock=self._clock,
                observer=self._observer,
                randomness=Randomness(random.random, MessageIds().new),
                after_commit=dispatcher.poke,
                stop_signal=stop,
            )
            return await batch.run()

    def _doubts(self, history: History) -> bool:
        return bool(history.doubts(self._store.run_no))

    def _dispatcher(self, writer: RunJournal, history: History) -> WebhookDispatcher:
        return WebhookDispatcher(
            self._manifest.callbacks,
            JournalOutbox(self._manifest.callbacks, writer, history, self._clock),
            self._clock,
            random.random,
            self._manifest.policy.retry,
            simulated=self._manifest.environment.is_simulated,
            observer=self._observer,
            may_write=writer.may_write,
        )

    def _finish(self, end: RunEnd, history: History, *, had_work: bool) -> Applied:
        run_no = self._store.run_no
        elsewhere = history.doubts_elsewhere(run_no)
        parts = [
            self._found.explanation,
            end.explanation,
            run_record.elsewhere_in_words(elsewhere),
        ]
        explanation = "; ".join(filter(None, parts))
        source = history.report_source(run_no, explanation)
        summary = summarize(source.transfers(), end.figures)
        doubts = summary.counts[Outcome.IN_DOUBT] + len(elsewhere)
        code = exit_code(dict(summary.counts) | {Outcome.IN_DOUBT: doubts}, end.halted)
        at = self._clock.wall()
        record = run_record.ended(self._record, code, explanation or None, at=at)
        if end.halted in {ExitCode.STORAGE, ExitCode.LOCKED}:  # only the report shows how it ended
            source = replace(source, run=record, figures=end.figures)
        else:
            self._store.finish_run(asdict(record), asdict(end.figures), at)
            source = history.report_source(run_no)
            # A copy that was made while the run went on lacks what came after it.
            self._leave_head(at)
        moves = had_work or code is not ExitCode.OK
        report = write_report(source, self._request.report_dir, summary, moves_latest=moves)
        return Applied(code, source, summary, report, end.error)
