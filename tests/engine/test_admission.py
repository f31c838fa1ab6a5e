"""Waiting for a turn costs next to nothing."""

from __future__ import annotations

import asyncio

import pytest

from runner.core.exit_code import ExitCode
from runner.core.manifest.model import Limits
from runner.core.pacing.circuit_breaker import BreakerPolicy
from runner.engine.admission import Admission
from runner.engine.metrics import RunMetrics
from runner.engine.stop import StopSignal
from runner.testing.gateway import FakeGateway
from runner.testing.loop_clock import LoopClock
from tests.fakes.virtual import VirtualLoop


class CountingClock(LoopClock):
    """Counts how often it is looked at."""

    looks = 0

    def now(self) -> float:
        """Return the loop's seconds."""
        self.looks += 1
        return super().now()


@pytest.mark.parametrize(
    ("rate_per_s", "own_per_s", "in_flight", "ahead"),
    [
        (None, None, 64, 64),
        (None, 2.5, 64, 5),  # 300 requests a minute, two for each transfer
        (None, 50.0, 64, 64),
        (1.0, 2.5, 64, 2),
        (10.0, 2.5, 64, 5),
        (10.0, None, 64, 20),
    ],
)
def test_as_many_are_looked_up_ahead_as_the_narrower_pace_can_use(
    rate_per_s: float | None, own_per_s: float | None, in_flight: int, ahead: int
):
    async def scenario() -> int:
        gateway = FakeGateway(own_interval_s=None if own_per_s is None else 1 / own_per_s)
        limits = Limits(rate_per_s=rate_per_s, in_flight=in_flight)
        clock = CountingClock()
        return Admission(
            gateway, limits, clock, RunMetrics(0.0), StopSignal(), breaker=BreakerPolicy()
        ).ahead

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(scenario()) == ahead


def test_a_wait_of_a_rounding_remainder_is_not_spun_through():
    """At 25/s what is left behind one frame and its lead is 1e-18 s, for as long as it takes."""

    async def scenario() -> int:
        clock = CountingClock()
        gateway, stop_signal = FakeGateway(generation=1), StopSignal()
        gate = Admission(
            gateway,
            Limits(rate_per_s=25.0),
            clock,
            RunMetrics(0.0),
            stop_signal,
            breaker=BreakerPolicy(),
        )
        assert await gate.acquire(64)
        await asyncio.sleep(1)  # the first one's intent is slow to become durable
        second = asyncio.create_task(gate.acquire(64))
        before = clock.looks
        await asyncio.sleep(0.1)
        stop_signal.set(ExitCode.STOPPED, "enough")
        await second
        return clock.looks - before

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(scenario()) < 500
