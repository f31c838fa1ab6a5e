"""How far a run goes: waves, the failures that are borne, the window."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from runner.core.errors import LookUpFailed
from runner.core.exit_code import ExitCode
from runner.core.manifest.dated_window import Moment, Window
from runner.core.manifest.model import Limits, RetryPolicy
from runner.core.manifest.quantity import EVERYTHING, Amount, Share
from runner.core.manifest.recurring_window import Once, WindowRule, Windows
from runner.core.transfer.doubt_evidence import Baseline, Dedupes, Expires
from runner.core.transfer.lookup_verdict import Interaction
from runner.engine.rules import Rules
from runner.testing.gateway import CARRIED_OUT, SILENCE, Answer, FakeGateway, Frame
from runner.testing.journal import FakeJournal
from runner.testing.loop_clock import WALL_S, SettableClock
from tests.engine.builders import CANARY, NO, DatedGateway, course, left_behind, refusing
from tests.engine.harness import after, ids, run_batch


def between(begins_s: float | None, ends_s: float | None) -> Window:
    """Return a window by seconds since the run's begin."""

    def moment(name: str, at_s: float | None) -> Moment | None:
        return None if at_s is None else Moment(name, WALL_S + at_s)

    return Window(moment("OPENS", begins_s), moment("CLOSES", ends_s))


# Waves


def test_a_wave_begins_when_the_last_one_is_final():
    run = run_batch(100, Answer("transfer_initiated", 1.0), policy=course(*CANARY))
    begins = [(note["wave"], note["of"], note["transfers"]) for note in run.noted("wave begun")]
    assert begins == [(1, 3, 1), (2, 3, 9), (3, 3, 90)]
    assert run.ending.halted is None
    assert set(run.states().values()) == {"transferred"}
    times = run.times
    assert times[1] - times[0] >= 1.0  # one, and its answer
    assert times[10] - times[9] >= 1.0
    assert times[9] - times[1] < 0.5


def test_retries_and_doubts_of_a_wave_end_before_the_next_one_begins():
    """The first is told to wait, the second's answer is lost: both are settled, then comes wave 2."""

    def script(frame: Frame) -> list[Answer]:
        if frame.interaction_id == "i0" and frame.nth == 1:
            return [Answer("rate_limited", retry_after_s=20)]
        if frame.interaction_id == "i1" and frame.nth == 1:
            return [Answer(effect=True)]
        return [CARRIED_OUT]

    run = run_batch(4, script=script, policy=course(2, EVERYTHING))
    assert run.ending.halted is None
    second = min(frame.at for frame in run.frames if frame.interaction_id in {"i2", "i3"})
    settled = [n for n, (kind, what) in enumerate(run.gateway.log)
               if kind == "entry" and what.row.key in {"k0", "k1"}]  # fmt: skip
    begun = [n for n, (kind, what) in enumerate(run.gateway.log)
             if kind == "note" and what.event == "wave begun"]  # fmt: skip
    assert settled[-1] < begun[1]
    assert second > 20
    assert run.states() == dict.fromkeys(("k0", "k1", "k2", "k3"), "transferred")


def test_a_canary_that_fails_stops_the_run_after_itself():
    run = run_batch(100, script=refusing("i0"), policy=course(*CANARY, fails=Share(0.05)))
    assert ids(run) == ["i0"]
    assert run.ending.halted is ExitCode.STOPPED
    assert run.ending.explanation == (
        "wave 1 of 3 was not healthy: 1 of its 1 rejected or failed, at most 0 may (max_failures"
        " is 5% of the batch); the rest was not begun: read the reasons in the report, fix what"
        " they name, then run apply again"
    )


def test_without_a_limit_a_wave_bears_no_failure():
    run = run_batch(100, script=refusing("i4"), policy=course(*CANARY), limits=Limits(in_flight=1))
    assert ids(run) == ["i0", "i1", "i2", "i3", "i4"]
    assert run.ending.explanation is not None
    assert "wave 2 of 3 was not healthy: 1 of its 9" in run.ending.explanation
    assert "(no max_failures is given)" in run.ending.explanation


def test_a_wave_bears_its_share_of_the_failures():
    run = run_batch(
        100, script=refusing("i0", "i50"), policy=course(20, EVERYTHING, fails=Share(0.05))
    )
    assert run.ending.halted is None
    assert len(run.frames) == 100


def test_the_last_wave_is_measured_by_the_whole_batch():
    run = run_batch(10, script=refusing("i8", "i9"), policy=course(5, EVERYTHING, fails=2))
    assert run.ending.halted is None
    assert len(run.frames) == 10


def test_what_is_in_flight_when_a_wave_fails_settles():
    run = run_batch(10, script=refusing("i0", after_s=0.5), policy=course(5, EVERYTHING))
    assert sorted(ids(run)) == ["i0", "i1", "i2", "i3", "i4"]
    states = run.states()
    assert states["k0"] == "rejected"
    assert {states[f"k{n}"] for n in range(1, 5)} == {"transferred"}
    assert {states[f"k{n}"] for n in range(5, 10)} == {"ready"}


def test_a_doubt_leaves_a_wave_unhealthy():
    run = run_batch(10, script=lambda f: [SILENCE if f.interaction_id == "i1" else CARRIED_OUT],
                policy=course(2, EVERYTHING, fails=5))  # fmt: skip
    assert sorted(ids(run)) == ["i0", "i1"]
    assert run.states()["k1"] == "unknown"
    assert run.ending.halted is ExitCode.STOPPED
    assert run.ending.explanation == (
        "wave 1 of 2 was not healthy: 1 of its 2 in doubt; the rest was not begun: settle what is"
        " in doubt, then run apply again"
    )


def test_a_doubt_of_the_last_wave_stops_nothing():
    run = run_batch(3, script=lambda f: [SILENCE if f.interaction_id == "i2" else CARRIED_OUT],
                policy=course(1, EVERYTHING))  # fmt: skip
    assert run.states() == {"k0": "transferred", "k1": "transferred", "k2": "unknown"}
    assert run.ending.halted is None


def test_a_doubt_that_is_cleared_up_leaves_its_wave_healthy():
    rules = Rules(course(1, EVERYTHING), Dedupes(86_400))
    run = run_batch(3, SILENCE, CARRIED_OUT, rules=rules)
    assert run.ending.halted is None
    assert set(run.states().values()) == {"transferred"}


def test_what_is_skipped_is_no_failure():
    over: dict[str, Interaction | Exception] = {
        f"i{n}": Interaction(f"i{n}", found=True, state="completed") for n in range(2)
    }
    run = run_batch(3, gateway=FakeGateway(interactions=over), policy=replace(
        course(2, EVERYTHING, fails=0), preflight=True))  # fmt: skip
    assert run.states() == {"k0": "skipped", "k1": "skipped", "k2": "transferred"}
    assert run.ending.halted is None


# The threshold


@pytest.mark.parametrize(("fails", "sent"), [(0, 1), (2, 3), (Share(0.1), 2), (Share(0.39), 4)])
def test_a_run_stops_when_failures_exceed_what_is_borne(fails: Amount, sent: int):
    run = run_batch(10, NO, policy=course(fails=fails), limits=Limits(in_flight=1))
    assert len(run.frames) == sent
    assert run.ending.halted is ExitCode.STOPPED


def test_a_run_that_fails_too_often_says_of_how_many():
    run = run_batch(40, NO, policy=course(fails=Share(0.05)), limits=Limits(in_flight=1))
    assert run.ending.explanation == (
        "3 of the 40 transfers to be sent in this run were rejected or failed, above"
        " max_failures (5% = 2); nothing further was sent: read the reasons"
        " in the report, fix what they name, then run apply again"
    )


def test_failures_up_to_the_limit_stop_nothing():
    run = run_batch(10, script=refusing("i0", "i5"), policy=course(fails=2))
    assert run.ending.halted is None
    assert len(run.frames) == 10


def test_retries_are_no_failures_and_used_up_ones_are():
    slow = course(fails=0)
    run = run_batch(5, "rate_limited", "rate_limited", CARRIED_OUT, policy=slow)
    assert run.ending.halted is None
    run = run_batch(5, "rate_limited", policy=replace(slow, retry=RetryPolicy(2, 0.1, 1)))
    assert run.ending.halted is ExitCode.STOPPED
    assert "failed" in run.states().values()


def test_a_doubt_is_no_failure():
    run = run_batch(5, SILENCE, policy=course(fails=0))
    assert set(run.states().values()) == {"unknown"}
    assert run.ending.halted is None


def test_a_threshold_is_no_unreachable_gateway_though_nothing_was_sent():
    broken = LookUpFailed(environment="t", url="https://x", what="500", check="wait")
    interactions: dict[str, Interaction | Exception] = {f"i{n}": broken for n in range(4)}
    run = run_batch(4, gateway=FakeGateway(interactions=interactions), policy=replace(
        course(fails=0), preflight=True))  # fmt: skip
    assert run.frames == []
    assert run.ending.halted is ExitCode.STOPPED


def test_a_late_yes_takes_a_failure_back():
    """The first is refused and then carried out: the second failure is the first that counts."""

    def script(frame: Frame) -> list[Answer]:
        if frame.interaction_id == "i0":
            return [NO, Answer("transfer_initiated", 0.5)]
        late = 1.0 if frame.interaction_id == "i1" else 0.02
        return [replace(NO if frame.interaction_id == "i1" else CARRIED_OUT, after_s=late)]

    run = run_batch(8, script=script, policy=course(fails=1), limits=Limits(rate_per_s=2))
    assert run.ending.halted is None
    assert run.states()["k0"] == "transferred"


# The window


def test_nothing_is_sent_nor_dialled_before_the_window_opens():
    run = run_batch(3, policy=course(window=between(3600, 7200)))
    assert run.frames == []
    assert run.ending.figures.sessions_opened == 0
    assert run.ending.halted is ExitCode.STOPPED
    assert run.ending.explanation == (
        "the window (policy.window) opens at OPENS, in 1 h 00 min; nothing is sent before: run"
        " apply then"
    )


def test_what_is_in_flight_when_the_window_closes_settles_and_nothing_new_is_sent():
    run = run_batch(100, Answer("transfer_initiated", 3.0), policy=course(window=between(0, 5)),
                limits=Limits(rate_per_s=10))  # fmt: skip
    assert 40 <= len(run.frames) <= 50
    assert max(run.times) < 5
    states = list(run.states().values())
    assert states.count("transferred") == len(run.frames)
    assert states.count("ready") == 100 - len(run.frames)
    assert run.ending.halted is ExitCode.STOPPED
    assert run.ending.explanation is not None
    assert "closed at CLOSES" in run.ending.explanation
    assert run.took_s < 9


def test_a_window_that_closes_behind_the_last_frame_stops_nothing():
    run = run_batch(3, Answer("transfer_initiated", 3.0), policy=course(window=between(0, 2)))
    assert run.ending.halted is None
    assert run.took_s > 3


def test_what_waits_for_long_does_not_hold_the_run_beyond_its_window():
    run = run_batch(
        2, Answer("rate_limited", retry_after_s=170), policy=course(window=between(0, 5))
    )
    assert run.ending.halted is ExitCode.STOPPED
    assert run.took_s < 6


def test_an_intent_that_the_window_overtakes_is_withdrawn():
    """It became durable too late: what was granted does not leave."""
    run = run_batch(1, policy=course(window=between(0, 0.3)), journal=FakeJournal(commit_s=0.4))
    assert run.frames == []
    assert run.journal.events("k0") == ["intent", "withdrawn"]
    assert run.ending.halted is ExitCode.STOPPED


@pytest.mark.parametrize(("step_s", "word"), [(3600.0, "closed at"), (-3600.0, "opens at")])
def test_a_clock_that_is_set_lets_nothing_leave_outside_the_window(step_s: float, word: str):
    clock = SettableClock()

    def step() -> None:
        clock.step_s = step_s

    run = run_batch(100, policy=course(window=between(-10, 1800)), limits=Limits(rate_per_s=10),
                clock=clock, meanwhile=lambda _: after(3.05, step))  # fmt: skip
    assert run.times
    assert max(run.times) < 3.05
    assert run.ending.halted is ExitCode.STOPPED
    assert run.ending.explanation is not None
    assert word in run.ending.explanation


def test_a_doubt_is_not_sent_again_behind_the_window():
    """It could be, by the gateway's promise; after the window it is looked up at most."""
    rules = Rules(course(window=between(0, 5)), Dedupes(86_400))
    run = run_batch(1, SILENCE, CARRIED_OUT, rules=rules)
    assert len(run.frames) == 1  # the answer is waited for until the tenth second
    assert run.states() == {"k0": "unknown"}
    assert run.ending.halted is ExitCode.STOPPED


def test_behind_the_window_no_intent_is_made():
    run = run_batch(20, policy=course(window=between(0, 5.2)), limits=Limits(rate_per_s=2))
    assert len(run.frames) == 10
    assert [entry.event.value for entry in run.journal.entries if entry.row.n >= 10] == []


def test_a_doubt_of_an_earlier_run_is_looked_up_before_the_window_and_not_sent_again():
    rules = Rules(course(window=between(3600, 7200)), Dedupes(86_400))
    run = run_batch(0, rules=rules, journal=left_behind())
    assert [interaction for _, interaction in run.gateway.look_ups] != []
    assert run.frames == []
    assert run.states() == {}
    assert run.ending.halted is ExitCode.STOPPED


def test_what_an_earlier_run_left_in_doubt_is_in_no_wave_and_no_failure():
    """It is sent again, refused, and the run goes on: it was not to be sent by this run."""
    rules = Rules(course(1, EVERYTHING, fails=0), Dedupes(86_400))
    run = run_batch(3, script=refusing("i8"), rules=rules, journal=left_behind(listed=True))
    assert run.ending.halted is None
    assert run.states() == dict.fromkeys(("k0", "k1", "k2"), "transferred")
    assert "i8" in ids(run)


def test_no_wave_waits_for_the_fence_of_what_an_earlier_run_left_in_doubt():
    rules = Rules(course(1, EVERYTHING), Expires(30, 2))
    journal = left_behind(listed=True, baseline=Baseline("active", "genesys://queue/before", None))
    run = run_batch(3, rules=rules, journal=journal, gateway=DatedGateway())
    assert run.states() == dict.fromkeys(("k0", "k1", "k2"), "transferred")
    assert [frame.at < 30 for frame in run.frames] == [True, True, True, False]


# The recurring windows


def recurring(begins_s: float, ends_s: float, *, allows: bool = True) -> WindowRule:
    """Return an entry by seconds since the run's begin."""
    begins, ends = (
        datetime.fromtimestamp(WALL_S + at_s, UTC).replace(tzinfo=None)
        for at_s in (begins_s, ends_s)
    )
    return WindowRule(allows, Once(begins, ends), UTC, "")


def test_nothing_is_sent_nor_dialled_while_the_recurring_windows_are_shut():
    run = run_batch(3, policy=replace(course(), windows=Windows((recurring(3600, 7200),))))
    assert run.frames == []
    assert run.ending.figures.sessions_opened == 0
    assert run.ending.halted is ExitCode.STOPPED
    assert (run.ending.explanation or "").startswith("the windows (policy.windows) open at ")


@pytest.mark.parametrize(
    "rules",
    [
        (recurring(-60, 5),),
        (recurring(5, 60, allows=False),),
        (recurring(-60, 60), recurring(5, 9, allows=False)),
    ],
)
def test_a_recurring_window_that_closes_lets_what_is_in_flight_settle(
    rules: tuple[WindowRule, ...],
):
    policy = replace(course(), windows=Windows(rules))
    run = run_batch(100, Answer("transfer_initiated", 3.0), policy=policy,
                    limits=Limits(rate_per_s=10))  # fmt: skip
    assert 40 <= len(run.frames) <= 50
    assert max(run.times) < 5
    assert list(run.states().values()).count("transferred") == len(run.frames)
    assert run.ending.halted is ExitCode.STOPPED


def test_windows_that_close_in_the_middle_are_said_to_have_closed():
    policy = replace(course(), windows=Windows((recurring(0, 60),)))
    run = run_batch(60, CARRIED_OUT, policy=policy, limits=Limits(rate_per_s=0.5))
    assert 25 <= len(run.frames) <= 30
    assert str(run.ending.explanation).startswith(
        "the windows (policy.windows) closed at 2027-01-15T08:01:00+00:00, and do not open again"
    )


def test_the_window_and_the_recurring_windows_hold_together():
    open_long = Windows((recurring(-60, 60),))
    policy = replace(course(window=between(0, 5)), windows=open_long)
    run = run_batch(100, Answer("transfer_initiated", 3.0), policy=policy,
                    limits=Limits(rate_per_s=10))  # fmt: skip
    assert max(run.times) < 5
    assert "closed at CLOSES" in (run.ending.explanation or "")
    done = run_batch(3, policy=replace(course(window=between(0, 60)), windows=open_long))
    assert done.ending.halted is None
