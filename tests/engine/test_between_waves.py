"""What stands before a wave: its pause, its gates, its confirmation; nothing hangs for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from runner.core.exit_code import ExitCode
from runner.core.gates import UNCONDITIONAL, GateAnswer, Verdict, WaveConditions
from runner.core.manifest.dated_window import Moment, Window
from runner.core.manifest.model import Limits, Policy
from runner.core.manifest.quantity import EVERYTHING
from runner.core.transfer.doubt_evidence import Baseline, Dedupes, Expires, Promise
from runner.engine.rules import Rules
from runner.testing.gateway import BEFORE, CARRIED_OUT, Answer
from tests.engine.builders import NO_PREFLIGHT, DatedGateway, left_behind
from tests.engine.harness import Run, run_batch

TEN = Limits(rate_per_s=10, in_flight=10)
PASS = GateAnswer(Verdict.PASS, "depth is 3 (< 10)")
FAIL = GateAnswer(Verdict.FAIL, "depth is 30, not < 10")
UNKNOWN = GateAnswer(Verdict.INCONCLUSIVE, "no answer within 10 s")


class ScriptedGates:
    """Gates that give their answers in turn, the last one again and again."""

    def __init__(self, *answers: GateAnswer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[float, str]] = []

    async def ask(self, name: str) -> GateAnswer:
        self.asked.append((asyncio.get_running_loop().time(), name))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def two_waves(second: WaveConditions, first: WaveConditions = UNCONDITIONAL) -> Policy:
    return replace(
        NO_PREFLIGHT,
        waves=(2, EVERYTHING),
        wave_conditions=(first, second),
        answer_timeout_s=600.0,
    )


def gap(run: Run) -> float:
    """Return the seconds between the waves' frames."""
    return run.times[2] - run.times[1]


async def never(_question: str) -> bool:
    await asyncio.Event().wait()
    return False


def test_a_pause_stands_before_its_wave():
    run = run_batch(10, CARRIED_OUT, limits=TEN, policy=two_waves(WaveConditions(pause_s=60.0)))
    assert 60 <= gap(run) < 61
    assert run.ending.halted is None
    assert {"wave": 2, "of": 2, "by": "pause", "seconds": 60.0} in run.noted("wave held")
    waits = [p.waiting_for for p in run.observer.progress if p.waiting_for]
    assert any("the pause of 1 min" in text for text in waits)
    told = [note["pauses_left_s"] for note in run.noted("wave begun")]
    assert told == [60.0, 0.0]


def test_a_gate_that_passes_lets_the_wave_begin():
    gates = ScriptedGates(PASS)
    run = run_batch(
        10, CARRIED_OUT, limits=TEN, policy=two_waves(WaveConditions(gates=("crm",))), gates=gates
    )
    assert run.ending.halted is None
    assert [name for _, name in gates.asked] == ["crm"]
    assert run.noted("gate") == [
        {"gate": "crm", "wave": 2, "verdict": "pass", "text": "depth is 3 (< 10)"}
    ]


def test_a_gate_that_fails_ends_the_run_naming_gate_value_and_bound():
    run = run_batch(
        10,
        CARRIED_OUT,
        limits=TEN,
        policy=two_waves(WaveConditions(gates=("crm",))),
        gates=ScriptedGates(FAIL),
    )
    assert run.ending.halted is ExitCode.STOPPED
    assert len(run.frames) == 2
    assert "gate crm failed at wave 2 of 2: depth is 30, not < 10" in str(run.ending.explanation)


def test_a_gate_before_the_first_wave_that_fails_sends_nothing_and_exits_with_5():
    policy = two_waves(UNCONDITIONAL, WaveConditions(gates=("crm",)))
    run = run_batch(10, CARRIED_OUT, limits=TEN, policy=policy, gates=ScriptedGates(FAIL))
    assert run.ending.halted is ExitCode.STOPPED
    assert run.frames == []


def test_an_inconclusive_gate_holds_the_wave_and_is_asked_again_with_backoff():
    gates = ScriptedGates(UNKNOWN, UNKNOWN, UNKNOWN, PASS)
    run = run_batch(
        10, CARRIED_OUT, limits=TEN, policy=two_waves(WaveConditions(gates=("crm",))), gates=gates
    )
    assert run.ending.halted is None
    assert 7 <= gap(run) < 8
    assert [note["verdict"] for note in run.noted("gate")] == ["inconclusive", "pass"]
    waits = [p.waiting_for for p in run.observer.progress if p.waiting_for]
    assert "gate crm (inconclusive: no answer within 10 s)" in waits


def test_a_gate_that_stays_inconclusive_ends_the_run():
    run = run_batch(
        10,
        CARRIED_OUT,
        limits=TEN,
        policy=two_waves(WaveConditions(gates=("crm",))),
        gates=ScriptedGates(UNKNOWN),
    )
    assert run.ending.halted is ExitCode.STOPPED
    assert 600 < run.took_s < 610
    assert "policy.answer_timeout" in str(run.ending.explanation)


def test_the_window_ends_a_hold():
    window = Window(not_after=Moment("2026-12-01T00:00:00Z", 0.0))

    policy = replace(two_waves(WaveConditions(gates=("crm",))), window=window)
    run = run_batch(
        10,
        CARRIED_OUT,
        limits=TEN,
        policy=policy,
        gates=ScriptedGates(UNKNOWN),
    )
    assert run.ending.halted is ExitCode.STOPPED


@pytest.mark.parametrize(
    ("answers", "halted", "held_s"),
    [
        ([PASS, PASS, UNKNOWN, UNKNOWN, PASS], None, 3.0),
        ([PASS, PASS, FAIL], ExitCode.STOPPED, 0.0),
        ([PASS, UNKNOWN], ExitCode.STOPPED, 600.0),
    ],
)
def test_a_gate_with_every_is_watched_while_its_wave_is_sent(
    answers: Sequence[GateAnswer], halted: ExitCode | None, held_s: float
):
    run = run_batch(
        200,
        CARRIED_OUT,
        limits=TEN,
        policy=two_waves(WaveConditions(gates=("crm",))),
        gates=ScriptedGates(*answers),
        gates_every_s={"crm": 5.0},
    )
    assert run.ending.halted is halted
    longest = max(b - a for a, b in zip(run.times, run.times[1:], strict=False))
    if halted is None:
        assert held_s <= longest < held_s + 1
        assert len(run.frames) == 200
    else:
        assert len(run.frames) < 200
        assert run.took_s >= held_s


def test_a_confirmation_waits_for_continue_and_asks_the_gates_again():
    gates = ScriptedGates(PASS)

    async def meanwhile(run: Run) -> None:
        assert not (await run.command("continue")).is_done  # nothing waits yet
        await asyncio.sleep(30)
        shown = (await run.command("show")).state
        assert (
            shown["confirmation"] == "Begin wave 2 of 2 (8 transfers)? The last wave: transferred 2"
        )
        assert (await run.command("continue", reason="looks good")).is_done
        assert not (await run.command("continue")).is_done  # never remembered

    conditions = WaveConditions(gates=("crm",), confirm=True)
    run = run_batch(
        10, CARRIED_OUT, limits=TEN, policy=two_waves(conditions), gates=gates, meanwhile=meanwhile
    )
    assert run.ending.error is None
    assert run.ending.halted is None
    assert 29 < gap(run) < 31
    assert len(gates.asked) == 2
    assert [note["what"] for note in run.noted("control")] == ["continue"]


@pytest.mark.parametrize("answer", [True, False])
def test_a_confirmation_at_the_terminal_is_journalled(answer: bool):  # noqa: FBT001 - a table
    asked: list[str] = []

    async def prompt(question: str) -> bool:
        asked.append(question)
        await asyncio.sleep(10)
        return answer

    run = run_batch(
        10,
        CARRIED_OUT,
        limits=TEN,
        policy=two_waves(WaveConditions(confirm=True)),
        prompt=prompt,
    )
    assert len(asked) == 1
    assert run.noted("control") == [
        {
            "who": "alice at the terminal",
            "what": "continue" if answer else "decline",
            "why": None,
        }
    ]
    assert run.ending.halted is (None if answer else ExitCode.STOPPED)
    assert len(run.frames) == (10 if answer else 2)


def test_a_confirmation_that_never_comes_ends_the_run():
    run = run_batch(
        10, CARRIED_OUT, limits=TEN, policy=two_waves(WaveConditions(confirm=True)), prompt=never
    )
    assert run.ending.halted is ExitCode.STOPPED
    assert 600 < run.took_s < 610
    assert len(run.frames) == 2


def test_a_signal_ends_a_confirmation_at_once():
    async def meanwhile(run: Run) -> None:
        await asyncio.sleep(30)
        run.stop_signal.set(ExitCode.INTERRUPTED, "stopped by SIGINT")

    run = run_batch(
        10,
        CARRIED_OUT,
        limits=TEN,
        policy=two_waves(WaveConditions(confirm=True)),
        meanwhile=meanwhile,
    )
    assert run.ending.halted is ExitCode.INTERRUPTED
    assert run.took_s < 32


def test_an_unhealthy_wave_is_not_asked_to_be_confirmed():
    run = run_batch(
        10,
        Answer("transfer_rejected"),
        limits=TEN,
        policy=two_waves(WaveConditions(confirm=True)),
    )
    assert run.ending.halted is ExitCode.STOPPED
    assert run.took_s < 10
    assert not run.noted("wave held")


class TimedGates:
    """Gates whose answers change with the time: `crm` fails from 60 s on, `site` is known from 500 s."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str]] = []

    async def ask(self, name: str) -> GateAnswer:
        now = asyncio.get_running_loop().time()
        self.asked.append((now, name))
        if name == "crm":
            return PASS if now < 60 else FAIL
        return UNKNOWN if now < 500 else PASS


def test_a_gate_is_asked_again_where_a_later_one_held_the_wave():
    """A pass is as old as the hold of the gates that are asked after it."""
    policy = two_waves(WaveConditions(gates=("crm", "site")))
    run = run_batch(10, CARRIED_OUT, limits=TEN, policy=policy, gates=TimedGates())
    assert len(run.frames) == 2
    assert "gate crm failed at wave 2 of 2" in str(run.ending.explanation)


def test_gates_that_hold_in_turn_do_not_hold_for_ever():
    class Alternating:
        """Each gate holds at its first question of a round, and passes at the second."""

        def __init__(self) -> None:
            self.number = 0

        async def ask(self, _name: str) -> GateAnswer:
            self.number += 1
            return PASS if self.number % 2 == 0 else UNKNOWN

    policy = two_waves(WaveConditions(gates=("crm", "site")))
    run = run_batch(10, CARRIED_OUT, limits=TEN, policy=policy, gates=Alternating())
    assert run.ending.halted is ExitCode.STOPPED
    assert run.took_s < 620
    assert "policy.answer_timeout" in str(run.ending.explanation)


CONFIRM = WaveConditions(confirm=True)


@pytest.mark.parametrize("number", [0, 5])
@pytest.mark.parametrize("promise", [Dedupes(3600.0), Expires(30.0, 2.0)])
def test_no_doubt_is_sent_again_before_the_first_wave_may_begin(promise: Promise, number: int):
    journal = left_behind(baseline=Baseline("active", BEFORE, None))
    rules = Rules(two_waves(UNCONDITIONAL, CONFIRM), promise)
    run = run_batch(
        number, CARRIED_OUT, journal=journal, gateway=DatedGateway(), rules=rules, prompt=never
    )
    assert run.frames == []
    assert run.gateway.look_ups
    assert run.ending.halted is ExitCode.STOPPED
    assert run.noted("stays in doubt")


async def yes(_question: str) -> bool:
    return True


@pytest.mark.parametrize("number", [0, 5])
def test_a_doubt_is_sent_again_once_the_first_wave_is_confirmed(number: int):
    journal = left_behind(baseline=Baseline("active", BEFORE, None))
    rules = Rules(two_waves(UNCONDITIONAL, CONFIRM), Dedupes(3600.0))
    run = run_batch(
        number, CARRIED_OUT, journal=journal, gateway=DatedGateway(), rules=rules, prompt=yes
    )
    assert "i8" in [frame.interaction_id for frame in run.frames]
    assert len(run.frames) == number + 1
    assert run.ending.halted is None
