"""A run that goes on with a batch which an earlier run began keeps that batch's promises."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from runner.core.exit_code import ExitCode
from runner.core.gates import WaveConditions
from runner.core.manifest.model import Limits
from runner.core.manifest.quantity import EVERYTHING
from runner.core.pacing.batch_so_far import BatchSoFar, GivenBefore
from runner.core.transfer.doubt_evidence import Baseline, Dedupes
from runner.core.transfer.rows import PlannedRow
from runner.engine.rules import Rules
from runner.ports import Note
from runner.testing.gateway import CARRIED_OUT, Answer, Frame
from tests.engine.builders import DatedGateway, course, left_behind, refusing, rows
from tests.engine.harness import Run, ids, run_batch


def so_far(
    left: Sequence[int],
    *,
    failed: Sequence[int] = (),
    begun: int = 1,
    in_doubt: Sequence[int] = (),
    commands: Sequence[GivenBefore] = (),
    total: int = 20,
) -> BatchSoFar:
    return BatchSoFar(
        "r1", total, 0, list(left), list(failed), frozenset(in_doubt), begun, commands
    )


def left_of(places: Sequence[int]) -> list[PlannedRow]:
    """Return the rows of these places."""
    return [row for row in rows(20) if row.n in places]


def begun(run: Run) -> list[tuple[int, int]]:
    return [(note["wave"], note["transfers"]) for note in run.noted("wave begun")]


THREE = course(5, 10, EVERYTHING)


def test_waves_that_are_finished_are_not_played_again_and_the_one_under_way_goes_on():
    left = range(7, 20)
    run = run_batch(left_of(left), CARRIED_OUT, policy=THREE, so_far=so_far(left, begun=2))
    assert begun(run) == [(2, 3), (3, 10)]
    assert run.ending.halted is None
    assert ids(run) == [f"i{n}" for n in left]


def test_what_was_not_begun_is_begun_where_the_batch_stands():
    run = run_batch(left_of(range(20)), policy=THREE, so_far=so_far(range(20), begun=0))
    assert begun(run) == [(1, 5), (2, 5), (3, 10)]


def test_a_wave_that_has_become_empty_hands_its_confirmation_on():
    """The only row of wave 2 was moved by another batch meanwhile: nobody has confirmed the rest."""
    policy = replace(
        course(1, 2, EVERYTHING),
        wave_conditions=(WaveConditions(), WaveConditions(confirm=True), WaveConditions()),
        answer_timeout_s=600.0,
    )
    left = range(2, 20)
    run = run_batch(left_of(left), CARRIED_OUT, policy=policy, so_far=so_far(left, begun=1))
    assert run.frames == []
    assert [note["by"] for note in run.noted("wave held")] == ["confirm"]
    assert begun(run) == [(1, 0)]


def test_failures_before_the_hand_over_count_towards_max_failures():
    left = range(4, 20)
    earlier = so_far(left, failed=[0, 1], begun=0)
    run = run_batch(
        left_of(left), script=refusing("i4", "i6"), policy=course(fails=3), so_far=earlier,
        limits=Limits(in_flight=1),
    )  # fmt: skip
    assert run.ending.halted is ExitCode.STOPPED
    assert "4 of the 20 transfers to be sent in this batch" in str(run.ending.explanation)
    assert ids(run) == ["i4", "i5", "i6"]


def test_seats_are_what_the_failures_before_left():
    """Two may fail, and two have: one transfer is under way at a time, and its failure ends it."""
    left = range(2, 20)
    run = run_batch(
        left_of(left), script=refusing("i2"), policy=course(fails=2),
        so_far=so_far(left, failed=[0, 1], begun=0),
    )  # fmt: skip
    assert ids(run) == ["i2"]
    assert run.ending.halted is ExitCode.STOPPED


def test_more_failures_than_allowed_before_the_hand_over_end_it_at_once():
    left = range(5, 20)
    earlier = so_far(left, failed=[0, 1, 2], begun=0)
    run = run_batch(left_of(left), CARRIED_OUT, policy=course(fails=2), so_far=earlier)
    assert run.frames == []
    assert run.ending.halted is ExitCode.STOPPED


def test_a_wave_that_ended_unhealthy_before_the_hand_over_is_followed_by_none():
    left = range(5, 20)
    run = run_batch(
        left_of(left), CARRIED_OUT, policy=THREE, so_far=so_far(left, failed=[2], begun=1)
    )
    assert run.frames == []
    assert "wave 1 of 3 was not healthy: 1 of its 5" in str(run.ending.explanation)


def test_the_next_wave_waits_for_what_the_dead_run_left_in_doubt_of_this_one():
    """The doubt (`i8`) is sent again, since the gateway dedupes, and answered late."""
    left = range(9, 20)

    def script(frame: Frame) -> list[Answer]:
        return [replace(CARRIED_OUT, after_s=3.0 if frame.interaction_id == "i8" else 0.01)]

    run = run_batch(
        left_of(left),
        script=script,
        journal=left_behind(age_s=10, baseline=Baseline("active", "d", None)),
        gateway=DatedGateway(),
        rules=Rules(THREE, Dedupes(3600.0)),
        so_far=so_far(left, begun=2, in_doubt=[40]),
    )
    assert begun(run) == [(2, 1), (3, 10)]
    assert ids(run)[:2] == ["i8", "i9"] or ids(run)[:2] == ["i9", "i8"]
    assert run.frames[2].at - run.frames[0].at >= 3.0
    assert run.ending.halted is None


def test_a_doubt_of_the_batch_that_fails_at_last_is_a_failure_of_it():
    left = range(9, 20)
    run = run_batch(
        left_of(left),
        script=refusing("i8"),
        journal=left_behind(age_s=10, baseline=Baseline("active", "d", None)),
        gateway=DatedGateway(),
        rules=Rules(THREE, Dedupes(3600.0)),
        so_far=so_far(left, begun=2, in_doubt=[40]),
    )
    assert "wave 2 of 3 was not healthy: 1 of its 5 rejected" in str(run.ending.explanation)
    assert len(run.frames) <= 2


def test_a_doubt_that_stays_one_keeps_the_next_wave_from_beginning():
    left = range(5, 20)
    run = run_batch(
        left_of(left), CARRIED_OUT, policy=THREE, journal=left_behind(),
        so_far=so_far(left, begun=1, in_doubt=[40]),
    )  # fmt: skip
    assert run.frames == []
    assert "wave 1 of 3 was not healthy: 1 of its 5 in doubt" in str(run.ending.explanation)


def test_a_doubt_of_another_batch_keeps_no_wave_from_beginning():
    left = range(5, 20)
    run = run_batch(
        left_of(left), CARRIED_OUT, policy=THREE, journal=left_behind(),
        so_far=so_far(left, begun=1),
    )  # fmt: skip
    assert begun(run) == [(1, 0), (2, 5), (3, 10)]


def given(text: str, why: str | None = None) -> GivenBefore:
    return GivenBefore(text, "alice", why, "2026-12-01T00:00:00Z")


def test_a_pause_stays_a_pause():
    left = range(20)
    commands = [given("pause", "full")]

    async def meanwhile(run: Run) -> None:
        await asyncio.sleep(50)
        shown = await run.command("show")
        assert shown.state["paused"] == "paused by alice: full"
        assert run.frames == []
        assert (await run.command("resume")).is_done

    run = run_batch(
        left_of(left), CARRIED_OUT, so_far=so_far(left, begun=0, commands=commands),
        meanwhile=meanwhile,
    )  # fmt: skip
    assert len(run.frames) == 20
    assert run.times[0] >= 50
    told = {"who": "alice", "what": "pause", "why": "full", "since": "2026-12-01T00:00:00Z"}
    assert run.noted(Note.PAUSE_RESTORED) == [told]  # for those who look from outside
    assert run.noted(Note.RATE_RESTORED) == []


def test_a_pause_for_a_time_that_was_resumed_is_none_and_lowered_limits_stay():
    left = range(20)
    commands = [given("pause --for 20m"), given("resume"), given("rate 2/s"), given("continue")]
    run = run_batch(
        left_of(left), CARRIED_OUT, limits=Limits(rate_per_s=100),
        so_far=so_far(left, begun=0, commands=commands),
    )  # fmt: skip
    assert 9 <= run.times[-1] <= 11
    assert run.noted(Note.PAUSE_RESTORED) == []
    assert run.noted(Note.RATE_RESTORED) == [{"rate_per_s": 2.0}]


def test_what_is_above_a_limit_of_this_run_is_left_out():
    left = range(20)
    commands = [given("rate 99/s"), given("decline"), given("nonsense 4")]
    run = run_batch(
        left_of(left), CARRIED_OUT, limits=Limits(rate_per_s=20),
        so_far=so_far(left, begun=0, commands=commands),
    )  # fmt: skip
    assert len(run.frames) == 20


def test_a_stop_that_the_dead_run_did_not_live_to_follow_is_followed():
    left = range(5, 20)
    run = run_batch(
        left_of(left), CARRIED_OUT, so_far=so_far(left, begun=0, commands=[given("stop", "no")])
    )
    assert run.frames == []
    assert run.ending.halted is ExitCode.STOPPED
    assert str(run.ending.explanation).startswith("stopped by alice: no")


def test_a_confirmation_that_waited_is_asked_for_again_and_one_that_was_given_is_not():
    before = (WaveConditions(), WaveConditions(confirm=True), WaveConditions())
    policy = replace(THREE, wave_conditions=before)
    waits: list[str | None] = []

    async def meanwhile(run: Run) -> None:
        await asyncio.sleep(5)
        assert run.batch is not None
        waits.append((await run.command("show")).state["confirmation"])
        await run.command("continue")

    for waves_begun, left in ((1, range(5, 20)), (2, range(7, 20))):
        run_batch(
            left_of(left), CARRIED_OUT, policy=policy, meanwhile=meanwhile,
            limits=Limits(rate_per_s=1), so_far=so_far(left, begun=waves_begun),
        )  # fmt: skip
    assert waits[0] is not None
    assert "Begin wave 2 of 3" in waits[0]
    assert waits[1] is None


def test_a_batch_of_nothing_but_doubts_begins_anew():
    run = run_batch(3, CARRIED_OUT, policy=THREE, so_far=so_far([0, 0, 0], total=0))
    assert len(run.frames) == 3
