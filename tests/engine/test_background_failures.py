"""What goes on beside the transfers may fail too: it ends the run in order, and is reported."""

from __future__ import annotations

from runner.core.exit_code import ExitCode
from runner.core.manifest.model import Limits
from runner.engine.run import BEAT_S
from runner.testing.gateway import Answer, FakeGateway
from runner.testing.loop_clock import LoopClock
from tests.engine.harness import run_batch


class ClockWithoutBeat(LoopClock):
    """Fails the run's heartbeat, and nothing else."""

    async def sleep(self, seconds: float) -> None:
        """Fail for the heartbeat's interval, from the first second on."""
        if seconds == BEAT_S and self.now() >= 1:
            raise RuntimeError("no heartbeat")
        await super().sleep(seconds)


class GatewayThatCannotClose(FakeGateway):
    """Fails when the run is done with it."""

    async def close(self) -> None:
        """Close, and fail."""
        await super().close()
        raise RuntimeError("not closed")


def test_a_failed_heartbeat_stops_the_run_and_what_is_in_flight_settles():
    run = run_batch(
        3,
        Answer("transfer_initiated", 2),
        clock=ClockWithoutBeat(),
        limits=Limits(in_flight=1),
    )
    assert run.ending.halted is ExitCode.BUG
    assert run.ending.explanation == "an internal error: RuntimeError('no heartbeat')"
    assert [frame.interaction_id for frame in run.frames] == ["i0"]
    assert run.journal.events("k0") == ["intent", "accepted"]


def test_a_gateway_that_cannot_be_closed_is_reported_and_loses_no_outcome():
    run = run_batch(2, gateway=GatewayThatCannotClose())
    assert run.ending.halted is ExitCode.BUG
    assert run.ending.explanation == "an internal error: RuntimeError('not closed')"
    assert run.states() == {"k0": "transferred", "k1": "transferred"}
