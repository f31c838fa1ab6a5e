"""Waiting for a turn costs next to nothing."""

from __future__ import annotations

import asyncio

import pytest

from runner.core.exit_code import ExitCode
from runner.core.manifest.model import Limits
from runner.core.pacing.circuit_breaker import BreakerPolicy
from runner.core.transfer.message import Message, Request
from runner.engine.admission import Admission
from runner.engine.metrics import RunMetrics
from runner.engine.pending_replies import PendingReplies
from runner.engine.stop import StopSignal
from runner.testing.gateway import FakeGateway
from runner.testing.loop_clock import LoopClock
from tests.core.pacing.measures import most_in_a_second
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


class StallingGateway(FakeGateway):
    """The process stands still right before it writes one of the frames."""

    def __init__(self, stalls_at: int) -> None:
        super().__init__(generation=1)
        self.left: list[float] = []
        self._stalls_at = stalls_at

    async def submit(self, request: Request) -> None:
        """Write a frame."""
        del request
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        if len(self.left) == self._stalls_at:
            loop.stand_still(0.24)
        self.left.append(loop.time())


@pytest.mark.parametrize("stalls_at", [0, 1, 20, 39, 40, 41, 200])
def test_a_write_that_stood_still_lets_no_more_frames_into_a_second(stalls_at: int):
    """A frame had its turn, and the process gets no time before the frame is written."""
    gateway = StallingGateway(stalls_at)
    limits = Limits(rate_per_s=200, burst=40, in_flight=1000)

    async def scenario(metrics: RunMetrics) -> None:
        loop, clock = asyncio.get_running_loop(), LoopClock()
        assert isinstance(loop, VirtualLoop)
        gate = Admission(gateway, limits, clock, metrics, StopSignal(), breaker=BreakerPolicy())
        replies, durable = PendingReplies(clock, 10.0, lambda _: None), asyncio.Event()

        async def send(n: int) -> None:
            slot = await gate.acquire(1)
            assert slot is not None
            with slot:
                await durable.wait()
                is_written = False
                while not is_written:
                    message_id, at = f"m{n}", clock.now()
                    reply = replies.expect(message_id, 1)
                    request = Request(message_id, Message("{}"), at)
                    is_written = await gate.write(slot, request, reply, lambda: True)

        sending = [asyncio.create_task(send(n)) for n in range(400)]
        await asyncio.sleep(1.5)  # the burst is there
        durable.set()  # a commit makes many intents durable in one turn
        await asyncio.gather(*sending)

    metrics = RunMetrics(0.0)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(scenario(metrics))
    assert most_in_a_second(gateway.left) <= 240
    assert metrics.peak == most_in_a_second(gateway.left)
