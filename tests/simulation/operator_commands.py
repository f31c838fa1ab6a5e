"""An operator who gives a run commands at random times, and knows when nothing may leave it."""

from __future__ import annotations

import asyncio
import math

from runner.engine.run import BatchRun
from runner.ports.control import ControlAnswer, ControlRequest, Requester
from tests.simulation.life import Life

SHARE = 0.4
"""The share of runs that are controlled."""

WHO = Requester(1000, "operator")


class Operator:
    """Controls one run for as long as it lives."""

    def __init__(self, life: Life, engine: BatchRun) -> None:
        self._life = life
        self._engine = engine
        self._chance = life.simulation.chance(f"operator of run {life.number}")
        self._given = 0

    async def work(self) -> None:
        """Give commands until cancelled."""
        if self._chance.random() >= SHARE:
            return
        while True:
            await asyncio.sleep(self._chance.expovariate(0.4))
            await self._act()

    async def _act(self) -> None:
        match self._chance.choices(
            ("pause", "rate", "in-flight", "repeat", "stop", "forget"), (8, 6, 4, 3, 1, 0.2)
        ):
            case ["pause"]:
                await self._pause()
            case ["rate"]:
                await self._ask("rate", f"{self._chance.choice((1, 2, 5, 10, 25, 1000))}/s")
            case ["in-flight"]:
                await self._ask("in-flight", str(self._chance.choice((1, 2, 4, 64, 1000))))
            case ["repeat"]:
                asked_at = self._life.simulation.now
                first = await self._ask("pause", for_="2s")
                if first.is_done:
                    self._life.paused_until = asked_at + 2
                self._given -= 1
                assert await self._ask("pause", for_="2s") is first
            case ["stop"]:
                if (await self._ask("stop")).is_done:
                    self._life.stopped_by = "after a stop"
            case ["forget"]:
                await self._hold()  # `answer_timeout` ends the run

    async def _pause(self) -> None:
        if await self._hold():
            await asyncio.sleep(self._chance.choice((0.1, 2, 10, 60)) * self._chance.random())
            self._life.paused_until = -math.inf
            await self._ask("resume")

    async def _hold(self) -> bool:
        """Pause until further notice, if the run lets itself be paused."""
        is_held = (await self._ask("pause")).is_done
        if is_held:
            self._life.paused_until = math.inf
        return is_held

    async def _ask(
        self, command: str, value: str | None = None, for_: str | None = None
    ) -> ControlAnswer:
        self._given += 1
        request = ControlRequest(str(self._given), command, value, for_)
        answer = await self._engine.commands.handle(request, WHO)
        self._life.simulation.note("control", command, value or for_ or "", answer.is_done)
        return answer
