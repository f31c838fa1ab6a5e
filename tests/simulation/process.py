"""One run of the runner, put together as `app.apply` does, on simulated adapters."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from runner.app.worker import hold_to_plan
from runner.core.exit_code import ExitCode, exit_code
from runner.core.manifest.destinations import NO_LIMITS, DestinationTable
from runner.core.manifest.model import Callback, Environment, Policy
from runner.core.pacing.batch_so_far import BatchSoFar, batch_so_far
from runner.core.pacing.pace_left import PaceLeft
from runner.core.records.run_record import Figures, RunRecord, TransferRecord
from runner.core.records.summary import summarize
from runner.core.timestamps import timestamp
from runner.core.transfer.canonical_form import canonical_interaction
from runner.core.transfer.doubt_evidence import Promise
from runner.core.transfer.frozen_plan import FrozenPlan, FrozenRow
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.plan_decision import SENDS, Decision
from runner.core.transfer.rows import PlannedRow, TransferRow
from runner.engine.callback_factory import CallbackFactory
from runner.engine.rules import Randomness, Rules
from runner.engine.run import BatchRun
from runner.engine.run_spec import RunEnd, RunSpec
from runner.gateways.interaction_transfer.format_verification import FormatVerifier
from runner.gateways.interaction_transfer.protocol.request import build_message
from runner.gateways.websocket.transport import Dial
from runner.journal.sqlite.reader import Reader
from runner.journal.sqlite.store import Store
from runner.ports import Gateway as GatewayPort
from runner.ports import Progress
from runner.staging.rows import Selection, Staging
from tests.simulation.capacity import ObservedWebSocket
from tests.simulation.delivery_faults import DeliveryFaults
from tests.simulation.gateway import Gateway
from tests.simulation.journal import SimulatedJournal
from tests.simulation.life import Life
from tests.simulation.network import Dialling, Place, RestSide
from tests.simulation.operator_commands import Operator
from tests.simulation.simulation import RUN, SimulatedClock, tasks_of
from tests.simulation.sockets import SocketDialling, SocketServer
from tests.simulation.target_queue import TargetQueue

CALLBACKS = {"crm": Callback("crm", "https://crm.example/hook")}

VERIFIER = FormatVerifier()

LONGEST_RUN_S = 2 * 3600.0
"""A run that takes longer hangs."""

ORIGIN = "wss://gateway.example"


Plan = list[tuple[PlannedRow, Decision]]


@dataclass(frozen=True, slots=True)
class Orders:
    """What every run of a seed is to do, and by which rules."""

    environment: Environment
    policy: Policy
    promise: Promise
    journal: Path
    capacity: DestinationTable = NO_LIMITS
    target: TargetQueue | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """The policy of one run, and the numbers of the rows that it was to send, in order."""

    policy: Policy
    sends: Sequence[int]
    failed_as: Mapping[int, str] = field(default_factory=dict)  # the codes of earlier failures
    destinations: tuple[str, ...] = ()  # of all rows: what is in doubt may be repeated
    capacity: DestinationTable = NO_LIMITS

    @property
    def failed_before(self) -> int:
        """How many of them were rejected or failed before."""
        return len(self.failed_as)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a run is put together from; planted faults replace one."""

    store: type[Store] = Store
    journal: type[SimulatedJournal] = SimulatedJournal
    promise: Callable[[Promise], Promise] = lambda promise: promise
    new_id: Callable[[Life, SimulatedClock], Callable[[], str]] = lambda life, _clock: (
        lambda: str(uuid.UUID(int=life.chance.getrandbits(128), version=4))
    )
    gateway: Callable[[GatewayPort], GatewayPort] = lambda gateway: gateway
    dial: Callable[[Dial], Dial] = lambda dial: dial
    delivery_faults: Callable[[random.Random], DeliveryFaults] = DeliveryFaults.drawn
    policy: Callable[[Policy], Policy] = lambda policy: policy
    plan: Callable[[Plan], Plan] = lambda plan: plan
    pace: Callable[[PaceLeft], PaceLeft] = lambda left: left
    reverts: Callable[[str | None], str | None] = lambda run_id: run_id  # as the journal has it
    return_row: Callable[[TransferRow], TransferRow] = lambda row: row  # of an undo
    batch: type[BatchRun] = BatchRun
    so_far: Callable[[BatchSoFar | None], BatchSoFar | None] = lambda so_far: so_far
    plans_early: bool = False  # before the run that holds the lock has ended


@dataclass
class HandOver:
    """A batch that later runs go on with, as workers do with a submission."""

    frozen: FrozenPlan | None = None  # the plan of its first run
    first_run: str = ""
    course: Course | None = None  # the first run's: the batch's
    runs: list[int] = field(default_factory=list)  # their numbers in the journal

    @property
    def continues(self) -> dict[str, Any]:
        """What the first event of a later run says."""
        return {"continues": self.first_run} if self.first_run else {}

    def planned(self, staging: Staging, journal: Path) -> tuple[Plan, BatchSoFar | None]:
        """Plan a run, held to the first one's plan, and find where the batch stands."""
        with closing(Reader(journal)) as history:
            staging.plan(history, Selection())
            if self.frozen is None:
                return list(staging.planned()), None
            earlier = history.earlier_runs(self.frozen.first_run)
            moved = history.moved_since(self.frozen.last_transfer_id)
        hold_to_plan(staging, self.frozen, moved, earlier)
        plan = list(staging.planned())
        to_send = (row.turn for row, decision in plan if decision.action in SENDS)
        return plan, batch_so_far(self.frozen, earlier, to_send)

    def stored(self, store: Store, plan: Plan, course: Course) -> None:
        """Learn that a run's plan is durable."""
        self.runs.append(store.run_no)
        if self.frozen is None:
            rows = {
                canonical_interaction(row.interaction_id): FrozenRow(
                    row.destination_uri, decision.action, row.n, row.failed_as
                )
                for row, decision in plan
            }
            self.frozen = FrozenPlan(store.run_no, rows, store.last_transfer_id)
            self.first_run, self.course = store.run_id, course


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run that was not killed ended, and what its report says."""

    run: int
    batch: str
    began_at: float
    ended_at: float
    code: ExitCode
    halted: ExitCode | None
    explanation: str | None
    rows: tuple[TransferRecord, ...]
    elsewhere: int  # doubts that its manifest does not list
    left_behind: tuple[str, ...] = ()  # tasks that did not end with it


class Crashed(Exception):
    """A run that hung, or ended by an exception, which no fault of the world is a reason for."""


class Process:
    """One process that applies a batch; `live` returns None if it was killed."""

    def __init__(
        self,
        life: Life,
        gateway: Gateway,
        orders: Orders,
        parts: Parts,
        *,
        clock: SimulatedClock,
        socket_server: SocketServer | None = None,
        hand_over: HandOver | None = None,
    ) -> None:
        self.hand_over = hand_over  # a run of a batch that goes on from run to run
        self._so_far: BatchSoFar | None = None
        self.life = life
        self.clock = clock
        self._gateway = gateway
        self._orders = orders
        self._parts = parts
        self._simulation = life.simulation
        self._socket_server = socket_server
        self.course = Course(orders.policy, ())  # how it was to be carried out, once planned

    async def live(
        self, batch: str, staging: Staging, selection: Selection, plan: Plan | None = None
    ) -> Ended | None:
        """Apply a batch; `plan` is what was planned before the lock was had, which is a fault."""
        RUN.set(self.life.number)
        work = asyncio.create_task(self._apply(batch, staging, selection, plan))
        RUN.set(0)
        ends: set[asyncio.Future[Any]] = {work, self.life.ended}
        await asyncio.wait(ends, timeout=LONGEST_RUN_S, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            self.life.retire()
            return self._result(work)
        hung = not self.life.is_over
        self.life.die()
        self._simulation.forget_tasks(self.life.number)
        await self._bury()
        if hung:
            raise Crashed(f"run {self.life.number} did not end within {LONGEST_RUN_S:g} s")
        return None

    def _result(self, work: asyncio.Task[Ended]) -> Ended:
        if (error := work.exception()) is not None:
            raise Crashed(f"run {self.life.number} raised {error!r}") from error
        return replace(work.result(), left_behind=tuple(map(repr, self._tasks())))

    async def _bury(self) -> None:
        """Take what is left of a dead process out of the loop; it reaches nothing any more."""
        for _ in range(50):
            for task in self._tasks():
                task.cancel()
            await asyncio.sleep(0)
            if not self._tasks():
                return
        raise Crashed(f"run {self.life.number} cannot be taken apart: {self._tasks()}")

    def _tasks(self) -> list[asyncio.Task[Any]]:
        return tasks_of(self.life.number)

    async def _apply(
        self, batch: str, staging: Staging, selection: Selection, plan: Plan | None
    ) -> Ended:
        began_at = self._simulation.now
        with self._opened() as (store, reader):
            record = self._record(batch, self._parts.reverts(selection.reverts))
            continues: dict[str, Any] = {} if self.hand_over is None else self.hand_over.continues
            store.begin_run(record.id, asdict(record), at=self.clock.wall(), **continues)
            await self._may_die()
            store.recover(at=self.clock.wall())
            await self._may_die()
            if self.hand_over is not None:
                plan, self._so_far = self.hand_over.planned(staging, self._orders.journal)
            if plan is None:
                plan = planned(staging, self._orders.journal, selection)
            self.course = _course(self._orders, plan)
            plan = self._parts.plan(plan)
            stored = plan
            store.store_plan(lambda: stored)
            if self.hand_over is not None:
                self.hand_over.stored(store, plan, self.course)
            await self._may_die()
            ending = await self._carry(store, reader, batch)
            return self._finish(store, reader, record, ending, began_at)

    async def _may_die(self) -> None:
        if self.life.reaches("start") is not None:
            self.life.die()
            await self.life.silence()

    @contextmanager
    def _opened(self) -> Iterator[tuple[Store, Reader]]:
        store = self._parts.store(self._orders.journal, environment="simulated", origin=ORIGIN)
        try:
            reader = Reader(self._orders.journal)
            try:
                yield store, reader
            finally:
                reader.close()
        finally:
            store.close()

    def _record(self, batch: str, reverts: str | None) -> RunRecord:
        return RunRecord(
            id=f"run-{self.life.number}", batch=batch, environment="simulated",
            driver="interaction-websocket", gateway="gateway",
            started_at=timestamp(self.clock.wall()), finished_at=None, outcome="unfinished",
            exit_code=0, runner_version="0", host="host", user="user", labels={},
            manifest_path="manifest.yaml", manifest_sha256="0" * 64, options={}, reverts=reverts,
        )  # fmt: skip

    async def _carry(self, store: Store, reader: Reader, batch: str) -> RunEnd:
        sends = len(self.course.sends)
        if not sends and not reader.doubts(store.run_no):
            return RunEnd(None, None, None, Figures())
        life = self.life
        journal = self._parts.journal(store, reader, life)
        engine = self._parts.batch(
            self._spec_of(batch, sends, self._parts.pace(reader.pace_left())),
            gateway=self._parts.gateway(self._adapter(reader)),
            journal=journal,
            clock=self.clock,
            observer=Silent(),
            randomness=Randomness(life.chance.random, self._parts.new_id(life, self.clock)),
            after_commit=lambda: None,
            stop_signal=life.stop_signal,
        )
        operator = asyncio.create_task(Operator(life, engine).work())
        try:
            return await engine.run()
        finally:
            operator.cancel()
            await self._end_of(operator)
            await journal.close()

    @staticmethod
    async def _end_of(operator: asyncio.Task[None]) -> None:
        """Raise what the operator found."""
        with suppress(asyncio.CancelledError):
            await operator

    def _spec_of(self, batch: str, sends: int, pace: PaceLeft) -> RunSpec:
        orders = self._orders
        return RunSpec(
            total=sends,
            limits=orders.environment.limits,
            rules=Rules(self._parts.policy(orders.policy), self._parts.promise(orders.promise)),
            callbacks=self._notices(batch),
            find_fault=VERIFIER.find_fault,
            compose=build_message,
            failed_before=self.course.failed_before,
            so_far=self._parts.so_far(self._so_far),
            destinations=orders.capacity,
            observed=orders.capacity.observed(self.course.destinations),
            pace=pace,
        )

    def _notices(self, batch: str) -> CallbackFactory:
        numbers = count(1)
        run = f"run-{self.life.number}"
        return CallbackFactory(
            CALLBACKS, run=run, batch=batch, new_id=lambda: f"{run}-{next(numbers)}"
        )

    def _adapter(self, reader: Reader) -> ObservedWebSocket:
        place = Place(
            self._gateway,
            self.life,
            lambda sent: reader.find(sent) is not None,
            self.clock.wall,
        )
        gateway = ObservedWebSocket(
            self._orders.environment,
            self._orders.policy.retry,
            self.clock,
            self.life.chance.random,
            self._orders.policy.circuit_breaker.give_up_s,
            dial=self._parts.dial(self._dialling(place)),
            transport=RestSide(self._gateway, self.life),
        )
        gateway.life, gateway.target = self.life, self._orders.target
        gateway.effects = self._gateway.ledger.effects
        return gateway

    def _dialling(self, place: Place) -> Dial:
        if self._socket_server is None:
            return Dialling(place)
        return SocketDialling(place, self._socket_server, self.clock.wall)

    def _finish(
        self, store: Store, reader: Reader, record: RunRecord, ending: RunEnd, began_at: float
    ) -> Ended:
        rows = tuple(reader.report_source(store.run_no).transfers())
        summary = summarize(rows, ending.figures)
        elsewhere = len(reader.doubts_elsewhere(store.run_no))
        doubts = summary.counts[Outcome.IN_DOUBT] + elsewhere
        code = exit_code(dict(summary.counts) | {Outcome.IN_DOUBT: doubts}, ending.halted)
        at = self.clock.wall()
        if ending.halted is not ExitCode.STORAGE:
            told = replace(
                record, finished_at=timestamp(at), outcome=code.outcome, exit_code=int(code),
                explanation=ending.explanation,
            )  # fmt: skip
            store.finish_run(asdict(told), asdict(ending.figures), at)
        return Ended(
            self.life.number, record.batch, began_at, self._simulation.now, code, ending.halted,
            ending.explanation, rows, elsewhere,
        )  # fmt: skip


def _course(orders: Orders, plan: Plan) -> Course:
    """Return what a plan is to send, in order."""
    sends = sorted(
        (row for row, verdict in plan if verdict.action in SENDS),
        key=lambda row: (row.failed_as is not None, row.n),
    )
    failed_as = {row.n: row.failed_as for row in sends if row.failed_as is not None}
    destinations = tuple(dict.fromkeys(row.destination_uri for row, _ in plan))
    numbers = [row.n for row in sends]
    return Course(orders.policy, numbers, failed_as, destinations, orders.capacity)


def planned(staging: Staging, journal: Path, selection: Selection) -> Plan:
    """Plan every row by the journal as it is now."""
    with closing(Reader(journal)) as history:
        staging.plan(history, selection)
    return list(staging.planned())


class Silent:
    """Implements `ports.Observer`; nobody watches."""

    def noticed(self, event: str, **fields: object) -> None:
        """Say nothing."""

    def warned(self, event: str, **fields: object) -> None:
        """Say nothing."""

    def progressed(self, progress: Progress) -> None:
        """Say nothing."""
