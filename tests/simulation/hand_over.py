"""One seed of a batch that goes on from run to run: workers die, and others go on with it."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from runner.core.exit_code import ExitCode
from runner.core.manifest.model import Policy
from runner.core.manifest.quantity import Share
from runner.staging.rows import Staging
from tests.simulation.evidence import Finding
from tests.simulation.life import Doom
from tests.simulation.policy_rules import Retold
from tests.simulation.process import Course, HandOver, Parts
from tests.simulation.scenario import REAL_PARTS, Scenario, Verdict, played

EVERYONE = Share(1.0)
WAVES = ((1, EVERYONE), (1, Share(0.3), EVERYONE), (2, 4, EVERYONE), ())
HANDED_OVER = frozenset({ExitCode.TERMINATED, ExitCode.STORAGE, ExitCode.LOCKED})
MOST_RUNS = 8


class HandOverScenario(Scenario):
    """As `Scenario`, with one batch whose promises hold over all the runs that carry it."""

    async def _bad_days(self, morning: Staging, evening: Staging) -> None:
        del evening
        self._hand_over = batch = HandOver()
        self._batch_policy: Policy | None = None
        for _ in range(MOST_RUNS):
            doom = Doom.drawn(self._chance)
            ended = await self._run("morning", morning, doom)
            # What each run alone may do is not what the batch may.
            self._courses[self._runs] = _without_course(self._courses[self._runs])
            if ended is not None and ended.code not in HANDED_OVER:
                break
        self._hand_over = None
        self._simulation.note("runs of the batch", len(batch.runs))
        self._batch = batch

    async def play(self) -> list[Finding]:
        """Run until done, then judge the runs and the batch."""
        found = [
            each
            for each in await super().play()
            if each.kind != "stopped by known failures"  # known from the batch's earlier runs
        ]
        return [*found, *(Finding("hand-over", what) for what in self._broken())]

    def _course_of(self, policy: Policy, wall_s: float) -> Policy:
        if self._hand_over is None:
            return super()._course_of(policy, wall_s)
        if self._batch_policy is None:
            chance = self._course_chance
            self._batch_policy = replace(
                policy,
                waves=chance.choice(WAVES),
                max_failures=chance.choice((None, 0, 1, 2, Share(0.3))),
            )
        return self._batch_policy

    def _broken(self) -> Iterator[str]:
        """Retell the batch over all its runs, and yield what its policy does not allow."""
        batch = self._batch
        if batch.course is None:
            return
        marks = ", ".join("?" * len(batch.runs))
        with closing(sqlite3.connect(self._orders.journal)) as connection:
            sent = set(batch.course.sends)
            rows = dict(
                connection.execute(
                    f"SELECT id, n FROM transfers WHERE run IN ({marks})",
                    batch.runs,
                ).fetchall()
            )
            told = Retold(0, batch.course, {id_: n for id_, n in rows.items() if n in sent})
            for (body,) in connection.execute(
                f"SELECT body FROM events WHERE run IN ({marks}) ORDER BY seq",
                batch.runs,
            ):
                event = json.loads(body)
                if event["event"] == "wave begun" and event["wave"] < told.begun:
                    yield f"wave {event['wave']} after wave {told.begun}"
                told.take(event)
        yield from told.too_early
        if told.most is not None and told.most_failed > told.most + 1:
            yield f"{told.most_failed} failed, {told.most} were allowed"


def _without_course(course: Course) -> Course:
    return replace(course, policy=replace(course.policy, waves=(), max_failures=None))


def run_hand_over_seed(seed: int, parts: Parts = REAL_PARTS, *, tells: bool = False) -> Verdict:
    """Play one seed and judge it."""
    with tempfile.TemporaryDirectory(prefix="simulation-") as folder:
        return played(
            seed, lambda simulation: HandOverScenario(simulation, Path(folder), parts), tells=tells
        )
