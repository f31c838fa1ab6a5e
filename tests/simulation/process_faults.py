"""What befalls a process that is not killed: stopped for a while, its clock set, asked to end."""

from __future__ import annotations

from collections.abc import Callable

from runner.core.exit_code import ExitCode
from tests.simulation.life import Life
from tests.simulation.simulation import SimulatedClock

LARGEST_STEP_S = 600.0
"""How far the wall clock is set at most."""


class ProcessFaults:
    """Strikes one process at random times, for as long as it lives."""

    def __init__(self, life: Life, clock: SimulatedClock) -> None:
        self._life = life
        self._clock = clock
        self._chance = life.chance
        self._loop = life.simulation.loop

    def begin(self) -> None:
        """Let it come."""
        chance, delivery_faults = self._chance, self._life.delivery_faults
        if chance.random() < 0.25:
            self._loop.call_later(chance.choice((0.2, 5, 40)) * chance.random(), self._terminate)
        self._repeat(delivery_faults.stops, self._stop)
        self._repeat(delivery_faults.steps, self._set_clock)

    def _repeat(self, share: float, befall: Callable[[], None]) -> None:
        def strike() -> None:
            if not self._life.is_over:
                befall()
                self._repeat(share, befall)

        if share:
            self._loop.call_later(self._chance.expovariate(share), strike)

    def _terminate(self) -> None:
        if not self._life.is_over:
            self._life.simulation.note("SIGTERM")
            self._life.stop_signal.set(ExitCode.TERMINATED, "stopped by SIGTERM")
            self._life.stopped_by = "after SIGTERM"

    def _stop(self) -> None:
        self._life.simulation.stall(self._chance.choice((0.3, 2, 12, 60)))

    def _set_clock(self) -> None:
        step_s = self._chance.choice((2.0, 20.0, LARGEST_STEP_S))
        self._clock.step_s = self._chance.choice((-step_s, 0.0, step_s))
        self._life.simulation.note("clock set", self._clock.step_s)
