"""Deliveries of which the adapter itself says that they certainly did not leave."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from runner.core.exit_code import ExitCode
from runner.core.manifest.dated_window import Moment, Window
from runner.core.manifest.model import Limits
from runner.core.transfer.message import Reply, Request
from runner.core.transfer.states import Event
from runner.testing.gateway import CARRIED_OUT, Answer, FakeGateway
from runner.testing.loop_clock import WALL_S
from tests.engine.builders import course
from tests.engine.harness import Run, run_batch

NOT_SENT = Answer(unsent=True, reason="not sent: its turn was more than 1 s ago")
REFUSED = Answer("token_refused", unsent=True, correlation_id="corr-1")


def test_what_did_not_leave_is_sent_again_under_a_new_id_however_often():
    run = run_batch(1, *[NOT_SENT] * 10, CARRIED_OUT)
    assert run.states() == {"k0": "transferred"}
    assert len({frame.message_id for frame in run.frames}) == 11
    assert [entry.event for entry in run.journal.entries].count(Event.WITHDRAWN) == 10


def test_it_is_waited_before_the_next_and_the_pace_stays():
    run = run_batch(1, NOT_SENT, CARRIED_OUT, limits=Limits(rate_per_s=10))
    assert run.times[1] - run.times[0] >= 1
    assert run.ending.figures.throttled == 0


def test_what_was_refused_counts_as_a_try():
    run = run_batch(1, REFUSED)
    assert run.states() == {"k0": "failed"}
    assert len(run.frames) == 4
    told = [entry for entry in run.journal.entries if entry.event == "withdrawn"]
    assert {entry.correlation_id for entry in told} == {"corr-1"}


def test_the_correlation_id_of_an_outcome_is_recorded():
    run = run_batch(1, Answer("transfer_initiated", correlation_id="corr-2"))
    (accepted,) = [entry for entry in run.journal.entries if entry.event == "accepted"]
    assert accepted.correlation_id == "corr-2"


@dataclass
class LateGateway(FakeGateway):
    """Makes a connection for half a second, and asks then whether the frame may still leave."""

    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def submit(self, request: Request) -> None:
        """Write later, or report that it was not sent."""
        self.tasks.append(asyncio.create_task(self._write(request)))

    async def _write(self, request: Request) -> None:
        await asyncio.sleep(0.5)
        if request.may_leave():
            await super().submit(request)
        else:
            self.listener.replied(Reply(request.message_id, event=Event.WITHDRAWN))


WINDOW = Window(not_after=Moment("closing", WALL_S + 2.2))


def test_what_has_its_connection_after_the_window_closed_does_not_leave():
    run = run_batch(
        20, gateway=LateGateway(), policy=course(window=WINDOW), limits=Limits(rate_per_s=5)
    )
    assert max(run.times) < 2.2
    assert run.ending.halted is ExitCode.STOPPED
    states = list(run.states().values())
    assert states.count("transferred") == len(run.frames) < 10
    assert states.count("ready") == 20 - len(run.frames)


@pytest.mark.parametrize("command", ["pause", "stop"])
def test_what_has_its_connection_after_a_command_does_not_leave(command: str):
    seen: list[int] = []

    async def meanwhile(run: Run) -> None:
        await asyncio.sleep(2.05)
        await run.command(command)
        seen.append(len(run.frames))
        await asyncio.sleep(20)
        seen.append(len(run.frames))
        await run.command("resume")

    run = run_batch(20, gateway=LateGateway(), limits=Limits(rate_per_s=5), meanwhile=meanwhile)
    if command == "pause":
        assert seen[0] == seen[1] > 3
        assert set(run.states().values()) == {"transferred"}
    else:
        assert max(run.times) < 2.05
    assert len(run.frames) == len({frame.interaction_id for frame in run.frames})
