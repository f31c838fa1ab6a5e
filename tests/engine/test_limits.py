"""What a run keeps to: the rate, the slots, pauses, the stop flag, the journal's health."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from runner.core.errors import GatewayError, StorageError
from runner.core.exit_code import ExitCode
from runner.core.gates import WaveConditions
from runner.core.manifest.model import Limits, Policy, RetryPolicy
from runner.core.manifest.quantity import EVERYTHING
from runner.core.pacing.circuit_breaker import BreakerPolicy
from runner.core.pacing.pace_left import HoldOff, PaceLeft, Slowdown
from runner.core.transfer.message import Draft, GatewayNote, Message, Unfit
from runner.core.transfer.states import Event, State
from runner.engine.rules import Rules
from runner.engine.stop import StopSignal
from runner.gateways.interaction_transfer.protocol.request import build_message
from runner.ports import Entry, Note
from runner.testing.gateway import BEFORE, CARRIED_OUT, SILENCE, Answer, FakeGateway, Frame
from runner.testing.journal import FakeJournal
from runner.testing.loop_clock import WALL_S
from tests.core.pacing.measures import most_in_a_second
from tests.engine.builders import HD, NARROW, NO_PREFLIGHT, rows
from tests.engine.harness import Run, after, run_batch

GONE = GatewayError(environment="t", url="wss://x", what="no session", check="wait")

# Rate and slots


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        (Limits(rate_per_s=25, burst=1), 26),
        (Limits(rate_per_s=10, burst=5), 15),
        (Limits(rate_per_s=200, burst=1), 201),
        (Limits(rate_per_s=2.5, burst=1), 3),
        (Limits(rate_per_s=0.5, burst=1), 1),
    ],
)
def test_no_second_holds_more_than_the_rate_and_the_burst(limits: Limits, most: int):
    assert limits.rate_per_s is not None
    run = run_batch(max(4, int(limits.rate_per_s * 2.5)), limits=limits)
    assert most_in_a_second(run.times) <= most
    peak = run.ending.figures.peak_in_any_second
    assert peak is not None
    assert peak <= most


@pytest.mark.parametrize("rate", [1, 25, 200])
@pytest.mark.parametrize("preflight", [True, False])
def test_almost_all_of_the_rate_is_used(rate: int, preflight: bool):  # noqa: FBT001 - a case
    run = run_batch(
        max(rate * 3, 10), limits=Limits(rate_per_s=rate), policy=Policy(preflight=preflight)
    )
    used = (len(run.times) - 1) / (run.times[-1] - run.times[0])
    assert used >= 0.98 * rate
    assert run.ending.figures.rate_achieved_per_s == pytest.approx(used)


def test_retries_and_fallbacks_keep_the_rate_too():
    run = run_batch(
        rows(30, media=(HD, NARROW)), "rate_limited", "codec_unsupported", CARRIED_OUT,
        limits=Limits(rate_per_s=20),
    )  # fmt: skip
    assert len(run.frames) == 90
    assert most_in_a_second(run.times) <= 21


def test_frames_leave_in_the_plans_order():
    run = run_batch(50, limits=Limits(rate_per_s=100))
    assert [f.interaction_id for f in run.frames] == [f"i{n}" for n in range(50)]


@pytest.mark.parametrize("slots", [1, 3, 64])
def test_no_more_than_so_many_are_in_flight(slots: int):
    run = run_batch(100, Answer("transfer_initiated", 0.3), limits=Limits(in_flight=slots))
    assert run.gateway.most_open == slots
    assert max(point.in_flight for point in run.ending.figures.timeline) <= slots


def test_a_slot_is_free_only_when_the_outcome_is_durable():
    run = run_batch(3, limits=Limits(in_flight=1), journal=FakeJournal(commit_s=0.2))
    kinds = [what.event.value if kind == "entry" else kind for kind, what in run.gateway.log
             if kind != "note"]  # fmt: skip
    assert kinds == ["intent", "frame", "accepted"] * 3


def test_the_bandwidth_in_flight_is_bounded():
    run = run_batch(9, Answer("transfer_initiated", 1), total_kbps=130)
    assert run.gateway.most_open == 2


def test_a_transfer_wider_than_the_whole_goes_alone():
    run = run_batch(3, Answer("transfer_initiated", 1), total_kbps=10)
    assert run.gateway.most_open == 1
    assert set(run.states().values()) == {"transferred"}


def test_too_fast_halves_the_pace_and_it_climbs_back():
    def script(frame: Frame) -> list[Answer]:
        return [Answer("rate_limited" if 5 <= frame.at < 5.1 else "transfer_initiated")]

    run = run_batch(600, script=script, limits=Limits(rate_per_s=40))
    rates = [p.rate_per_s for p in run.ending.figures.timeline if p.rate_per_s is not None]
    assert rates[0] == 40
    assert min(rates) <= 25
    assert rates[-1] == 40
    assert set(run.states().values()) == {"transferred"}


def test_a_run_that_begins_spends_no_burst():
    run = run_batch(10, limits=Limits(rate_per_s=10, burst=5))
    assert run.times[0] >= 0.1 - 0.001
    assert most_in_a_second(run.times[:5]) == 5


# Pauses


def test_retry_after_is_obeyed_by_everyone():
    """A gateway that tells one of them to wait is not asked by another."""

    def script(frame: Frame) -> list[Answer]:
        first = frame.interaction_id == "i3" and frame.nth == 1
        return [Answer("rate_limited", retry_after_s=30) if first else CARRIED_OUT]

    run = run_batch(50, script=script, limits=Limits(rate_per_s=10))
    (gap,) = [b - a for a, b in pairwise(run.times) if b - a > 1]
    assert 29.9 < gap < 31


def test_what_the_gateway_asked_an_earlier_run_holds_for_this_one():
    left = PaceLeft(Slowdown(WALL_S - 1, 2.0, 16.0), HoldOff(WALL_S - 5, 30.0, "retry_after"))
    run = run_batch(12, limits=Limits(rate_per_s=16), pace=left)
    assert 25 <= run.times[0] < 26
    assert run.noted("held off") == []  # it was written down when it was asked
    turns = [(event.turn, round(event.value or 0)) for event in run.ending.figures.story[:2]]
    assert turns == [("slowed", 4), ("paused", 25)]


def test_a_run_after_a_killed_one_begins_at_the_rate_that_was_left():
    run = run_batch(12, limits=Limits(rate_per_s=16), pace=PaceLeft(Slowdown(WALL_S, 2.0, 16.0)))
    assert run.times[0] >= 0.5
    assert sum(at < 1 for at in run.times) == 1  # 2/s, then 4/s, 6/s
    assert sum(at < 2 for at in run.times) <= 5


def test_a_large_burst_at_the_rate_that_was_left_holds_no_run_up():
    limits = Limits(rate_per_s=16, burst=200)
    run = run_batch(12, limits=limits, pace=PaceLeft(Slowdown(WALL_S, 0.25, 16.0)))
    assert run.times[0] <= 2


def test_what_the_gateway_asks_for_is_written_down_for_the_next_run():
    run = run_batch(
        3, Answer("rate_limited", retry_after_s=30), CARRIED_OUT, limits=Limits(rate_per_s=8)
    )
    assert run.noted("slowed down")[0] == {
        "rate_per_s": 4.0,
        "base_per_s": 8,
        "why": "rate_limited",
    }
    assert run.noted("held off")[0] == {"wait_s": 30, "why": "retry_after"}


def test_a_pause_that_the_rest_side_asks_for_holds_frames_too():
    run = run_batch(
        40, limits=Limits(rate_per_s=10),
        meanwhile=lambda r: after(1, lambda: r.gateway.listener.paused(20, "the REST side")),
    )  # fmt: skip
    assert max(b - a for a, b in pairwise(run.times)) >= 19.9
    assert any(p.waiting_for and "REST" in p.waiting_for for p in run.observer.progress)


def test_a_pause_beyond_three_minutes_ends_the_run():
    run = run_batch(
        40, limits=Limits(rate_per_s=1),
        meanwhile=lambda r: after(5, lambda: r.gateway.listener.paused(3600, "maintenance")),
    )  # fmt: skip
    assert run.ending.halted is ExitCode.STOPPED
    assert run.ending.explanation is not None
    assert "3600 s (maintenance)" in run.ending.explanation


@pytest.mark.parametrize(
    ("asked_s", "told"), [(31_536_000.0, "31536000 s"), (1.7e308, "more than 1,000,000,000 s")]
)
def test_a_very_long_pause_is_told_in_full(asked_s: float, told: str):
    by_rest = run_batch(
        4, limits=Limits(rate_per_s=1),
        meanwhile=lambda r: after(1, lambda: r.gateway.listener.paused(asked_s, "closed")),
    )  # fmt: skip
    by_reply = run_batch(1, Answer("rate_limited", retry_after_s=asked_s))
    for run in (by_rest, by_reply):
        assert f"asks to wait {told}" in str(run.ending.explanation)


def test_a_shut_gate_withdraws_the_intent_within_a_second_and_delivers_anew():
    """The buffer fills between intent and frame: certainly not sent, and told so."""
    gateway = FakeGateway()

    async def stall_for_a_while(_: Run) -> None:
        await after(0.1, lambda: setattr(gateway, "stalled", True))
        await after(3.4, lambda: setattr(gateway, "stalled", False))

    run = run_batch(
        1, gateway=gateway, journal=FakeJournal(commit_s=0.2), meanwhile=stall_for_a_while
    )
    events = run.journal.events("k0")
    assert events[:2] == ["intent", "withdrawn"]
    assert events[-2:] == ["intent", "accepted"]
    entries = run.journal.entries
    for intent, withdrawn in zip(entries[::2], entries[1::2], strict=True):
        assert withdrawn.at - intent.at < 1.1
    (frame,) = run.frames
    built = frame.body["timestamp"]
    assert built != entries[0].intent.text  # type: ignore[union-attr]
    assert frame.message_id == entries[-2].intent.message_id  # type: ignore[union-attr]


def test_nobody_is_given_a_turn_while_the_socket_takes_nothing_in():
    gateway = FakeGateway(stalled=True)
    run = run_batch(
        1,
        gateway=gateway,
        meanwhile=lambda _: after(3.5, lambda: setattr(gateway, "stalled", False)),
    )
    assert run.journal.events("k0") == ["intent", "accepted"]


def test_a_message_is_never_older_than_a_second_when_it_is_written():
    run = run_batch(20, journal=FakeJournal(commit_s=0.7), limits=Limits(rate_per_s=5))
    intents = {e.intent.message_id: e.at for e in run.journal.entries if e.intent is not None}
    assert run.frames
    for frame in run.frames:
        assert frame.at - (intents[frame.message_id] - 1_800_000_000.0) <= 1.0
    assert set(run.states().values()) == {"transferred"}


def test_a_session_lost_between_intent_and_write_withdraws_it():
    gateway = FakeGateway()
    run = run_batch(
        1, gateway=gateway, journal=FakeJournal(commit_s=0.5),
        meanwhile=lambda _: after(0.2, lambda: gateway.lose(back_after_s=0.1)),
    )  # fmt: skip
    assert run.journal.events("k0") == ["intent", "withdrawn", "intent", "accepted"]
    assert [f.generation for f in run.frames] == [2]


def test_a_close_code_that_asks_for_it_slows_the_pace():
    run = run_batch(
        200, limits=Limits(rate_per_s=20),
        meanwhile=lambda r: after(3, lambda: r.gateway.listener.slowed("1013")),
    )  # fmt: skip
    assert any(p.rate_per_s == 10 for p in run.observer.progress)
    assert ("slowing down", {"why": "1013"}) in run.observer.warnings


# The circuit breaker


def test_a_gateway_that_answers_nothing_is_left_alone_and_then_given_up():
    policy = Policy(
        preflight=False,
        negotiation_timeout_s=1,
        circuit_breaker=BreakerPolicy(failures=3, cool_down_s=30, give_up_s=100),
    )
    run = run_batch(200, SILENCE, limits=Limits(rate_per_s=10, in_flight=4), policy=policy)
    assert run.ending.halted is ExitCode.STOPPED
    assert run.ending.explanation is not None
    assert "give_up" in run.ending.explanation
    assert len(run.frames) <= 12
    assert run.took_s < 120
    assert any(p.waiting_for and "circuit" in p.waiting_for for p in run.observer.progress)


def test_a_pause_is_no_silence_of_the_gateway():
    """Eight time-outs, then a person pauses for twenty minutes; the gateway recovers after one."""
    gateway = FakeGateway(script=lambda frame: [] if frame.at < 5 else [CARRIED_OUT])

    async def meanwhile(run: Run) -> None:
        await asyncio.sleep(12)
        assert (await run.command("pause", for_="20m")).is_done

    run = run_batch(
        40, gateway=gateway, limits=Limits(in_flight=8), meanwhile=meanwhile, longest_s=7200
    )
    assert run.ending.halted is None
    assert list(run.states().values()).count("transferred") == 32


def test_sessions_that_end_with_nothing_under_way_are_no_silence_of_the_gateway():
    gateway = FakeGateway()

    async def meanwhile(run: Run) -> None:
        for _ in range(8):
            await asyncio.sleep(120)
            gateway.lose(1001, "rolling restart", back_after_s=0.5)
        await asyncio.sleep(400)
        await run.command("continue")

    policy = replace(
        NO_PREFLIGHT,
        waves=(1, EVERYTHING),
        wave_conditions=(WaveConditions(), WaveConditions(confirm=True)),
    )
    run = run_batch(10, gateway=gateway, policy=policy, meanwhile=meanwhile, longest_s=7200)
    assert run.ending.halted is None
    assert set(run.states().values()) == {"transferred"}


def test_a_gateway_that_answers_late_answers():
    """Every answer comes a second after the time-out; each settles its transfer."""
    run = run_batch(
        200, replace(CARRIED_OUT, after_s=11.0), limits=Limits(in_flight=8), longest_s=7200
    )
    assert run.ending.halted is None
    assert set(run.states().values()) == {"transferred"}
    assert len(run.frames) == 200


# The stop flag


def test_a_stop_sends_nothing_new_and_lets_what_is_in_flight_settle():
    run = run_batch(
        100, Answer("transfer_initiated", 2), limits=Limits(rate_per_s=10),
        meanwhile=lambda r: after(3, lambda: r.stop_signal.set(ExitCode.INTERRUPTED, "by SIGINT")),
    )  # fmt: skip
    assert run.ending.halted is ExitCode.INTERRUPTED
    assert run.times[-1] <= 3.001
    counts = list(run.states().values())
    assert counts.count("transferred") == len(run.frames) > 20
    assert counts.count("ready") == 100 - len(run.frames)
    assert run.took_s < 5.5


def test_a_stop_ends_a_long_wait_at_once():
    run = run_batch(
        1, Answer("rate_limited", retry_after_s=170),
        meanwhile=lambda r: after(2, lambda: r.stop_signal.set(ExitCode.TERMINATED, "by SIGTERM")),
    )  # fmt: skip
    assert run.took_s < 2.5
    assert run.states() == {"k0": "ready"}


def test_a_stop_ends_an_outage_at_once():
    run = run_batch(
        5, gateway=FakeGateway(opens_after_s=3000),
        meanwhile=lambda r: after(2, lambda: r.stop_signal.set(ExitCode.HANGUP, "by SIGHUP")),
    )  # fmt: skip
    assert (run.took_s, run.ending.halted) == (pytest.approx(2, abs=0.001), ExitCode.HANGUP)
    assert run.gateway.closed == 1


def test_a_stop_does_not_wait_for_look_ups():
    """A REST side in trouble may take minutes, waits and retries included."""
    run = run_batch(
        5, gateway=FakeGateway(look_up_s=500), policy=Policy(),
        meanwhile=lambda r: after(2, lambda: r.stop_signal.set(ExitCode.TERMINATED, "by SIGTERM")),
    )  # fmt: skip
    assert run.took_s < 3


def test_the_first_reason_stays_but_a_signal_outranks_a_stop_and_storage_all():
    def told(*codes: ExitCode) -> ExitCode | None:
        stop_signal = StopSignal()
        for code in codes:
            stop_signal.set(code, code.name)
        assert stop_signal.reason == (stop_signal.code.name if stop_signal.code else None)
        return stop_signal.code

    stopped, storage = ExitCode.STOPPED, ExitCode.STORAGE
    assert told(ExitCode.INTERRUPTED, ExitCode.TERMINATED) is ExitCode.INTERRUPTED
    assert told(ExitCode.INTERRUPTED, stopped) is ExitCode.INTERRUPTED
    assert told(ExitCode.INTERRUPTED, storage) is storage
    assert told(storage, ExitCode.INTERRUPTED) is storage
    assert told(stopped, ExitCode.TERMINATED) is ExitCode.TERMINATED


# What ends a run


def test_a_gateway_that_cannot_be_opened_is_unreachable():
    run = run_batch(3, gateway=FakeGateway(opening=GONE))
    assert (run.ending.halted, run.ending.error) == (ExitCode.UNREACHABLE, GONE)
    assert (run.frames, run.gateway.closed) == ([], 1)


def test_a_gateway_that_gives_up_stops_the_run():
    run = run_batch(
        100, limits=Limits(rate_per_s=10),
        meanwhile=lambda r: after(2, lambda: r.gateway.listener.gave_up(GONE)),
    )  # fmt: skip
    assert (run.ending.halted, run.ending.error) == (ExitCode.STOPPED, GONE)


def test_given_up_before_the_first_frame_is_unreachable():
    gateway = FakeGateway(stalled=True)
    run = run_batch(
        1, gateway=gateway, meanwhile=lambda r: after(2, lambda: r.gateway.listener.gave_up(GONE))
    )
    assert run.ending.halted is ExitCode.UNREACHABLE


def test_a_fault_of_our_own_in_the_session_is_a_bug():
    run = run_batch(
        100, limits=Limits(rate_per_s=10),
        meanwhile=lambda r: after(2, lambda: r.gateway.listener.gave_up(ValueError("x"))),
    )  # fmt: skip
    assert run.ending.halted is ExitCode.BUG


@pytest.mark.parametrize("event", [Event.INTENT, Event.ACCEPTED])
def test_a_journal_that_fails_stops_sending_at_once(event: Event):
    def fails(entry: Entry | Note) -> bool:
        return isinstance(entry, Entry) and entry.event is event and entry.row.key == "k5"

    run = run_batch(100, journal=FakeJournal(fails=fails), limits=Limits(rate_per_s=20))
    assert run.ending.halted is ExitCode.STORAGE
    assert isinstance(run.ending.error, StorageError)
    assert 5 <= len(run.frames) <= 7
    durable = {e.intent.message_id for e in run.journal.entries if e.intent is not None}
    assert {f.message_id for f in run.frames} <= durable


def test_a_note_that_cannot_be_kept_ends_the_run_too():
    run = run_batch(
        50, journal=FakeJournal(fails=lambda entry: entry.event == "stray frame"),
        limits=Limits(rate_per_s=10),
        meanwhile=lambda r: after(1, lambda: r.gateway.listener.noted(GatewayNote("not JSON", "x"))),
    )  # fmt: skip
    assert run.ending.halted is ExitCode.STORAGE
    assert len(run.frames) < 15


def test_strays_are_kept_up_to_a_bound():
    def flood(run: Run) -> None:
        for n in range(1200):
            run.gateway.listener.noted(GatewayNote("not JSON", str(n)))

    run = run_batch(
        1, Answer("transfer_initiated", 1), meanwhile=lambda r: after(0.5, lambda: flood(r))
    )
    assert len(run.noted("stray frame")) == 1000
    assert run.noted("stray frame")[0] == {"why": "not JSON", "text": "0"}
    assert run.noted("stray frames") == [{"count": 1200}]


def test_a_message_that_fails_format_verification_is_never_sent():
    run = run_batch(
        2, find_fault=lambda message, _media: "id: not a UUID" if '"i0"' in message.text else None
    )
    assert run.states() == {"k0": "rejected", "k1": "transferred"}
    assert run.reason("k0") == "the message fails format verification: id: not a UUID"


def test_what_the_gateway_has_no_words_for_is_rejected_and_never_sent():
    def compose(draft: Draft) -> Message:
        if draft.interaction_id == "i0":
            raise Unfit("a callback cannot be moved to an address")
        return build_message(draft)

    run = run_batch(2, compose=compose)
    assert run.states() == {"k0": "rejected", "k1": "transferred"}
    assert run.reason("k0") == "a callback cannot be moved to an address"
    assert [frame.interaction_id for frame in run.frames] == ["i1"]


def test_a_delivery_that_needs_a_sight_has_it_also_without_preflight():
    seen: list[str | None] = []

    def compose(draft: Draft) -> Message:
        seen.append(None if draft.seen is None else draft.seen.destination_uri)
        return build_message(draft)

    run_batch(1, rules=Rules(NO_PREFLIGHT, needs_look_up=True), compose=compose)
    assert seen == [BEFORE]


def test_what_the_gateway_paces_itself_leaves_at_its_pace_and_nothing_is_withdrawn():
    run = run_batch(12, gateway=FakeGateway(own_interval_s=0.5))
    gaps = [later - earlier for earlier, later in pairwise(run.times)]
    assert len(gaps) == 11
    assert min(gaps) >= 0.5
    assert max(gaps) < 0.6
    assert [e.event for e in run.journal.entries if e.event is Event.WITHDRAWN] == []


# Figures


def test_progress_is_told_twice_a_second_and_at_the_end():
    run = run_batch(30, limits=Limits(rate_per_s=10))
    assert len(run.observer.progress) >= 6
    last = run.observer.progress[-1]
    assert (last.total, last.settled, last.in_flight, last.sent) == (30, 30, 0, 30)
    assert last.outcomes == {"transferred": 30}


def test_a_long_run_has_a_timeline_of_six_hundred_points_at_the_most():
    run = run_batch(65, limits=Limits(rate_per_s=0.1))
    timeline = run.ending.figures.timeline
    assert 300 < len(timeline) <= 600
    assert run.ending.figures.timeline_bin_s == 2
    assert sum(p.sent for p in timeline) == sum(p.settled for p in timeline) == 65


def test_nothing_to_send_opens_and_closes():
    run = run_batch(0)
    assert (run.ending.halted, run.frames) == (None, [])
    assert run.journal.state("none") is State.READY


def test_attempts_of_one_never_retry():
    policy = Policy(preflight=False, retry=RetryPolicy(1, 1, 2))
    run = run_batch(1, "rate_limited", policy=policy)
    assert (len(run.frames), run.states()) == (1, {"k0": "failed"})
