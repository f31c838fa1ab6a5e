"""Runs a planned batch: the engine, and beside it callbacks, their count and checkpoints."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial

from runner.app.callback_backlog import CallbackBacklog
from runner.app.callback_outbox import JournalOutbox
from runner.app.capacity import handle_s_of
from runner.app.gates import gates_of
from runner.app.journal_checkpoint import Checkpoints
from runner.app.message_ids import MessageIds
from runner.app.run_record import current_user
from runner.app.signals import Signals
from runner.app.system_clock import SystemClock
from runner.composition import opened_gateway, policy_of
from runner.core.errors import StorageError
from runner.core.exit_code import ExitCode
from runner.core.frozen import frozen
from runner.core.manifest.model import Limits, Manifest
from runner.core.pacing.batch_so_far import BatchSoFar
from runner.core.records.run_record import Figures, PlanFigures
from runner.drivers import spec_of
from runner.engine.callback_factory import CallbackFactory
from runner.engine.destination_metrics import MOST_DESTINATIONS
from runner.engine.rules import Randomness, Rules
from runner.engine.run import BatchRun
from runner.engine.run_spec import RunEnd, RunSpec
from runner.engine.stop import StopSignal
from runner.ports import Clock, Gateway, Observer
from runner.ports.control import Control
from runner.ports.gates import Gates, Prompt, unanswered
from runner.ports.history import History
from runner.ports.journal import RunJournal
from runner.ports.journal_access import JournalStore
from runner.staging.rows import Staging
from runner.webhooks import WebhookDispatcher

CALLBACK_GRACE_S = 30.0
"""How long callbacks that are still owed are tried for, once the transfers are done."""

CHECKPOINT_EVERY_S = 2.0
"""How often a run writes a checkpoint while its journal grows."""

NOTHING_SENT = RunEnd(None, None, None, Figures())
"""The end of a run that had nothing to send."""


@frozen
class PlannedBatch:
    """What a run is to send, by its stored plan, and where that is recorded."""

    run_id: str
    manifest: Manifest
    limits: Limits
    plan: PlanFigures
    staging: Staging
    store: JournalStore
    history: History
    checkpoints: Checkpoints
    open_control: Callable[[str | None], Control]
    prompt: Prompt = unanswered
    journal_name: str | None = None  # as commands for the run name it; None: it is found by default
    is_planned: bool = False  # held to a plan file
    so_far: BatchSoFar | None = None  # where earlier runs left the batch; None: it begins here
    commands: Mapping[str, str] | None = None  # digests of gates' commands that were approved

    @property
    def has_work(self) -> bool:
        """Whether anything is to be sent, or looked at because an earlier run left it in doubt."""
        return bool(self.plan.send or self.history.doubts(self.store.run_no))


async def run_batch(batch: PlannedBatch, observer: Observer, signals: Signals) -> RunEnd:
    """Send a batch's transfers and deliver the callbacks that are owed.

    If the journal fails, the run ends with `ExitCode.STORAGE`; that is returned, not raised.
    """
    clock, stop = SystemClock(), StopSignal()
    writer = batch.store.start_writer(batch.history)
    backlog = CallbackBacklog(observer, batch.history.callbacks_owed, clock)
    dispatcher = _dispatcher(batch, writer, clock, backlog)
    end = NOTHING_SENT
    try:
        with signals.stopping(stop, backlog):
            async with _background() as background:
                dispatching = background.create_task(stop.guard(dispatcher.run))
                periodic = [
                    background.create_task(stop.guard(work))
                    for work in (
                        backlog.keep_count,
                        partial(_keep_checkpoints, batch, writer, clock, backlog),
                    )
                ]
                dispatcher.poke()
                if batch.has_work:
                    async with (
                        _opened_gateway(batch, clock) as gateway,
                        _gates(batch, gateway) as gates,
                    ):
                        engine = BatchRun(
                            _spec_of(batch, gates),
                            gateway=gateway,
                            journal=writer,
                            clock=clock,
                            observer=backlog,
                            randomness=Randomness(random.random, MessageIds().new),
                            after_commit=dispatcher.poke,
                            stop_signal=stop,
                        )
                        periodic.append(
                            background.create_task(
                                stop.guard(partial(_take_commands, batch, engine, backlog))
                            )
                        )
                        end = await engine.run()
                await dispatcher.finish(0.0 if end.halted else CALLBACK_GRACE_S)
                await dispatching
                for task in periodic:
                    task.cancel()
    except StorageError as error:
        return RunEnd(error.exit_code, str(error), error, end.figures)
    finally:
        await writer.close()
    return _after_failures(end, stop)


async def _take_commands(batch: PlannedBatch, engine: BatchRun, observer: Observer) -> None:
    """Let operators control the run; one that cannot be controlled is warned of, and goes on."""
    try:
        control = batch.open_control(batch.manifest.policy.control_group)
        await control.serve(engine.commands.handle)
    except StorageError as error:
        observer.warned("this run takes no commands (runner control)", why=str(error))


@asynccontextmanager
async def _background() -> AsyncIterator[asyncio.TaskGroup]:
    """Yield the group of tasks beside the engine, for work that `StopSignal.guard` watches over.

    None of them raises, so that none cancels the engine while transfers are in flight. An exception
    of the block itself cancels them, and is raised as it is.
    """
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as wrapped:
        raise wrapped.exceptions[0] from None


@asynccontextmanager
async def _gates(batch: PlannedBatch, gateway: Gateway) -> AsyncIterator[Gates | None]:
    """Yield what asks the manifest's gates; None: it has none."""
    gates = gates_of(batch.manifest, gateway, batch.commands)
    try:
        yield gates
    finally:
        if gates is not None:
            await gates.close()


def _opened_gateway(batch: PlannedBatch, clock: Clock) -> AbstractAsyncContextManager[Gateway]:
    return opened_gateway(
        batch.manifest,
        batch.checkpoints.journal.location,
        clock,
        random.random,
        batch.staging.destinations(),
    )


def _spec_of(batch: PlannedBatch, gates: Gates | None) -> RunSpec:
    manifest, constraints = batch.manifest, batch.manifest.gateway
    driver = spec_of(manifest.environment)
    codec = driver.codec()
    observed = manifest.destinations.observed(batch.staging.destinations())
    return RunSpec(
        total=batch.plan.send,
        limits=batch.limits,
        rules=Rules(
            policy_of(manifest),
            constraints.promise,
            needs_look_up=driver.needs_lookup,
            outlives_session=driver.waits_for_outcome,
        ),
        callbacks=CallbackFactory(
            manifest.callbacks,
            run=batch.run_id,
            batch=manifest.name,
            new_id=lambda: f"msg_{uuid.uuid4().hex}",
        ),
        sending_s=batch.plan.sending_s,
        find_fault=codec.find_fault,
        compose=codec.compose,
        total_kbps=constraints.total_bandwidth_kbps,
        failed_before=batch.plan.failed_before,
        gates=gates,
        gates_every_s={
            name: gate.every_s for name, gate in manifest.gates.items() if gate.every_s is not None
        },
        prompt=batch.prompt,
        journal_name=batch.journal_name,
        user=current_user(),
        is_planned=batch.is_planned,
        so_far=batch.so_far,
        destinations=manifest.destinations,
        observed=observed,
        sends=_sends_to(batch.staging, observed[:MOST_DESTINATIONS]),
        handle_s=handle_s_of(manifest)[0],
        pace=batch.history.pace_left(),
    )


def _sends_to(staging: Staging, uris: Sequence[str]) -> Mapping[str, int]:
    """Return how many rows would be sent to each of these destinations."""
    sends = staging.sends_to() if uris else {}
    return {uri: sends.get(uri, 0) for uri in uris}


def _dispatcher(
    batch: PlannedBatch, writer: RunJournal, clock: Clock, observer: Observer
) -> WebhookDispatcher:
    manifest = batch.manifest
    return WebhookDispatcher(
        manifest.callbacks,
        JournalOutbox(manifest.name, manifest.callbacks, writer, batch.history, clock),
        clock,
        random.random,
        manifest.policy.retry,
        simulated=manifest.environment.is_simulated,
        observer=observer,
        may_write=writer.may_write,
    )


async def _keep_checkpoints(
    batch: PlannedBatch, writer: RunJournal, clock: Clock, observer: Observer
) -> None:
    """Write checkpoints while the journal grows, until cancelled.

    Otherwise a copy that is made during a run that is killed later could be restored unnoticed,
    and the interactions that were moved after the copy would be moved twice.
    """
    store, failures = batch.store, list[StorageError]()
    written = store.seq

    def write() -> None:  # in the writer's thread, between two transactions
        nonlocal written
        if store.seq != written:
            written = store.seq
            try:
                batch.checkpoints.write(store, at=clock.wall())
            except StorageError as error:  # the journal itself is sound, and the run goes on
                failures.append(error)

    while not failures:
        await clock.sleep(CHECKPOINT_EVERY_S)
        await writer.perform(write)
    observer.warned(
        "no further checkpoints of the journal are written: a copy of it, restored later, may not"
        " be recognised",
        why=str(failures[0]),
    )


def _after_failures(end: RunEnd, stop: StopSignal) -> RunEnd:
    """Return a run's end, where work beside the engine may have failed after the engine ended."""
    if stop.code in {ExitCode.STORAGE, ExitCode.LOCKED, ExitCode.BUG}:
        return replace(end, halted=stop.code, explanation=stop.reason, error=stop.error)
    return end
