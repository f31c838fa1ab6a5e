"""One seed against the platform: an organisation at work, runs that are killed, a fine day at last."""

from __future__ import annotations

import asyncio
import random
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from runner.app.name_resolution import DirectoryAnswers
from runner.core.errors import GatewayError
from runner.core.exit_code import ExitCode
from runner.core.manifest.model import (
    Endpoints,
    Environment,
    Limits,
    Policy,
    QueueSelection,
    RetryPolicy,
    Secret,
)
from runner.core.pacing.circuit_breaker import BreakerPolicy
from runner.core.transfer.doubt_evidence import Expires, Promise
from runner.gateways.genesys_cloud.spec import SPEC as GENESYS_CLOUD
from runner.staging.rows import Staging
from tests.simulation.builders import EVERYTHING, HD, draw_course, draw_row
from tests.simulation.capacity import SLOW_RATES_PER_S, draw_capacity
from tests.simulation.evidence import Course, Finding
from tests.simulation.life import NEVER, Doom, Life
from tests.simulation.platform_delivery_faults import FINE_DAY
from tests.simulation.platform_faults import PlatformFaults
from tests.simulation.platform_judge import PlatformEvidence, judge_platform
from tests.simulation.platform_org import WAITING_ROOM, Organisation
from tests.simulation.platform_people import (
    draw_analytics,
    draw_customs,
    draw_destination,
    let_agents_confer,
    let_people_act,
    populate,
)
from tests.simulation.platform_process import PlatformOrders, PlatformParts, PlatformProcess
from tests.simulation.platform_rest import PlatformMind
from tests.simulation.process import Ended, Plan, planned
from tests.simulation.process_faults import LARGEST_STEP_S, ProcessFaults
from tests.simulation.scenario import FINE_RUNS, STOPS, Verdict, played
from tests.simulation.simulation import SimulatedClock, Simulation

REAL_PARTS = PlatformParts()

DRAINED_S = 180.0
"""After which nothing that any process sent is on its way, and no telephone rings, any more."""

EXPIRES_S, VISIBLE_S = 75.0, 10.0
"""What a manifest may declare of the platform: longer than its own time-out of 60 s."""

WAITING_PLACE = f"genesys://queue/{WAITING_ROOM}"


class PlatformScenario:
    """Everything that a seed decides, and the runs that it leads to."""

    def __init__(self, simulation: Simulation, folder: Path, parts: PlatformParts) -> None:
        self._simulation = simulation
        self._parts = parts
        self._chance = simulation.chance("scenario")
        chance = self._chance
        self._promise: Promise = chance.choice((None, None, Expires(EXPIRES_S, VISIBLE_S)))
        organisation = Organisation(simulation, draw_customs(chance))
        delivery_faults = parts.delivery_faults(chance)
        self._mind = PlatformMind(organisation, delivery_faults, draw_analytics(chance))
        self._destination = draw_destination(chance)
        self._selects = chance.random() < 0.4
        self._freezes = self._selects and chance.random() < 0.5
        self._orders = self._drawn_orders(folder / "journal.db")
        self._course_chance = simulation.chance("course")
        self._ended: list[Ended] = []
        self._listed: dict[int, int] = {}
        self._courses: dict[int, Course] = {}
        self._deaths: dict[int, float] = {}
        self._runs = 0
        self._boots = 0
        self._booted_at = 0.0
        self._frozen: DirectoryAnswers | None = None
        self._early: Plan | None = None
        self._fine_from = 0
        self._refused_to_select = False
        for what in (self._promise, self._orders.policy, organisation.customs, delivery_faults):
            simulation.note("given", what)

    async def play(self) -> list[Finding]:
        """Run until done, then judge."""
        chance, organisation = self._chance, self._mind.organisation
        names = populate(chance, organisation, self._destination, only_waiting=self._selects)
        self._mind.remember()
        PlatformFaults(self._mind).begin()
        let_people_act(chance, self._simulation, self._mind, self._destination)
        let_agents_confer(self._simulation, self._mind, self._destination)
        with ExitStack() as stack:
            listed = stack.enter_context(Staging())
            for n, name in enumerate(names):
                listed.add(draw_row(n, f"m{n}", name, chance, self._destination))
            for _ in range(chance.randint(1, 3)):
                await self._run(listed, Doom.drawn(chance))
                await asyncio.sleep(chance.choice((0.05, 1, 5, 60)) * chance.random())
            await self._fine_day(listed)
        return judge_platform(self._evidence())

    async def _fine_day(self, listed: Staging) -> None:
        organisation = self._mind.organisation
        self._mind.heal()
        self._mind.ambushes.clear()
        self._mind.calls.clear()
        organisation.customs = replace(organisation.customs, hears_out=0.0, fails=0.0)
        await asyncio.sleep(DRAINED_S)
        if self._promise is not None:
            await asyncio.sleep(LARGEST_STEP_S)
        self._fine_from = self._runs + 1
        for _ in range(FINE_RUNS):
            ended = await self._run(listed, NEVER)
            if ended is not None and ended.code is ExitCode.OK:
                break
        await asyncio.sleep(DRAINED_S)

    async def _run(self, listed: Staging, doom: Doom) -> Ended | None:
        self._runs += 1
        mind, clock, orders = self._mind, self._clock(), self._orders
        life = Life(self._simulation, doom, self._runs, mind.delivery_faults)
        if life.delivery_faults is not FINE_DAY:
            policy = draw_course(self._course_chance, orders.policy, clock.wall())
            orders = replace(orders, policy=policy)
        process = PlatformProcess(life, mind, orders, self._parts, clock)
        self._simulation.note("run", self._runs, doom)
        with ExitStack() as stack:
            staging = listed
            if self._selects:
                staging = stack.enter_context(Staging())
                if not await self._select(process, staging):
                    return None
            if life.delivery_faults is not FINE_DAY:
                ProcessFaults(life, clock).begin()
            self._listed[self._runs] = staging.count
            ended = await process.live("morning", staging, EVERYTHING, self._planned_early(staging))
        self._courses[self._runs] = process.course
        if ended is not None:
            self._note_end(ended)
        elif life.killed_at is not None:
            self._deaths[self._runs] = life.killed_at
        return ended

    async def _select(self, process: PlatformProcess, staging: Staging) -> bool:
        """Fill a staging with what waits, or with what an earlier plan found to wait."""
        if self._frozen is None or not self._freezes:
            staging.select(
                QueueSelection(
                    queue=WAITING_ROOM,
                    media_types=frozenset({"call", "message", "email", "callback"}),
                    older_than_s=None,
                    limit=None,
                    destination_uri=self._destination,
                    media=(HD,),
                    callbacks=("crm",),
                    source="batch.yaml:1",
                )
            )
            try:
                self._frozen = await process.select(staging)
            except GatewayError as error:
                self._simulation.note("cannot select", error.what)
                process.life.retire()
                self._refused_to_select = process.life.delivery_faults is FINE_DAY
                return False
            self._refused_to_select = False
        found = self._frozen
        found.add_to(staging)
        self._mind.selected = {row.interaction_id: WAITING_PLACE for row in found.rows}
        self._simulation.note("selected", len(found.rows))
        return True

    def _note_end(self, ended: Ended) -> None:
        self._simulation.note("ended", ended.run, ended.code.name, *(r.outcome for r in ended.rows))
        for words, kind in STOPS.items():
            if words in (ended.explanation or ""):
                self._simulation.note(kind, ended.run)
        for row in ended.rows:
            self._simulation.note(f"outcome {row.outcome}", row.key, row.reason)
        self._ended.append(ended)

    def _planned_early(self, staging: Staging) -> Plan | None:
        early, self._early = self._early, None
        if self._parts.plans_early and self._orders.journal.exists():
            self._early = planned(staging, self._orders.journal, EVERYTHING)
        return early

    def _clock(self) -> SimulatedClock:
        if self._boots == 0 or self._chance.random() < 0.1:
            self._boots += 1
            self._booted_at = self._simulation.now
        return SimulatedClock(
            self._simulation, boot=f"boot-{self._boots}", booted_at=self._booted_at
        )

    def _drawn_orders(self, journal: Path) -> PlatformOrders:
        chance: random.Random = self._chance
        environment = Environment(
            name="simulated",
            driver=GENESYS_CLOUD,
            gateway="gateway",
            limits=Limits(
                rate_per_s=chance.choice((None, 2.0)), in_flight=chance.choice((1, 4, 64))
            ),
            endpoints=Endpoints("https://login.example/oauth/token", "https://api.example"),
            client_id=Secret("client"),
            client_secret=Secret("secret-of-the-simulation"),
        )
        policy = Policy(
            preflight=chance.random() < 0.7,
            negotiation_timeout_s=chance.choice((2.0, 10.0)),
            retry=RetryPolicy(
                chance.choice((1, 2, 4)), base_s=chance.choice((0.1, 1.0)), cap_s=10.0
            ),
            circuit_breaker=BreakerPolicy(
                failures=chance.choice((2, 8)),
                cool_down_s=chance.choice((2.0, 15.0)),
                give_up_s=chance.choice((30.0, 90.0)),
            ),
        )
        return PlatformOrders(
            environment,
            policy,
            self._promise,
            journal,
            capacity=draw_capacity(self._simulation, observed=False, rates_per_s=SLOW_RATES_PER_S),
            destinations=(self._destination,),
        )

    def _evidence(self) -> PlatformEvidence:
        promised = isinstance(self._promise, Expires)
        return PlatformEvidence(
            ledger=self._mind.book,
            organisation=self._mind.organisation,
            runs=self._ended,
            listed=self._listed,
            fine_from=self._fine_from,
            refused_to_select=self._refused_to_select,
            source=WAITING_ROOM if self._selects and not self._freezes else None,
            orders=self._orders,
            courses=self._courses,
            deaths=self._deaths,
            fence_s=EXPIRES_S + VISIBLE_S if promised else None,
        )


def run_platform_seed(
    seed: int, parts: PlatformParts = REAL_PARTS, *, tells: bool = False
) -> Verdict:
    """Play one seed against the platform and judge it."""
    with tempfile.TemporaryDirectory(prefix="simulation-") as folder:
        return played(
            seed, lambda simulation: PlatformScenario(simulation, Path(folder), parts), tells=tells
        )
