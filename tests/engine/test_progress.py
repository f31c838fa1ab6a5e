"""What an operator is told while a run goes on."""

from __future__ import annotations

import asyncio

from runner.core.exit_code import ExitCode
from runner.core.manifest.model import Limits, Policy
from runner.core.pacing.circuit_breaker import BreakerPolicy
from runner.ports import Note, SessionState
from runner.testing.gateway import SILENCE, Answer
from tests.engine.harness import Run, after, run_batch


def test_the_first_and_the_last_word_tell_the_session_and_the_limit():
    run = run_batch(3, limits=Limits(rate_per_s=1.0))
    first, last = run.observer.progress[0], run.observer.progress[-1]
    assert (first.limit_per_s, first.session) == (1.0, SessionState.OPEN)
    assert last.session is SessionState.CLOSED
    assert last.waiting_for is None
    assert last.settled == 3
    assert last.latency_ms is not None


def test_what_did_not_succeed_is_told_with_its_reason_and_only_the_last_few():
    run = run_batch(12, Answer("transfer_rejected"), limits=Limits(in_flight=1))
    told = run.observer.progress[-1].recent_failures
    assert [trouble.key for trouble in told] == [f"k{n}" for n in range(4, 12)]
    assert {(trouble.outcome, trouble.reason) for trouble in told} == {
        ("rejected", "transfer_rejected")
    }


def test_a_silence_that_the_gateway_asks_for_is_told_at_once_and_kept_and_so_is_its_end():
    run = run_batch(
        40,
        limits=Limits(rate_per_s=10),
        # Between two looks at what holds all up, which come twice a second.
        meanwhile=lambda r: after(0.9, lambda: r.gateway.listener.paused(20, "the REST side")),
    )
    assert run.observer.warnings == [(Note.ASKED_TO_WAIT, {"wait_s": 19.9, "why": "the REST side"})]
    assert (Note.GOING_ON, {}) in run.observer.notices
    [kept] = run.noted(Note.ASKED_TO_WAIT)
    assert kept == {"wait_s": 19.9, "why": "the REST side"}
    assert run.noted(Note.GOING_ON) == [{}]


def test_silences_that_come_again_and_again_are_told_once_a_minute():
    async def nag(run: Run) -> None:
        for _ in range(40):
            await asyncio.sleep(2)
            run.gateway.listener.paused(1, "the REST side")

    run = run_batch(600, limits=Limits(rate_per_s=10), meanwhile=nag)
    told = [event for event, _ in run.observer.warnings]
    assert told == [Note.ASKED_TO_WAIT] * 2
    assert len(run.noted(Note.GOING_ON)) == 2


def test_an_open_circuit_is_told_at_once():
    policy = Policy(
        preflight=False,
        negotiation_timeout_s=1,
        circuit_breaker=BreakerPolicy(failures=3, cool_down_s=30, give_up_s=100),
    )
    run = run_batch(200, SILENCE, limits=Limits(rate_per_s=10, in_flight=4), policy=policy)
    assert (Note.CIRCUIT_OPEN, {}) in run.observer.warnings
    assert run.noted(Note.CIRCUIT_OPEN)[0] == {}


def test_a_run_that_is_stopped_says_that_it_stops():
    run = run_batch(
        40,
        limits=Limits(rate_per_s=10),
        meanwhile=lambda r: after(1, lambda: r.stop_signal.set(ExitCode.INTERRUPTED, "enough")),
    )
    assert not run.observer.progress[0].is_stopping
    assert run.observer.progress[-1].is_stopping
