"""A batch on fakes of its ports and on a virtual clock: minutes pass in milliseconds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from runner.core.manifest.destinations import NO_LIMITS, DestinationTable
from runner.core.manifest.media import MediaMatrix
from runner.core.manifest.model import Callback, Limits, Policy
from runner.core.pacing.batch_so_far import BatchSoFar
from runner.core.pacing.pace_left import FULL_PACE, PaceLeft
from runner.core.records.run_record import Figures
from runner.core.transfer.message import Compose, Message
from runner.core.transfer.rows import PlannedRow
from runner.engine.callback_factory import CallbackFactory
from runner.engine.rules import Randomness, Rules
from runner.engine.run import BatchRun
from runner.engine.run_spec import RunEnd, RunSpec
from runner.engine.stop import StopSignal
from runner.gateways.interaction_transfer.protocol.request import build_message
from runner.ports.control import ControlAnswer, ControlRequest, Requester
from runner.ports.gates import Gates, Prompt, unanswered
from runner.testing.gateway import FakeGateway, Frame, Script, in_turn
from runner.testing.journal import FakeJournal
from runner.testing.loop_clock import LoopClock
from runner.testing.observer import RecordingObserver
from tests.engine.builders import NO_PREFLIGHT, rows
from tests.fakes.virtual import VirtualLoop

OPERATOR = Requester(1000, "alice")


@dataclass
class Run:
    """A batch and all that it touched."""

    gateway: FakeGateway
    journal: FakeJournal
    stop_signal: StopSignal
    observer: RecordingObserver = field(default_factory=RecordingObserver)
    _command_ids: Iterator[int] = field(default_factory=count)
    ending: RunEnd = field(default_factory=lambda: RunEnd(None, None, None, Figures()))
    commits: int = 0  # how often the engine said that something became final
    took_s: float = 0.0
    batch: BatchRun | None = None

    async def command(
        self, text: str, value: str | None = None, *, who: Requester = OPERATOR, **more: str | None
    ) -> ControlAnswer:
        """Give a command, as an operator does; `id_` repeats one."""
        assert self.batch is not None
        id_ = more.pop("id_", None) or f"c{next(self._command_ids)}"
        return await self.batch.commands.handle(ControlRequest(id_, text, value, **more), who)

    @property
    def frames(self) -> list[Frame]:
        """The gateway's own log of frames."""
        return self.gateway.frames

    @property
    def times(self) -> list[float]:
        """When frames arrived."""
        return [frame.at for frame in self.frames]

    def states(self) -> dict[str, str]:
        """Return where every row stands by the journal."""
        return {row.key: self.journal.state(row.key).value for row in self.journal.rows}

    def reason(self, key: str = "k0") -> str | None:
        """Return the last reason recorded of a transfer."""
        return [e.reason for e in self.journal.entries if e.row.key == key][-1]

    def noted(self, event: str) -> list[dict[str, Any]]:
        """Return the audit log's notes of a kind."""
        return [dict(note.fields) for note in self.journal.notes if note.event == event]


Meanwhile = Callable[["Run"], Awaitable[None]]


def run_batch(
    plan: Sequence[PlannedRow] | int = 1,
    *answers: Any,
    script: Script | None = None,
    gateway: FakeGateway | None = None,
    journal: FakeJournal | None = None,
    limits: Limits | None = None,
    policy: Policy = NO_PREFLIGHT,
    rules: Rules | None = None,
    callbacks: dict[str, Callback] | None = None,
    meanwhile: Meanwhile | None = None,
    find_fault: Callable[[Message, MediaMatrix], str | None] = lambda _text, _media: None,
    total_kbps: float | None = None,
    clock: LoopClock | None = None,
    compose: Compose = build_message,
    gates: Gates | None = None,
    gates_every_s: dict[str, float] | None = None,
    prompt: Prompt = unanswered,
    is_planned: bool = False,
    so_far: BatchSoFar | None = None,
    destinations: DestinationTable = NO_LIMITS,
    observed: Sequence[str] = (),
    pace: PaceLeft = FULL_PACE,
    longest_s: float = 3600,
) -> Run:
    """Carry a plan out to its end; `answers` are given to each interaction's deliveries in turn."""
    plan = rows(plan) if isinstance(plan, int) else plan
    gateway = gateway or FakeGateway()
    if answers:
        gateway.script = in_turn(*answers)
    gateway.script = script or gateway.script
    journal = journal or FakeJournal()
    journal.rows, journal.log = plan, gateway.log
    beside = meanwhile or _nothing
    notices = CallbackFactory(callbacks or {}, run="run-1", batch="night", new_id=_numbered("msg_"))
    spec = RunSpec(
        len(plan),
        limits or Limits(),
        rules or Rules(policy),
        notices,
        find_fault,
        compose,
        total_kbps,
        failed_before=sum(row.failed_as is not None for row in plan),
        gates=gates,
        gates_every_s=gates_every_s or {},
        prompt=prompt,
        user="alice",
        is_planned=is_planned,
        so_far=so_far,
        destinations=destinations,
        observed=observed,
        pace=pace,
    )
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(
            _run_batch(
                spec, gateway, journal, beside, clock=clock or LoopClock(), longest_s=longest_s
            )
        )


async def _run_batch(
    spec: RunSpec,
    gateway: FakeGateway,
    journal: FakeJournal,
    meanwhile: Meanwhile,
    *,
    clock: LoopClock,
    longest_s: float,
) -> Run:
    run = Run(gateway, journal, StopSignal())

    def committed() -> None:
        run.commits += 1

    batch = BatchRun(
        spec,
        gateway=gateway,
        journal=journal,
        clock=clock,
        observer=run.observer,
        randomness=Randomness(lambda: 0.5, _numbered("m")),
        after_commit=committed,
        stop_signal=run.stop_signal,
    )
    run.batch = batch
    beside = asyncio.ensure_future(meanwhile(run))
    run.ending = await asyncio.wait_for(batch.run(), longest_s)
    run.took_s = asyncio.get_running_loop().time()
    beside.cancel()
    await asyncio.gather(beside, return_exceptions=True)
    return run


def _numbered(prefix: str) -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"{prefix}{next(numbers)}"


async def _nothing(_run: Run) -> None:
    """Leave the run alone."""


async def after(seconds: float, act: Callable[[], object]) -> None:
    """Do something so many seconds into the run."""
    await asyncio.sleep(seconds)
    act()


def ids(run: Run) -> list[str]:
    return [frame.interaction_id for frame in run.frames]
