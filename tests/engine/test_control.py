"""Commands to a running batch (operations.md, "Control of a running batch")."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from runner.core.exit_code import ExitCode
from runner.core.gates import WaveConditions
from runner.core.manifest.model import Limits, RetryPolicy
from runner.core.manifest.quantity import EVERYTHING, Share
from runner.core.transfer.doubt_evidence import Dedupes
from runner.engine.rules import Rules
from runner.ports.control import ControlAnswer, Requester
from runner.testing.gateway import CARRIED_OUT, SILENCE, Answer, FakeGateway
from runner.testing.journal import FakeJournal
from tests.engine.builders import NO_PREFLIGHT, rows
from tests.engine.harness import Meanwhile, Run, run_batch

TEN = Limits(rate_per_s=10, in_flight=50)


def given(
    *steps: tuple[float, str, str | None], reason: str | None = None
) -> tuple[Meanwhile, list[ControlAnswer]]:
    """Return what gives commands at their times (seconds into the run), and their answers."""
    answers: list[ControlAnswer] = []

    async def meanwhile(run: Run) -> None:
        began = asyncio.get_running_loop().time()
        for at, text, value in steps:
            await asyncio.sleep(at - (asyncio.get_running_loop().time() - began))
            answers.append(await run.command(text, value, reason=reason))

    return meanwhile, answers


def between(run: Run, begin: float, end: float) -> int:
    return sum(begin < at <= end for at in run.times)


def most_in_a_second(times: list[float]) -> int:
    return max(sum(at <= other < at + 1 for other in times) for at in times)


def test_a_pause_lets_no_frame_leave_until_it_is_resumed():
    meanwhile, answers = given((2.0, "pause", None), (12.0, "resume", None))
    run = run_batch(60, CARRIED_OUT, limits=TEN, meanwhile=meanwhile)
    assert [answer.is_done for answer in answers] == [True, True]
    assert between(run, 2.05, 12.0) == 0
    assert run.ending.halted is None
    assert len(run.frames) == 60


def test_a_pause_holds_retries_back_too():
    meanwhile, _ = given((0.5, "pause", None), (30.0, "resume", None))
    policy = replace(NO_PREFLIGHT, retry=RetryPolicy(attempts=4, base_s=1.0, cap_s=2.0))
    answers = Answer("rate_limited", after_s=0.2), CARRIED_OUT
    run = run_batch(3, *answers, limits=TEN, policy=policy, meanwhile=meanwhile)
    assert between(run, 0.55, 30.0) == 0
    assert set(run.states().values()) == {"transferred"}


def test_a_pause_holds_the_redelivery_of_a_doubt_back_too():
    meanwhile, _ = given((2.0, "pause", None), (40.0, "resume", None))
    rules = Rules(replace(NO_PREFLIGHT, negotiation_timeout_s=5.0), Dedupes(600.0))
    run = run_batch(1, SILENCE, CARRIED_OUT, rules=rules, meanwhile=meanwhile)
    assert between(run, 2.0, 40.0) == 0
    assert between(run, 40.0, 60.0) == 1
    assert run.states() == {"k0": "transferred"}


def test_what_is_in_flight_settles_during_a_pause():
    meanwhile, answers = given((0.2, "pause", None), (5.0, "show", None), (6.0, "stop", None))
    run = run_batch(
        20, replace(CARRIED_OUT, after_s=1.0), limits=Limits(in_flight=3), meanwhile=meanwhile
    )
    state = answers[1].state
    assert state["under_way"] == 0
    assert state["settled"] == 3
    assert state["paused"] == "paused by alice"
    assert "resume" in state["waiting_for"]
    assert state["command"] == "runner control resume"
    assert run.ending.halted is ExitCode.STOPPED


def test_a_pause_with_a_time_ends_by_itself():
    async def meanwhile(run: Run) -> None:
        await asyncio.sleep(1)
        assert (await run.command("pause", for_="20s")).is_done

    run = run_batch(30, CARRIED_OUT, limits=TEN, meanwhile=meanwhile)
    assert between(run, 1.05, 21.0) == 0
    assert run.ending.halted is None
    assert run.noted("pause ended")


def test_a_pause_that_is_never_resumed_ends_the_run():
    meanwhile, _ = given((1.0, "pause", None))
    policy = replace(NO_PREFLIGHT, answer_timeout_s=60.0)
    run = run_batch(30, CARRIED_OUT, limits=TEN, policy=policy, meanwhile=meanwhile)
    assert run.ending.halted is ExitCode.STOPPED
    assert "answer_timeout" in (run.ending.explanation or "")
    assert 60 < run.took_s < 70


def test_a_lower_rate_holds_at_once_and_may_rise_again_to_the_limit_of_the_start():
    meanwhile, answers = given(
        (2.0, "rate", "4/s"), (6.0, "rate", "11/s"), (6.1, "rate", "10/s"), (9.0, "show", None)
    )
    run = run_batch(100, CARRIED_OUT, limits=TEN, meanwhile=meanwhile)
    assert [answer.is_done for answer in answers] == [True, False, True, True]
    assert "above the limit" in answers[1].text
    assert most_in_a_second([at for at in run.times if 2.0 < at < 6.0]) <= 5
    assert most_in_a_second(run.times) <= 11
    assert between(run, 8.0, 10.0) >= 19
    assert answers[3].state["limits"]["rate"] == "10/s"


def test_no_second_has_more_frames_than_the_limit_whatever_is_commanded():
    steps = [(0.5 + n * 0.13, "rate", ("10/s", "3/s", "9/s", "1/s")[n % 4]) for n in range(60)]
    meanwhile, _ = given(*steps, (9.0, "rate", "10/s"))
    run = run_batch(60, CARRIED_OUT, limits=replace(TEN, burst=4), meanwhile=meanwhile)
    assert most_in_a_second(run.times) <= 14
    assert len(run.frames) == 60


def test_an_unlimited_run_can_be_given_a_rate():
    meanwhile, answers = given((0.5, "rate", "5/s"))
    run = run_batch(
        400, replace(CARRIED_OUT, after_s=0.1), limits=Limits(in_flight=20), meanwhile=meanwhile
    )
    assert answers[0].is_done
    assert most_in_a_second([at for at in run.times if at > 0.5]) <= 6


def test_fewer_in_flight_at_once_and_more_again():
    meanwhile, _ = given((3.0, "in-flight", "2"), (20.0, "in-flight", "8"))
    run = run_batch(
        100, replace(CARRIED_OUT, after_s=1.0), limits=Limits(in_flight=8), meanwhile=meanwhile
    )
    assert 30 <= between(run, 4.1, 20.0) <= 34
    assert run.ending.halted is None


def test_more_failures_need_a_reason_and_a_plan_is_never_exceeded():
    policy = replace(NO_PREFLIGHT, max_failures=Share(0.1))

    async def meanwhile(run: Run) -> None:
        answers.append(await run.command("max-failures", "20%"))
        answers.append(await run.command("max-failures", "20%", reason="known bad rows"))

    for is_planned, expected in ((False, [False, True]), (True, [False, False])):
        answers: list[ControlAnswer] = []
        run_batch(
            20, CARRIED_OUT, limits=TEN, policy=policy, meanwhile=meanwhile, is_planned=is_planned
        )
        assert [answer.is_done for answer in answers] == expected


def test_fewer_failures_than_have_happened_stop_the_run_at_once():
    meanwhile, _ = given((2.0, "max-failures", "3"))
    run = run_batch(40, Answer("transfer_rejected"), limits=TEN, meanwhile=meanwhile)
    assert run.ending.halted is ExitCode.STOPPED
    assert len(run.frames) <= 21


def test_a_run_without_a_threshold_keeps_one_that_is_given_to_it():
    meanwhile, _ = given((0.5, "max-failures", "12"))
    run = run_batch(
        60,
        Answer("transfer_rejected", after_s=3.0),
        limits=Limits(rate_per_s=5, in_flight=60),
        meanwhile=meanwhile,
    )
    assert sum(state == "rejected" for state in run.states().values()) == 13


def test_stop_drains_and_leaves_the_rest():
    async def meanwhile(run: Run) -> None:
        await asyncio.sleep(2)
        assert (await run.command("stop", reason="wrong queue")).is_done
        assert not (await run.command("pause")).is_done

    run = run_batch(60, replace(CARRIED_OUT, after_s=1), limits=TEN, meanwhile=meanwhile)
    assert run.ending.halted is ExitCode.STOPPED
    assert "stopped by alice: wrong queue" in (run.ending.explanation or "")
    assert "unknown" not in run.states().values()


def test_a_command_is_durable_before_it_acts_and_before_it_is_answered():
    journal = FakeJournal(commit_s=0.7)

    async def meanwhile(run: Run) -> None:
        await asyncio.sleep(2)
        asking = asyncio.ensure_future(run.command("pause", reason="queue is full"))
        await asyncio.sleep(0.3)
        assert not asking.done()
        assert (await run.command("show")).state["paused"] is None
        await asking
        assert run.noted("control") == [
            {"who": "alice", "what": "pause", "why": "queue is full", "id": "c0", "uid": 1000}
        ]
        await run.command("stop")

    run = run_batch(60, CARRIED_OUT, limits=TEN, journal=journal, meanwhile=meanwhile)
    assert run.ending.error is None


def test_a_command_that_cannot_be_journalled_is_refused_and_ends_the_run():
    def is_control(entry: object) -> bool:
        return getattr(entry, "event", "") == "control"

    meanwhile, answers = given((1.0, "pause", None))
    run = run_batch(
        60, CARRIED_OUT, limits=TEN, journal=FakeJournal(fails=is_control), meanwhile=meanwhile
    )
    assert not answers[0].is_done
    assert run.ending.halted is ExitCode.STORAGE


def test_a_repeated_command_returns_the_first_answer_and_acts_once():
    async def meanwhile(run: Run) -> None:
        await asyncio.sleep(1)
        first = await run.command("pause", id_="one")
        await run.command("resume")
        assert await run.command("pause", id_="one") is first
        assert (await run.command("show")).state["paused"] is None
        other = await run.command("resume", id_="one", who=Requester(0, "root"))
        assert not other.is_done  # another person's ids are others
        assert len(run.noted("control")) == 2

    run = run_batch(40, CARRIED_OUT, limits=TEN, meanwhile=meanwhile)
    assert run.ending.halted is None
    assert run.ending.error is None


@pytest.mark.parametrize("command", ["resume", "continue", "dance", "rate", "http-rate"])
def test_what_cannot_be_done_is_refused_and_leaves_no_trace(command: str):
    value = "5/s" if command == "http-rate" else None
    meanwhile, answers = given((1.0, command, value))
    run = run_batch(30, CARRIED_OUT, limits=TEN, meanwhile=meanwhile)
    assert not answers[0].is_done
    assert not run.noted("control")
    assert run.ending.halted is None


class LimitedGateway(FakeGateway):
    """A gateway whose HTTP requests can be limited."""

    requests_per_s: float | None = None

    def limit_requests(self, rate_per_s: float) -> None:
        self.requests_per_s = rate_per_s


def test_the_http_rate_reaches_the_driver():
    gateway = LimitedGateway()
    meanwhile, answers = given((1.0, "http-rate", "120/min"), (2.0, "http-rate", "400/min"))
    limits = replace(TEN, http_rate_per_s=5.0)
    run_batch(40, CARRIED_OUT, gateway=gateway, limits=limits, meanwhile=meanwhile)
    assert [answer.is_done for answer in answers] == [True, False]
    assert gateway.requests_per_s == 2.0


def test_commands_are_shown_as_they_come():
    meanwhile, _ = given((1.0, "pause", None), (2.0, "resume", None), reason="looking")
    run = run_batch(rows(30), CARRIED_OUT, limits=TEN, meanwhile=meanwhile)
    shown = [event for event, _ in run.observer.notices if event.startswith("control")]
    assert shown == ["control: pause", "control: resume"]
    assert "alice: pause (looking)" in [event.reason for event in run.ending.figures.story]


def test_a_command_that_a_run_ended_over_holds_for_the_run_that_goes_on():
    """A drain begins while the command is being journalled: what is journalled is not refused."""
    answers: list[ControlAnswer] = []

    async def meanwhile(run: Run) -> None:
        await asyncio.sleep(0.5)
        drain = "stopped by SIGTERM"
        asyncio.get_running_loop().call_later(
            0.010, run.stop_signal.set, ExitCode.TERMINATED, drain
        )
        answers.append(await run.command("pause", reason="wrong queue?"))

    journal = FakeJournal(commit_s=0.020)
    run = run_batch(20, CARRIED_OUT, journal=journal, limits=TEN, meanwhile=meanwhile)
    assert [each["what"] for each in run.noted("control")] == ["pause"]
    (answer,) = answers
    assert answer.is_done
    assert answer.text.endswith(
        "; this run is ending, and one that goes on with the batch keeps to it"
    )


def test_a_confirmation_that_a_run_ended_over_is_refused():
    """No later run takes it for an answer."""
    answers: list[ControlAnswer] = []

    async def meanwhile(run: Run) -> None:
        await asyncio.sleep(5)
        asyncio.get_running_loop().call_later(0.010, run.stop_signal.set, ExitCode.TERMINATED, "x")
        answers.append(await run.command("continue"))

    policy = replace(
        NO_PREFLIGHT,
        waves=(1, EVERYTHING),
        wave_conditions=(WaveConditions(), WaveConditions(confirm=True)),
    )
    journal = FakeJournal(commit_s=0.020)
    run = run_batch(3, CARRIED_OUT, journal=journal, policy=policy, meanwhile=meanwhile)
    assert len(run.frames) == 1
    assert [answer.is_done for answer in answers] == [False]
