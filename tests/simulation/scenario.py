"""One seed: a gateway, a batch, runs that are killed and begun again, a fine day at last."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from runner.app.wait_for_window import pauses
from runner.core.exit_code import ExitCode
from runner.core.manifest.model import Policy
from runner.staging.rows import Selection, Staging
from tests.simulation.builders import (
    EVERYTHING,
    HERE,
    THERE,
    draw_course,
    draw_orders,
    draw_people,
    draw_promised,
    draw_row,
    draw_selection,
)
from tests.simulation.capacity import bounded, draw_capacity, without_figures
from tests.simulation.delivery_faults import FINE, SLOWEST_S, STALL_LIMIT_S
from tests.simulation.evidence import Evidence, Finding
from tests.simulation.gateway import Gateway
from tests.simulation.judge import judge
from tests.simulation.life import NEVER, Doom, Life
from tests.simulation.process import (
    Course,
    Crashed,
    Ended,
    HandOver,
    Parts,
    Plan,
    Process,
    planned,
)
from tests.simulation.process_faults import LARGEST_STEP_S, ProcessFaults
from tests.simulation.recurring_windows import Waited, draw_windows
from tests.simulation.simulation import SimulatedClock, SimulatedLoop, Simulation
from tests.simulation.sockets import SocketServer
from tests.simulation.target_queue import draw_target

FINE_RUNS = 4
"""Runs on a fine day after which everything that may be moved has been."""

DRAINED_S = STALL_LIMIT_S + 2 * SLOWEST_S + 20
"""After which nothing that any process sent is on its way any more."""

WINDOWS_SHARE = 0.25
"""The share of worlds in which runs have recurring windows."""

LONGEST_WAIT_S = 200.0
"""How long a run waits for its windows at most."""

SOCKETS_EVERY = 4
"""Every so many seeds the network is the real `websockets` library; else it is a pipe."""

REAL_PARTS = Parts()

STOPS = {
    "was not healthy": "stopped by a wave",
    "above max_failures": "stopped by failures",
    "the window (policy.window) opens": "too early for its window",
    "the window (policy.window) closed": "stopped by its window",
    "the windows (policy.windows)": "outside its windows",
    "destination full": "stopped by a full destination",
    "answered no look-up for": "stopped by an outage",
}
"""What ends a run by its own rules, by the words of its explanation."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one seed."""

    seed: int
    findings: tuple[Finding, ...]
    trace: str
    virtual_s: float
    happened: Counter[str]
    story: tuple[str, ...] = ()


class Scenario:
    """Everything that a seed decides, and the runs that it leads to."""

    def __init__(self, simulation: Simulation, folder: Path, parts: Parts) -> None:
        self._simulation = simulation
        self._parts = parts
        self._chance = simulation.chance("scenario")
        self._over_sockets = simulation.seed % SOCKETS_EVERY == 0
        self._promised = draw_promised(self._chance)
        delivery_faults = parts.delivery_faults(self._chance)
        if self._promised.dedupes_s is not None and self._promised.dedupes_s < STALL_LIMIT_S / 0.1:
            # Ids are kept for so short a time that a frame must not be held up on its way.
            delivery_faults = replace(delivery_faults, gateway_stalls=0.0, stops_at_send=0.0)
        self._sets_clocks = delivery_faults.steps > 0
        self._rest_faults = delivery_faults.rest_faults > 0
        skew_s = self._chance.choice((0, 0, -3, 3))
        self._gateway = Gateway(simulation, delivery_faults, self._promised, skew_s=skew_s)
        journal = folder / "journal.db"
        self._orders = draw_orders(
            self._chance, self._promised, journal, over_sockets=self._over_sockets
        )
        drawn = draw_capacity(simulation)
        target = draw_target(simulation, drawn)
        capacity = bounded(target, drawn, simulation)
        self._orders = replace(self._orders, capacity=capacity, target=target)
        self._elsewhere = self._chance.choice((HERE, HERE, HERE, HERE, HERE, THERE))
        self._socket_server: SocketServer | None = None
        self._ended: list[Ended] = []
        self._deaths: dict[int, float] = {}
        self._courses: dict[int, Course] = {}
        self._course_chance = simulation.chance("course")
        self._window_chance = simulation.chance("windows")
        self._has_windows = self._window_chance.random() < WINDOWS_SHARE
        self._waited: list[Waited] = []
        self._listed: dict[str, int] = {}
        self._runs = 0
        self._boots = 0
        self._booted_at = 0.0
        self._early: Plan | None = None
        self._hand_over: HandOver | None = None
        self._tell_what_is_given(delivery_faults)

    async def play(self) -> list[Finding]:
        """Run until done, then judge."""
        people = draw_people(self._chance, self._simulation, self._gateway.gateway_state)
        async with AsyncExitStack() as stack:
            if self._over_sockets:
                self._socket_server = await stack.enter_async_context(SocketServer(self._gateway))
            morning, evening = stack.enter_context(Staging()), stack.enter_context(Staging())
            for n, interaction_id in enumerate(people):
                morning.add(draw_row(n, f"m{n}", interaction_id, self._chance, HERE))
                evening.add(draw_row(n, f"e{n}", interaction_id, self._chance, self._elsewhere))
            await self._bad_days(morning, evening)
            await self._fine_day(morning, evening)
            return judge(self._evidence(people))

    async def _bad_days(self, morning: Staging, evening: Staging) -> None:
        """Run a few times under every fault, now and then under another batch's name."""
        evenings = 0.5 if self._elsewhere == THERE else self._chance.choice((0, 0, 0, 0, 0.4))
        for _ in range(self._chance.randint(1, 4)):
            late = self._chance.random() < evenings
            batch, staging = ("evening", evening) if late else ("morning", morning)
            doom, selection = Doom.drawn(self._chance), draw_selection(self._chance)
            await self._run(batch, staging, doom, selection)
            gap_s = self._chance.choice((0.05, 1, 5, 60)) * self._chance.random()
            await asyncio.sleep(gap_s)

    async def _fine_day(self, morning: Staging, evening: Staging) -> None:
        """Run until everything is settled, and once more under another name."""
        self._gateway.heal()
        await asyncio.sleep(DRAINED_S)
        if self._promised.expires_s is not None:
            await asyncio.sleep(LARGEST_STEP_S)  # a fence farther off is left to a later run
        for _ in range(FINE_RUNS):
            ended = await self._run("morning", morning, NEVER)
            if ended is None or ended.code is ExitCode.OK:
                break
        if self._chance.random() < 0.2 and self._elsewhere == HERE:
            await self._run("evening", evening, NEVER)
        await asyncio.sleep(DRAINED_S)

    async def _run(
        self, batch: str, staging: Staging, doom: Doom, selection: Selection = EVERYTHING
    ) -> Ended | None:
        self._runs += 1
        life = Life(self._simulation, doom, self._runs, self._gateway.delivery_faults)
        clock, orders = self._clock(), self._orders
        if life.delivery_faults is not FINE:  # on a fine day everybody is to be moved
            policy = self._course_of(orders.policy, clock.wall())
            orders = replace(orders, policy=policy)
            await self._wait(policy, clock)
        elif orders.target is None:
            orders = replace(orders, capacity=without_figures(orders.capacity))
        process = Process(
            life,
            self._gateway,
            orders,
            self._parts,
            clock=clock,
            socket_server=self._socket_server,
            hand_over=self._hand_over,
        )
        if life.delivery_faults is not FINE:
            ProcessFaults(life, clock).begin()
        self._simulation.note("run", self._runs, batch, doom, selection)
        ended = await process.live(batch, staging, selection, self._planned_early(staging))
        self._courses[self._runs] = process.course
        if ended is not None:
            self._simulation.note(
                "ended", ended.run, ended.code.name, *(r.outcome for r in ended.rows)
            )
            self._note_why(ended)
            self._ended.append(ended)
        elif life.killed_at is not None:
            self._deaths[self._runs] = life.killed_at
        return ended

    def _course_of(self, policy: Policy, wall_s: float) -> Policy:
        """Draw how far a run may go."""
        course = draw_course(self._course_chance, policy, wall_s)
        if not self._has_windows:
            return course
        return replace(course, windows=draw_windows(self._window_chance, wall_s))

    async def _wait(self, policy: Policy, clock: SimulatedClock) -> None:
        """Let a run that has windows begin near the end of a minute, or wait for them (`--wait`)."""
        if not policy.windows:
            return
        await asyncio.sleep((self._window_chance.uniform(57, 60) - clock.wall()) % 60)
        if self._window_chance.random() < 0.6:
            return
        has_waited, followed = False, self._parts.policy(policy)
        for pause_s in pauses(
            lambda: followed.shut_until_s(clock.wall()),
            clock.wall,
            LONGEST_WAIT_S,
            lambda words: self._simulation.note("waits", words),
        ):
            has_waited = True
            await asyncio.sleep(pause_s)
        if has_waited and policy.window is None:
            self._waited.append(Waited(self._runs, policy.windows, clock.wall()))

    def _note_why(self, ended: Ended) -> None:
        for words, kind in STOPS.items():
            if words in (ended.explanation or ""):
                self._simulation.note(kind, ended.run)

    def _clock(self) -> SimulatedClock:
        if self._boots == 0 or self._chance.random() < 0.1:
            self._boots += 1
            self._booted_at = self._simulation.now
        return SimulatedClock(
            self._simulation, boot=f"boot-{self._boots}", booted_at=self._booted_at
        )

    def _planned_early(self, staging: Staging) -> Plan | None:
        """Return what was planned while the run before went on: only a planted fault does so."""
        early, self._early = self._early, None
        if self._parts.plans_early and self._orders.journal.exists():
            self._early = planned(staging, self._orders.journal, EVERYTHING)
        return early

    def _evidence(self, people: list[str]) -> Evidence:
        return Evidence(
            ledger=self._gateway.ledger,
            runs=self._ended,
            interactions=people,
            orders=self._orders,
            promised=self._promised,
            elsewhere=self._elsewhere != HERE,
            courses=self._courses,
            deaths=self._deaths,
            boots=self._boots,
            wall=self._gateway.gateway_state.wall() - self._simulation.now,
            stalled_s=self._simulation.stalled_s,
            rest_faults=self._rest_faults,
            sets_clocks=self._sets_clocks,
            waited=self._waited,
            listed=self._listed,
        )

    def _tell_what_is_given(self, delivery_faults: object) -> None:
        limits = self._orders.environment.limits
        if (target := self._orders.target) is not None:
            self._simulation.note("given", target)
            self._simulation.happened[f"figures: {target.kind}"] += 1
        for what in (self._promised, self._orders.policy, limits, delivery_faults):
            self._simulation.note("given", what)


class Playable(Protocol):
    """What one seed leads to."""

    async def play(self) -> list[Finding]:
        """Run until done, then judge."""


def run_seed(seed: int, parts: Parts = REAL_PARTS, *, tells: bool = False) -> Verdict:
    """Play one seed and judge it; the same seed gives the same verdict and trace."""
    with tempfile.TemporaryDirectory(prefix="simulation-") as folder:
        return played(
            seed, lambda simulation: Scenario(simulation, Path(folder), parts), tells=tells
        )


def played(seed: int, begin: Callable[[Simulation], Playable], *, tells: bool) -> Verdict:
    """Play what a seed leads to in a world of its own."""
    loop = SimulatedLoop()
    simulation = Simulation(loop, seed)
    if tells:
        simulation.story = []
    loop.set_exception_handler(lambda _loop, context: simulation.complain(context))
    with warnings.catch_warnings(), asyncio.Runner(loop_factory=lambda: loop) as runner:
        # What a killed process had not begun is never awaited.
        warnings.filterwarnings("ignore", ".*was never awaited", RuntimeWarning)
        scenario = begin(simulation)
        try:
            findings = runner.run(scenario.play())
        except Crashed as crashed:
            findings = [Finding("crashed", str(crashed))]
    del scenario
    gc.collect(0)
    findings += [Finding("unhandled", complaint) for complaint in simulation.complaints]
    return Verdict(
        seed,
        tuple(findings),
        simulation.trace,
        loop.time(),
        simulation.happened,
        tuple(simulation.story or ()),
    )
