"""One seed: a gateway, a batch, runs that are killed and begun again, a fine day at last."""

from __future__ import annotations

import asyncio
import gc
import random
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner.core.breaker import BreakerPolicy
from runner.core.evidence import Dedupes, Expires, Promise
from runner.core.manifest import (
    Driver,
    Endpoints,
    Environment,
    Limits,
    Policy,
    RetryPolicy,
    Secret,
    TransferRow,
)
from runner.core.media import Audio, MediaMatrix
from runner.core.outcome import ExitCode, Outcome
from runner.journal.staging import Selection, Staging
from tests.simulation.gateway import Gateway, Promised
from tests.simulation.judge import Evidence, Finding, judge
from tests.simulation.life import NEVER, Doom, Life
from tests.simulation.process import Ended, Orders, Parts, Plan, Process, planned
from tests.simulation.weather import FINE, SLOWEST_S, STALL_LIMIT_S
from tests.simulation.world import World, WorldClock, WorldLoop

HERE = "genesys://queue/here"
HD = MediaMatrix(Audio("opus", 64, 16))
NARROW = MediaMatrix(Audio("pcmu", 64, 8))

FINE_RUNS = 4
"""Runs on a fine day after which everything that may be moved has been."""

DRAINED_S = STALL_LIMIT_S + 2 * SLOWEST_S + 20
"""After which nothing that any process sent is on its way any more."""

LARGEST_STEP_S = 600.0
"""How far the wall clock is set at most."""

EVERYTHING = Selection()

REAL_PARTS = Parts()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one seed."""

    seed: int
    findings: tuple[Finding, ...]
    trace: str
    virtual_s: float
    happened: Counter[str]
    story: tuple[str, ...] = ()


@dataclass(slots=True)
class Scenario:
    """Everything that a seed decides, and the runs that it leads to."""

    world: World
    folder: Path
    parts: Parts
    chance: random.Random = field(init=False)
    promised: Promised = field(init=False)
    gateway: Gateway = field(init=False)
    orders: Orders = field(init=False)
    ended: list[Ended] = field(default_factory=list)
    runs: int = 0
    boot: int = 0
    booted_at: float = 0.0
    deaths: dict[int, float] = field(default_factory=dict)
    early: Plan | None = None

    def __post_init__(self) -> None:
        self.chance = self.world.chance("scenario")
        self.promised = _promised(self.chance)
        weather = self.parts.weather(self.chance)
        if self.promised.dedupes_s is not None and self.promised.dedupes_s < STALL_LIMIT_S / 0.1:
            # Ids are kept for so short a time that a frame must not be held up on its way.
            weather = replace(weather, gateway_stalls=0.0, stops_at_send=0.0)
        self.gateway = Gateway(
            self.world,
            weather,
            self.promised,
            skew_s=self.chance.choice((0, 0, -3, 3)),
        )
        self.orders = _orders(self.chance, self.promised, self.folder / "journal.db")
        for what in (self.promised, self.orders.policy, self.orders.environment.limits):
            self.world.note("given", what)
        self.world.note("weather", self.gateway.weather)

    async def play(self) -> list[Finding]:
        """Run until done, then judge."""
        interactions = self._people()
        with Staging() as morning, Staging() as evening:
            for n, interaction_id in enumerate(interactions):
                morning.add(_row(n, f"m{n}", interaction_id, self.chance))
                evening.add(_row(n, f"e{n}", interaction_id, self.chance))
            await self._bad_days(morning, evening)
            await self._fine_day(morning, evening)
        return judge(
            Evidence(
                self.gateway.ledger, self.ended, interactions, self.orders, self.promised,
                self.folder / "journal.db", reboots=self.boot, deaths=self.deaths,
                wall=self.gateway.wall() - self.world.now, stalled_s=self.world.stalled_s,
            )
        )  # fmt: skip

    def _people(self) -> list[str]:
        """Let there be interactions, a few of which cannot be moved."""
        names = [f"i{n}" for n in range(self.chance.choice((1, 3, 6, 10, 16)))]
        for name in names:
            drawn = self.chance.random()
            if drawn < 0.03:
                self.gateway.ledger.touched.add(name)  # there is no such interaction
            elif drawn < 0.06:
                self.gateway.add(name, state="completed")
            elif drawn < 0.08:
                self.gateway.add(name, uri=HERE)
            else:
                self.gateway.add(name, state=self.chance.choice(("active", "queued")))
        if self.chance.random() < 0.2:
            self._let_somebody_act([n for n in names if n not in self.gateway.ledger.touched])
        return names

    def _let_somebody_act(self, names: list[str]) -> None:
        for name in names:
            if self.chance.random() < 0.2:
                ends = self.chance.random() < 0.5
                state, uri = ("completed", None) if ends else (None, "sip:somebody@else.example")
                self.world.after(
                    self.chance.uniform(0, 30),
                    lambda name=name, state=state, uri=uri: self.gateway.change(
                        name, state=state, uri=uri
                    ),
                )

    async def _bad_days(self, morning: Staging, evening: Staging) -> None:
        two_batches = self.chance.random() < 0.2
        for _ in range(self.chance.randint(1, 4)):
            batch = ("evening", evening) if two_batches and self.chance.random() < 0.4 else None
            selection = self._selection()
            await self._run(*(batch or ("morning", morning)), Doom.drawn(self.chance), selection)
            await self.world.idle(self.chance.choice((0.05, 1, 5, 60)) * self.chance.random())

    async def _fine_day(self, morning: Staging, evening: Staging) -> None:
        self.gateway.heal()
        await self.world.idle(DRAINED_S)
        if self.promised.expires_s is not None:
            await self.world.idle(LARGEST_STEP_S)  # a fence farther off is left to a later run
        for _ in range(FINE_RUNS):
            ended = await self._run("morning", morning, NEVER)
            assert ended is not None
            if ended.code is ExitCode.OK:
                break
        before = len(self.gateway.ledger.frames)
        if self.chance.random() < 0.2 and ended.code is ExitCode.OK:
            await self._run("evening", evening, NEVER)
            skipped = {row.interaction_id for row in ended.rows if row.outcome is Outcome.SKIPPED}
            assert {f.interaction_id for f in self.gateway.ledger.frames[before:]} <= skipped
        await self.world.idle(DRAINED_S)

    def _selection(self) -> Selection:
        drawn = self.chance.random()
        if drawn < 0.08:
            return Selection(only=("?1*", "?2"))
        return Selection(limit=self.chance.randint(1, 5)) if drawn < 0.16 else EVERYTHING

    async def _run(
        self, batch: str, staging: Staging, doom: Doom, selection: Selection = EVERYTHING
    ) -> Ended | None:
        self.runs += 1
        life = Life(self.world, doom, self.runs, self.gateway.weather)
        process = Process(life, self.gateway, self.orders, self.parts, self._clock())
        self._disturb(life, process.clock)
        early, self.early = self.early, None
        if self.parts.plans_early and self.orders.journal.exists():
            self.early = planned(staging, self.orders.journal, EVERYTHING)
        self.world.note("run", self.runs, batch, doom, selection)
        ended = await process.live(batch, staging, selection, early)
        if ended is not None:
            self.world.note("ended", self.runs, ended.code.name, *(r.outcome for r in ended.rows))
            self.ended.append(ended)
        elif life.killed_at is not None:
            self.deaths[self.runs] = life.killed_at
        return ended

    def _clock(self) -> WorldClock:
        if self.boot == 0 or self.chance.random() < 0.1:
            self.boot += 1
            self.booted_at = self.world.now
        return WorldClock(self.world, boot=f"boot-{self.boot}", booted_at=self.booted_at)

    def _disturb(self, life: Life, clock: WorldClock) -> None:
        """Stop the process now and then, set its clock, ask it to end."""
        weather, chance, loop = life.weather, life.chance, self.world.loop
        if weather is FINE:
            return
        if chance.random() < 0.25:
            wait_s = chance.choice((0.2, 5, 40)) * chance.random()
            loop.call_later(wait_s, _signal, life)

        def repeat(share: float, befall: object) -> None:
            def strike() -> None:
                if not life.is_over and self.gateway.weather is not FINE:
                    befall()
                    repeat(share, befall)

            if share:
                loop.call_later(chance.expovariate(share), strike)

        def step() -> None:
            clock.step_s = chance.choice((-LARGEST_STEP_S, -20.0, -2.0, 0.0, 2.0, 20.0, LARGEST_STEP_S))
            self.world.note("clock set", clock.step_s)

        repeat(weather.stops, lambda: self.world.stall(chance.choice((0.3, 2, 12, 60))))
        repeat(weather.steps, step)


def _signal(life: Life) -> None:
    if not life.is_over:
        life.world.note("SIGTERM")
        life.halt.stop(ExitCode.TERMINATED, "stopped by SIGTERM")


def _promised(chance: random.Random) -> Promised:
    tells_ids = chance.random() < 0.8
    match chance.choice(("nothing", "dedupes", "expires")):
        case "dedupes":
            return Promised(dedupes_s=chance.choice((60.0, 900.0, 86_400.0)), tells_ids=tells_ids)
        case "expires":
            expires_s, visible_s = chance.choice((5.0, 30.0)), chance.choice((0.0, 2.0, 10.0))
            return Promised(expires_s=expires_s, visible_s=visible_s, tells_ids=tells_ids)
        case _:
            return Promised(tells_ids=tells_ids)


def _promise(promised: Promised) -> Promise:
    """Return what the manifest declares: exactly what the gateway promises."""
    if promised.dedupes_s is not None:
        return Dedupes(promised.dedupes_s)
    if promised.expires_s is not None:
        return Expires(promised.expires_s, promised.visible_s)
    return None


def _orders(chance: random.Random, promised: Promised, journal: Path) -> Orders:
    limits = Limits(
        rate_per_s=chance.choice((None, 1.5, 5.0, 25.0, 200.0)),
        burst=chance.choice((1, 1, 3)),
        in_flight=chance.choice((1, 4, 64)),
        http_rate_per_s=chance.choice((None, None, 5.0)),
    )
    endpoints = Endpoints(
        token_url="https://gateway.example/token",
        api_url="https://gateway.example",
        websocket_url="wss://gateway.example/ws",
    )
    environment = Environment(
        name="simulated",
        driver=Driver.INTERACTION_WEBSOCKET,
        gateway="gateway",
        limits=limits,
        endpoints=endpoints,
        client_id=Secret("client"),
        client_secret=Secret("secret-of-the-simulation"),
    )
    policy = Policy(
        preflight=chance.random() < 0.6,
        negotiation_timeout_s=chance.choice((2.0, 10.0)),
        retry=RetryPolicy(chance.choice((1, 2, 4, 4)), base_s=chance.choice((0.1, 1.0)), cap_s=10.0),
        circuit_breaker=BreakerPolicy(
            failures=chance.choice((2, 8)),
            cool_down_s=chance.choice((2.0, 15.0)),
            give_up_s=chance.choice((20.0, 60.0)),
        ),
    )
    return Orders(environment, policy, _promise(promised), journal)


def _row(n: int, key: str, interaction_id: str, chance: random.Random) -> TransferRow:
    media = (HD, NARROW) if chance.random() < 0.7 else (HD,)
    return TransferRow(key, interaction_id, HERE, media, ("crm",), f"batch.yaml:{n}")


def run_seed(seed: int, parts: Parts = REAL_PARTS, *, tells: bool = False) -> Verdict:
    """Play one seed and judge it; the same seed gives the same verdict and trace."""
    loop = WorldLoop()
    world = World(loop, seed)
    if tells:
        world.story = []
    loop.set_exception_handler(lambda _loop, context: world.complain(context))
    with (
        warnings.catch_warnings(),
        tempfile.TemporaryDirectory(prefix="simulation-") as folder,
        asyncio.Runner(loop_factory=lambda: loop) as runner,
    ):
        # What a killed process had not begun is never awaited.
        warnings.filterwarnings("ignore", ".*was never awaited", RuntimeWarning)
        scenario = Scenario(world, Path(folder), parts)
        try:
            findings = runner.run(scenario.play())
        except AssertionError as wrong:
            findings = [Finding("hung", str(wrong))]
    del scenario
    gc.collect(0)
    findings += [Finding("unhandled", complaint) for complaint in world.complaints]
    return Verdict(
        seed, tuple(findings), world.trace, loop.time(), world.happened, tuple(world.story or ())
    )

