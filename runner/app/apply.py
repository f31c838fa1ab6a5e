"""`apply`: lock, plan, send, report, in this order."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from runner.app import run_record
from runner.app.announcer import Announcer
from runner.app.approvals import author_text, check_approvals
from runner.app.callback_outbox import owes_callbacks
from runner.app.directory_lookup import look_up_directory
from runner.app.gateway_identity import origin_of
from runner.app.journal_checkpoint import Checkpoints
from runner.app.name_resolution import NOTHING_ASKED, DirectoryAnswers, needs_directory
from runner.app.open_journal import entry_of, opened
from runner.app.plan import going_on, new_run_id, plan_figures
from runner.app.plan_check import plan_rows
from runner.app.run_batch import NOTHING_SENT, PlannedBatch, run_batch
from runner.app.run_options import RunOptions
from runner.app.signals import Signals
from runner.core.errors import GatewayError, Interrupted, ManifestInvalid, StorageError, UsageError
from runner.core.exit_code import ExitCode, exit_code
from runner.core.frozen import frozen
from runner.core.manifest.model import Manifest
from runner.core.pacing.batch_so_far import BatchSoFar
from runner.core.records.run_record import (
    UNFINISHED,
    ApprovalRecord,
    Figures,
    PlanFigures,
    ReportSource,
)
from runner.core.records.summary import Summary, summarize
from runner.core.transfer.outcome import Outcome
from runner.engine.run_spec import RunEnd
from runner.gateways.http.trust_check import check_trust
from runner.ports import Note, Observer
from runner.ports.control import Control
from runner.ports.gates import Prompt, unanswered
from runner.ports.history import History
from runner.ports.journal_access import JournalAccess, JournalStore
from runner.report.disk_check import check_report_folder, clear_unfinished
from runner.report.index import write_index
from runner.report.writer import write_report
from runner.staging.rows import Staging


@frozen
class Applied:
    """The result of a run, with what its report was written from."""

    code: ExitCode
    source: ReportSource
    summary: Summary
    report: Path
    error: Exception | None = None  # what ended it early, for the trace


@frozen
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


def _hold_to_nothing(_staging: Staging) -> BatchSoFar | None:
    """Leave the plan as the history says: the batch begins here."""
    return None


@frozen
class RunHooks:
    """The caller's part in a run: it watches, may stop it, and confirms before it sends."""

    observer: Observer
    signals: Signals
    confirm: Callable[[Question], bool]
    prompt: Prompt = unanswered  # asks for confirmations between waves
    journal: JournalAccess | None = None  # opened in a way of its own; None: the options' one
    hold: Callable[[Staging], BatchSoFar | None] = _hold_to_nothing
    """Called under the lock, with the planned rows, before the plan is stored.

    Returns where earlier runs left the batch; None: it begins here.
    """


def apply(request: RunOptions, manifest: Manifest, staging: Staging, hooks: RunHooks) -> Applied:
    """Send a loaded manifest's transfers and write their report.

    Raises `Locked`, `StorageError`, or `ManifestInvalid` for a plan that no longer holds, before
    the run begins; later errors are in `Applied`.
    """
    journal = hooks.journal or request.journal_access(manifest)
    journal.check_place()
    check_trust(manifest, os.environ)
    check_approvals(
        request, manifest, os.environ, needs_preflight=needs_directory(manifest, staging)
    )
    announcer = Announcer(manifest, hooks.observer)
    hooks = replace(hooks, observer=announcer)
    found = NOTHING_ASKED
    if request.plan is not None:  # refused before a journal is made or a lock is waited for
        found = look_up_directory(request, manifest, staging, hooks.observer)
        manifest = found.resolved(manifest)
        plan_rows(request, manifest, staging, journal)
    entry = entry_of(manifest, hooks.observer)
    checkpoints = Checkpoints(journal, entry, request.report_dir, manifest)
    with opened(request, checkpoints) as (store, lock):
        # Once more: a lock may be waited for until the plan has lapsed, or a signer is gone.
        approvals = check_approvals(request, manifest, os.environ)
        run = _Run(
            request,
            manifest,
            staging,
            hooks,
            store=store,
            checkpoints=checkpoints,
            open_control=lock.open_control,
            approvals=approvals,
            announcer=announcer,
            found=found,
        )
        plan = run.plan()
        with journal.open_history() as history:
            batch = run.batch(plan, history)
            had_work = batch.has_work or bool(plan.in_doubt)
            end = run.end_unsent(batch)
            if end is None:
                end = asyncio.run(run_batch(batch, hooks.observer, hooks.signals))
            with hooks.signals.deferring(hooks.observer):
                return run.finish(end, history, had_work=had_work)


class _Run:
    """One run of `apply`: its record, from the plan to the report."""

    def __init__(
        self,
        request: RunOptions,
        manifest: Manifest,
        staging: Staging,
        hooks: RunHooks,
        *,
        store: JournalStore,
        checkpoints: Checkpoints,
        open_control: Callable[[str | None], Control],
        approvals: tuple[ApprovalRecord, ...],
        announcer: Announcer,
        found: DirectoryAnswers,
    ) -> None:
        self._request = request
        self._manifest = manifest
        self._staging = staging
        self._confirm = hooks.confirm
        self._prompt = hooks.prompt
        self._open_control = open_control
        self._hold = hooks.hold
        self._announcer = announcer
        self._observer = hooks.observer
        self._journal: JournalAccess = checkpoints.journal
        self._store = store
        self._checkpoints = checkpoints
        self._found = found  # of a plan; else it is asked
        self._so_far: BatchSoFar | None = None
        self._unreachable: GatewayError | None = None
        at = time.time()
        record = run_record.started_record(
            request, manifest, new_run_id(at), at=at, outcome=UNFINISHED
        )
        self._record = replace(record, approvals=approvals)

    def plan(self) -> PlanFigures:
        """Store the run's plan, once the journal is known to be whole; return it in numbers."""
        store, at = self._store, time.time()
        if store.is_new:
            self._observer.noticed(
                "new journal; no history: everything will be sent",
                journal=self._journal.real_address,
            )
        if not self._request.new_history:
            self._checkpoints.check(store)
        self._ask()
        plan_rows(self._request, self._manifest, self._staging, self._journal)
        self._so_far = so_far = self._hold(self._staging)
        self._check_place()
        plan = plan_figures(self._request, self._manifest, self._staging)
        continues = {}
        if so_far is not None:
            plan = going_on(plan, so_far, self._manifest.policy)
            continues = {"continues": so_far.first_run}
        caveats = tuple(store.caveats())
        for each in caveats:
            self._observer.warned(each)
        names = run_record.recorded_names(self._found.place_names)
        self._record = replace(self._record, waves=plan.waves, caveats=caveats, place_names=names)
        limits = self._request.limits(self._manifest.environment)
        store.begin_run(
            self._record.id,
            self._record.to_json(),
            at=at,
            manifest=run_record.redacted_excerpt(self._manifest),
            rate_per_s=limits.rate_per_s,
            in_flight=limits.in_flight,
            burst=limits.burst,
            **continues,
        )
        self._record_approvals(at)
        if (recovered := store.recover(at=at)) > 0:
            self._observer.warned("an earlier run died with transfers in flight", count=recovered)
        store.store_plan(self._staging.planned)
        if self._request.new_history and (lost := self._checkpoints.lost_heads(store)):
            store.waive(lost, at=at)  # so that the next run does not refuse
        self._checkpoints.write(store, at=at)
        self._report_plan(plan)
        return plan

    def batch(self, plan: PlanFigures, history: History) -> PlannedBatch:
        """Return what the run is to send, and where that is recorded."""
        return PlannedBatch(
            run_id=self._record.id,
            manifest=self._manifest,
            limits=self._request.limits(self._manifest.environment),
            plan=plan,
            staging=self._staging,
            store=self._store,
            history=history,
            checkpoints=self._checkpoints,
            open_control=self._open_control,
            prompt=self._prompt,
            journal_name=self._request.journal_access(self._manifest).address,
            is_planned=self._request.plan is not None,
            commands=self._approved_commands(),
            so_far=self._so_far,
        )

    def end_unsent(self, batch: PlannedBatch) -> RunEnd | None:
        """Return how the run ends without a batch: unreachable, declined, done; None: it sends."""
        if (error := self._unreachable) is not None:
            return RunEnd(ExitCode.UNREACHABLE, str(error), error, Figures())
        is_open = self._manifest.policy.why_shut(time.time()) is None
        if batch.plan.send and is_open:
            try:
                is_confirmed = self._confirm(self._question(batch.plan))
            except Interrupted as interrupted:  # the run is in the journal, and needs an end
                return RunEnd(interrupted.code, "interrupted at the prompt", None, Figures())
            if not is_confirmed:
                return RunEnd(ExitCode.INTERRUPTED, "declined at the prompt", None, Figures())
            try:  # the prompt may have been left open until the plan has lapsed
                check_approvals(self._request, self._manifest, os.environ)
            except ManifestInvalid as refusal:
                why = "; ".join(each.message for each in refusal.problems)
                return RunEnd(ExitCode.STOPPED, f"no longer approved: {why}", None, Figures())
        owes = owes_callbacks(batch.history, self._manifest.name)
        return None if batch.has_work or owes else NOTHING_SENT

    def finish(self, end: RunEnd, history: History, *, had_work: bool) -> Applied:
        """Store how the run ended and write its report; `had_work`: it is the latest one."""
        decided = end.figures.decided + len(self._record.approvals)
        end = replace(end, figures=replace(end.figures, decided=decided))
        run_no = self._store.run_no
        elsewhere = history.doubts_elsewhere(run_no)
        parts = [
            end.explanation,  # first: it is the reason of what was not begun
            self._found.explanation,
            run_record.doubts_elsewhere_text(elsewhere),
        ]
        explanation = "; ".join(filter(None, parts))
        source = history.report_source(run_no, explanation)
        summary = summarize(source.transfers(), end.figures)
        doubts = summary.counts[Outcome.IN_DOUBT] + len(elsewhere)
        left = summary.not_begun - summary.not_selected
        code = exit_code(dict(summary.counts) | {Outcome.IN_DOUBT: doubts}, end.halted, left=left)
        if left and end.halted is None:
            parts = [explanation, run_record.settled_elsewhere_text(left)]
            explanation = "; ".join(filter(None, parts))
        at = time.time()
        record = run_record.finished_record(
            self._record,
            code,
            explanation or None,
            len(elsewhere),
            policy=self._manifest.policy,
            at=at,
        )
        if end.halted in {ExitCode.STORAGE, ExitCode.LOCKED}:  # only the report shows how it ended
            source = replace(source, run=record, figures=end.figures)
        else:
            self._store.finish_run(record.to_json(), asdict(end.figures), at)
            source = history.report_source(run_no)
            # A copy that was made while the run went on lacks what came after it.
            self._checkpoints.write(self._store, at=at)
        # The journal has its end already: its lease would not last for as long as messages may take.
        early = end.halted is not None or left > 0
        told = self._announcer.ended(code, summary, explanation or None, early=early)
        source = replace(source, run=replace(source.run, notifications=told))
        moves = had_work or code is not ExitCode.OK
        report = write_report(source, self._request.report_dir, summary, moves_latest=moves)
        self._list_reports()
        return Applied(code, source, summary, report, end.error)

    def _list_reports(self) -> None:
        """Write the report folder's index; without it the report is as good."""
        try:
            write_index(self._request.report_dir)
        except (StorageError, UsageError) as error:
            self._observer.warned("the list of reports could not be written", why=str(error))

    def _record_approvals(self, at: float) -> None:
        """Store who approved the plan, each as a decision of the audit chain."""
        plan = self._request.plan
        if plan is None or not self._record.approvals:
            return
        for each in self._record.approvals:
            self._observer.noticed("approved", by=each.who, plan=plan.id)
        what = f"approved {plan.id}"
        why = author_text(plan.made_by)
        sha256 = plan.digests["sha256"].hex()
        self._store.record(
            [
                Note(
                    Note.CONTROL,
                    at,
                    {"who": each.who, "what": what, "why": why, "key": each.key, "sha256": sha256},
                )
                for each in self._record.approvals
            ]
        )

    def _approved_commands(self) -> Mapping[str, str] | None:
        plan = self._request.plan
        if plan is None or plan.approval_basis is None or not self._record.approvals:
            return None
        return plan.approval_basis.commands

    def _ask(self) -> None:
        """Ask the gateway for what the manifest leaves open, unless the plan holds it."""
        if self._request.plan is not None:
            return
        try:
            self._found = look_up_directory(
                self._request, self._manifest, self._staging, self._observer, self._journal
            )
        except GatewayError as error:  # nothing is sent, and the report says why
            self._unreachable = error
        else:
            self._manifest = self._found.resolved(self._manifest)

    def _check_place(self) -> None:
        """Check that the report can be written before anything is sent."""
        root = self._request.report_dir
        clear_unfinished(root, self._manifest.name)
        if not check_report_folder(root, self._manifest.name, rows=self._staging.count):
            self._observer.warned(
                "every account of this machine may change the reports; take that right away",
                folder=str(root.resolve()),
            )

    def _report_plan(self, plan: PlanFigures) -> None:
        self._observer.noticed(
            "planned",
            run=self._record.id,
            started_at=self._record.started_at,
            **run_record.plan_log_fields(plan),
        )
        if plan.misses_window:
            self._observer.warned(
                "by the limits, the batch will not end inside its window",
                ends_at=plan.ends_at,
                not_after=plan.closes_at,
            )

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
