"""One virtual world: time, chance, and what happens by itself while a process stands still."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import heapq
import random
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

from tests.fakes.virtual import TICK_S, VirtualLoop

EPOCH_S = 1_800_000_000.0
"""Seconds since the epoch when a world begins."""

RUN: contextvars.ContextVar[int] = contextvars.ContextVar("RUN", default=0)
"""Which run's code this is; 0: the world's."""

Action = Callable[[], None]


class RunTask(asyncio.Task[Any]):
    """A task that knows the run whose code created it; Python 3.13 takes any name of ours away."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.run = RUN.get()  # first: a task may begin at once
        super().__init__(*args, **kwargs)


def tasks_of(run: int) -> list[asyncio.Task[Any]]:
    """Return the tasks of a run that are not done."""
    tasks = asyncio.all_tasks()
    return [task for task in tasks if isinstance(task, RunTask) and task.run == run]


def _create(loop: Any, work: Any, **more: Any) -> asyncio.Task[Any]:
    return RunTask(work, loop=loop, **more)


class SimulatedLoop(VirtualLoop):
    """An event loop whose time can also jump."""

    def skip(self, seconds: float) -> None:
        """Let time pass without anybody's noticing."""
        self._selector.clock.advance(seconds)


class Simulation:
    """Time that passes only when nothing else is to be done, and a trace of what happened.

    Actions given to `at` are the world's own: they happen at their time, in order, also while
    the process is stopped (`stall`), and see their own time as `now`.
    """

    def __init__(self, loop: SimulatedLoop, seed: int) -> None:
        self.loop = loop
        self.seed = seed
        self.happened: Counter[str] = Counter()
        self.story: list[str] | None = None  # every line of the trace, for whoever replays a seed
        self.complaints: list[str] = []  # of the loop: exceptions that nobody took
        self.stalled_s = 0.0  # for how long processes were stopped, all in all
        self._dead: set[int] = set()  # runs that were killed
        self._trace = hashlib.sha256()
        self._agenda: list[tuple[float, int, Action]] = []
        self._order = count()
        self._moment: float | None = None
        self._context = contextvars.copy_context()  # what the world does belongs to no run
        loop.set_task_factory(_create)

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return self.loop.time() if self._moment is None else self._moment

    @property
    def trace(self) -> str:
        """The hash of everything that was noted so far."""
        return self._trace.hexdigest()

    def chance(self, name: str) -> random.Random:
        """Return a stream of chance of one's own, the same for the same seed and name."""
        return random.Random(f"{self.seed}/{name}")

    def note(self, kind: str, *what: object) -> None:
        """Write down that something happened now."""
        self.happened[kind] += 1
        line = f"{self.now:.6f} {kind} {' '.join(map(str, what))}"
        self._trace.update(line.encode())
        if self.story is not None:
            self.story.append(line)

    def forget_tasks(self, run: int) -> None:
        """Heed no more what a killed run's tasks left undone."""
        self._dead.add(run)

    def complain(self, context: dict[str, Any]) -> None:
        """Remember what the loop complains about."""
        task = context.get("future") or context.get("task")
        if not (isinstance(task, RunTask) and task.run in self._dead):
            self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")

    def after(self, wait_s: float, action: Action) -> None:
        """Let the world do something in `wait_s` seconds."""
        when = self.now + max(0.0, wait_s)
        heapq.heappush(self._agenda, (when, next(self._order), action))
        self.loop.call_at(when, self._wake, context=self._context)

    def stall(self, seconds: float) -> None:
        """Stop the process where it stands (SIGSTOP), and wake it after `seconds`."""
        self.note("stall", f"{seconds:.3f}")
        self.stalled_s += seconds
        self._pass_until(self.loop.time() + seconds)
        self.loop.skip(seconds)

    async def idle(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    def _wake(self) -> None:
        self._pass_until(self.loop.time() + TICK_S)

    def _pass_until(self, end: float) -> None:
        if self._moment is not None:
            return  # whoever stalls within the world's own action is woken by it
        try:
            while self._agenda and self._agenda[0][0] <= end:
                self._moment, _, action = heapq.heappop(self._agenda)
                action()
        finally:
            self._moment = None


class SimulatedClock:
    """Implements `ports.Clock` for one process: its wall clock may be stepped, and run apart."""

    def __init__(self, simulation: Simulation, *, boot: str, booted_at: float) -> None:
        self._simulation = simulation
        self._booted_at = booted_at
        self.boot: str | None = boot
        self.step_s = 0.0  # how far the wall clock is off

    def now(self) -> float:
        """Return monotonic seconds."""
        return self._simulation.loop.time()

    def wall(self) -> float:
        """Return seconds since the epoch, as this machine believes."""
        return EPOCH_S + self._simulation.loop.time() + self.step_s

    def uptime(self) -> float:
        """Return seconds since this machine was started."""
        return self._simulation.loop.time() - self._booted_at

    async def sleep(self, seconds: float) -> None:
        """Suspend for that long."""
        await asyncio.sleep(seconds)
