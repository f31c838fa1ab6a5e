"""An operator who gives a run commands at random times, and sees whether a pause holds."""

from __future__ import annotations

import asyncio

from runner.engine.run import BatchRun
from runner.ports.control import ControlAnswer, ControlRequest, Requester
from tests.simulation.life import Life

SHARE = 0.4
"""The share of runs that are controlled."""

WHO = Requester(1000, "operator")


class PauseBroken(AssertionError):
    """A frame left while the run was paused."""


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
                first = await self._ask("pause", for_="2s")
                self._given -= 1
                assert await self._ask("pause", for_="2s") is first
            case ["stop"]:
                await self._ask("stop")
            case ["forget"]:
                await self._ask("pause")  # `answer_timeout` ends the run

    async def _pause(self) -> None:
        if not (await self._ask("pause")).is_done:
            return
        sent = self._sent()
        await asyncio.sleep(self._chance.choice((0.1, 2, 10, 60)) * self._chance.random())
        if self._sent() != sent:
            raise PauseBroken(f"{self._sent() - sent} frames left in a pause")
        await self._ask("resume")

    def _sent(self) -> int:
        return int(self._engine.commands.state()["sent"])

    async def _ask(
        self, command: str, value: str | None = None, for_: str | None = None
    ) -> ControlAnswer:
        self._given += 1
        request = ControlRequest(str(self._given), command, value, for_)
        answer = await self._engine.commands.handle(request, WHO)
        self._life.simulation.note("control", command, value or for_ or "", answer.is_done)
        return answer
