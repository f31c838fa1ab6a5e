"""The session's story as the engine keeps it for the report."""

from __future__ import annotations

from dataclasses import replace

from runner.core.manifest.model import Limits, Policy, RetryPolicy
from runner.core.manifest.quantity import Share
from runner.core.pacing.circuit_breaker import BreakerPolicy
from runner.core.records.run_record import TimelineEvent, TimelineEventKind
from runner.engine.metrics import MOST_EVENTS, RunMetrics
from runner.testing.gateway import CARRIED_OUT, SILENCE, Answer, FakeGateway
from tests.engine.builders import NO_PREFLIGHT
from tests.engine.harness import Run, after, run_batch


def turns(run: Run) -> list[str]:
    return [happening.turn for happening in run.ending.figures.story]


def told(run: Run, turn: TimelineEventKind) -> TimelineEvent:
    return next(each for each in run.ending.figures.story if each.turn == turn)


def test_a_session_that_is_lost_is_dialled_again_and_closed():
    gateway = FakeGateway()
    run = run_batch(
        60,
        gateway=gateway,
        limits=Limits(rate_per_s=10),
        meanwhile=lambda _: after(1, lambda: gateway.lose(1012, "restart", back_after_s=0.5)),
    )
    assert turns(run) == ["opened", "lost", "opened", "closed"]
    lost, again = run.ending.figures.story[1:3]
    assert (lost.code, lost.reason, again.value) == (1012, "restart", 2)
    assert round(again.t_s - lost.t_s, 3) == 0.5


def test_too_fast_slows_down_waits_and_recovers():
    answers = [Answer("rate_limited", retry_after_s=1.0), CARRIED_OUT]
    run = run_batch(1, *answers, limits=Limits(rate_per_s=10))
    slowed, paused = told(run, TimelineEventKind.SLOWED), told(run, TimelineEventKind.PAUSED)
    assert (slowed.value, slowed.reason) == (5.0, "rate_limited")
    assert (paused.value, paused.reason) == (1.0, "retry_after")
    longer = run_batch(200, *answers, limits=Limits(rate_per_s=10))
    assert told(longer, TimelineEventKind.RECOVERED).value == 10.0


def test_a_close_code_that_asks_for_it_is_named():
    run = run_batch(
        60,
        limits=Limits(rate_per_s=10),
        meanwhile=lambda r: after(1, lambda: r.gateway.listener.slowed("close code 1013")),
    )
    assert told(run, TimelineEventKind.SLOWED).reason == "close code 1013"


def test_a_renewed_token_is_told_once():
    gateway = FakeGateway()

    def renew() -> None:
        gateway.token_renewals = 1

    run = run_batch(
        60, gateway=gateway, limits=Limits(rate_per_s=10), meanwhile=lambda _: after(1, renew)
    )
    assert turns(run).count("renewed") == 1
    assert told(run, TimelineEventKind.RENEWED).value == 1


def test_a_circuit_that_opens_and_closes_is_told():
    policy = Policy(
        preflight=False,
        negotiation_timeout_s=1,
        retry=RetryPolicy(1, 1, 1),
        circuit_breaker=BreakerPolicy(failures=3, cool_down_s=5, give_up_s=600),
    )
    run = run_batch(
        40,
        policy=policy,
        limits=Limits(rate_per_s=2),
        script=lambda frame: [SILENCE if frame.at < 10 else CARRIED_OUT],
    )
    assert told(run, TimelineEventKind.SHUT).value == 3
    assert turns(run).index("answered") > turns(run).index("shut")


def test_waves_are_told_as_they_begin():
    policy = replace(NO_PREFLIGHT, waves=(Share(0.1), Share(1.0)))
    run = run_batch(10, policy=policy)
    waves = [each for each in run.ending.figures.story if each.turn == TimelineEventKind.WAVE]
    assert [(wave.value, wave.reason) for wave in waves] == [
        (1, "of 2 began: 1 transfer"),
        (2, "of 2 began: 9 transfers"),
    ]


def test_a_long_story_keeps_its_beginning_and_its_end():
    meter = RunMetrics(0.0)
    for n in range(MOST_EVENTS + 300):
        meter.add_event(TimelineEventKind.PAUSED, float(n), float(n), value=float(n))
    figures = meter.figures(limit_per_s=None, token_renewals=0)
    assert (len(figures.story), figures.story_omitted) == (MOST_EVENTS, 300)
    assert (figures.story[0].value, figures.story[-1].value) == (0.0, MOST_EVENTS + 299.0)


def test_nothing_that_happens_is_nothing_told():
    assert turns(run_batch(3, policy=NO_PREFLIGHT)) == ["opened", "closed"]
