"""Limits of single destinations: each is kept, and none holds up the transfers to another."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from runner.core.exit_code import ExitCode
from runner.core.gates import parse_bound
from runner.core.manifest.destinations import DestinationLimits, DestinationTable
from runner.core.manifest.model import Limits
from runner.core.transfer.doubt_evidence import Dedupes
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.rows import PlannedRow
from runner.engine import held_rows
from runner.engine.rules import Rules
from runner.ports import Note
from runner.testing.gateway import CARRIED_OUT, SILENCE, Answer, Frame
from runner.testing.journal import FakeJournal
from tests.engine.builders import NO_PREFLIGHT, course, left_behind, rows
from tests.engine.harness import Run, run_batch
from tests.engine.observed_gateway import ObservedGateway

NARROW, WIDE, HERE = (f"genesys://queue/{name}" for name in ("narrow", "wide", "here"))
USER = "genesys://user/u1"


def table(*entries: DestinationLimits) -> DestinationTable:
    return DestinationTable(entries)


def to(*uris: str) -> list[PlannedRow]:
    return [
        replace(row, destination_uri=uri) for row, uri in zip(rows(len(uris)), uris, strict=True)
    ]


def frames_to(run: Run, uri: str) -> list[Frame]:
    return [frame for frame in run.frames if frame.body["destination_uri"] == uri]


def test_a_full_destination_does_not_hold_up_the_others():
    plan = to(*[NARROW] * 20, *[WIDE] * 20)
    run = run_batch(
        plan,
        replace(CARRIED_OUT, after_s=1.0),
        limits=Limits(in_flight=8),
        destinations=table(DestinationLimits(pattern=NARROW, in_flight=1)),
    )
    assert run.ending.halted is None
    assert [frame.interaction_id for frame in run.frames[:8]] == [
        "i0", *(f"i{n}" for n in range(20, 27))
    ]  # fmt: skip
    times = [frame.at for frame in frames_to(run, NARROW)]
    assert len(times) == 20
    assert min(b - a for a, b in pairwise(times)) >= 1.0
    assert max(frame.at for frame in frames_to(run, WIDE)) < 4


def test_rows_of_a_destination_keep_their_order():
    run = run_batch(
        to(*[NARROW, WIDE] * 10),
        destinations=table(DestinationLimits(pattern="*", in_flight=1)),
    )
    for uri in (NARROW, WIDE):
        sent = [int(frame.interaction_id[1:]) for frame in frames_to(run, uri)]
        assert sent == sorted(sent)


def test_a_rate_is_kept_from_an_interval_after_the_begin_of_the_run():
    run = run_batch(
        to(*[NARROW] * 6, WIDE),
        destinations=table(DestinationLimits(pattern=NARROW, rate_per_s=0.5)),
    )
    times = [frame.at for frame in frames_to(run, NARROW)]
    assert times[0] >= 2.0  # the last frame of a killed run may have left just before
    assert min(b - a for a, b in pairwise(times)) >= 2.0 - 0.9  # lateness is made up
    assert times[-1] - times[0] >= 9.0
    assert frames_to(run, WIDE)[0].at < 0.1
    assert run.ending.figures.destinations[0].sent == 6


def test_the_time_for_which_a_destinations_own_limits_are_waited_for_is_told_and_kept():
    run = run_batch(
        to(*[NARROW] * 6, *[WIDE] * 3, *[HERE] * 3),
        replace(CARRIED_OUT, after_s=2.0),
        destinations=table(
            DestinationLimits(pattern=NARROW, rate_per_s=0.5, written="narrow"),
            DestinationLimits(pattern=WIDE, in_flight=1),
        ),
    )
    paced = [each.paced_by for each in run.observer.progress]
    assert "narrow (30/min; 5 transfers), genesys://queue/wide (1 in flight; 2 transfers)" in paced
    assert paced[-1] is None
    assert all(each.waiting_for is None for each in run.observer.progress)
    figures = {each.destination_uri: each for each in run.ending.figures.destinations}
    narrow, wide = figures[NARROW], figures[WIDE]
    assert 9 <= narrow.limited_s <= 13
    assert 3 <= wide.limited_s <= 5
    assert (narrow.held_s, wide.held_s) == (0, 0)


def test_a_run_whose_other_transfers_have_turns_is_not_paced_by_one_destination():
    run = run_batch(
        to(*[NARROW] * 2, *[HERE] * 40),
        limits=Limits(rate_per_s=2.0),
        destinations=table(DestinationLimits(pattern=NARROW, rate_per_s=0.1)),
    )
    told = [each.paced_by for each in run.observer.progress if each.sent < 40]
    assert set(told) == {None}


@settings(max_examples=25, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(
    st.lists(st.sampled_from([NARROW, WIDE, HERE]), min_size=1, max_size=40),
    st.sampled_from([0.5, 1.0, 3.0, 10.0]),
    st.integers(1, 3),
    st.floats(0.001, 3.0),
    st.sampled_from(["transfer_initiated", "rate_limited", "transfer_rejected"]),
)
def test_no_destination_has_more_than_its_limits_whatever_is_answered(
    uris: list[str], rate: float, in_flight: int, after_s: float, status: str
):
    open_now: dict[str, int] = dict.fromkeys(uris, 0)
    most = dict(open_now)

    def script(frame: Frame) -> list[Answer]:
        uri = frame.body["destination_uri"]
        open_now[uri] += 1
        most[uri] = max(most[uri], open_now[uri])
        loop = asyncio.get_running_loop()
        loop.call_later(after_s, lambda: open_now.update({uri: open_now[uri] - 1}))
        answer = Answer(status if frame.nth == 1 else "transfer_initiated", after_s=after_s)
        return [answer]

    run = run_batch(
        to(*uris),
        script=script,
        destinations=table(
            DestinationLimits(pattern=NARROW, rate_per_s=rate),
            DestinationLimits(pattern="genesys://queue/*", in_flight=in_flight),
        ),
    )
    assert run.ending.halted is None
    assert all(state in {"transferred", "rejected"} for state in run.states().values())
    times = [frame.at for frame in frames_to(run, NARROW)]
    window_s = 60.0
    for start in times:
        assert sum(start <= at < start + window_s for at in times) <= rate * window_s + 1
    assert all(most[uri] <= in_flight for uri in set(uris) - {NARROW})


def test_a_retry_comes_before_the_rows_that_were_not_begun():
    run = run_batch(
        to(*[NARROW] * 3),
        script=lambda frame: [
            Answer("rate_limited" if frame.interaction_id == "i0" and frame.nth == 1 else "transfer_initiated",
                   after_s=0.02)
        ],
        destinations=table(DestinationLimits(pattern=NARROW, rate_per_s=0.1)),
    )  # fmt: skip
    assert [frame.interaction_id for frame in run.frames] == ["i0", "i0", "i1", "i2"]
    times = [frame.at for frame in run.frames]
    assert min(b - a for a, b in pairwise(times)) >= 5.0


def test_a_repeat_of_a_doubt_has_its_turn_at_the_destination_too():
    plan = [replace(row, destination_uri=HERE) for row in rows(1)]
    run = run_batch(
        plan,
        CARRIED_OUT,
        journal=left_behind(),
        rules=Rules(NO_PREFLIGHT, Dedupes(24 * 3600)),
        destinations=table(DestinationLimits(pattern=HERE, rate_per_s=0.2, in_flight=1)),
    )
    assert len(run.frames) == 2
    assert run.times[0] >= 5.0
    assert run.times[1] - run.times[0] >= 2.5


def test_memory_holds_few_rows_of_a_full_destination(monkeypatch: pytest.MonkeyPatch):
    assert held_rows.MOST_KEPT == 2000
    monkeypatch.setattr(held_rows, "MOST_KEPT", 4)
    monkeypatch.setattr(held_rows, "MOST_KEPT_OF_ONE", 3)
    plan = to(*([NARROW] * 9 + [WIDE] * 9) * 2, HERE)
    run = run_batch(
        plan,
        replace(CARRIED_OUT, after_s=0.5),
        destinations=table(
            DestinationLimits(pattern=NARROW, in_flight=1),
            DestinationLimits(pattern=WIDE, in_flight=2),
        ),
    )
    assert len(run.frames) == len({frame.interaction_id for frame in run.frames}) == 37
    for uri in (NARROW, WIDE):
        sent = [int(frame.interaction_id[1:]) for frame in frames_to(run, uri)]
        assert sent == sorted(sent)


FULL = DestinationLimits(pattern=NARROW, bounds={"waiting": parse_bound("< 3")}, give_up_s=600.0)


def test_a_full_queue_gets_nothing_until_it_is_worked_off_and_never_more_than_it_takes():
    gateway = ObservedGateway(figures={"waiting": 5.0})

    async def work_off(_run: Run) -> None:
        await asyncio.sleep(30)
        gateway.tell({"waiting": 1.0})
        await asyncio.sleep(30)
        gateway.tell({"waiting": 0.0})

    run = run_batch(
        to(*[NARROW] * 5, WIDE),
        gateway=gateway,
        destinations=table(FULL),
        observed=[NARROW],
        meanwhile=work_off,
    )
    times = [frame.at for frame in frames_to(run, NARROW)]
    assert [30 <= at < 31 for at in times[:2]] == [True, True]
    assert all(at >= 60 for at in times[2:])
    assert frames_to(run, WIDE)[0].at < 1
    assert run.ending.halted is None
    figures = run.ending.figures.destinations[0]
    assert (figures.most_waiting, figures.sent) == (5.0, 5)
    assert 50 < figures.held_s < 61
    assert [point.waiting for point in figures.waiting] == [5.0, 1.0, 0.0]
    assert run.noted("destination full; its transfers wait")[0]["why"] == "waiting is 5, not < 3"


def test_a_queue_that_fills_while_an_intent_is_made_durable_gets_no_frame():
    gateway = ObservedGateway(figures={"waiting": 0.0})

    async def fill_and_empty(_run: Run) -> None:
        await asyncio.sleep(0.25)
        gateway.tell({"waiting": 9.0})  # the intent is on its way to the disk
        await asyncio.sleep(10)
        gateway.tell({"waiting": 0.0})

    run = run_batch(
        to(NARROW),
        gateway=gateway,
        journal=FakeJournal(commit_s=0.5),
        destinations=table(FULL),
        observed=[NARROW],
        meanwhile=fill_and_empty,
    )
    assert run.journal.events("k0")[:3] == ["intent", "withdrawn", "intent"]
    assert [at > 10 for at in run.times] == [True]


def test_who_waits_beside_for_a_full_destination_is_counted_once():
    gateway = ObservedGateway(figures={"waiting": 0.0})

    async def fill(_run: Run) -> None:
        await asyncio.sleep(0.5)
        gateway.tell({"waiting": 50.0})

    run = run_batch(
        to(*[NARROW] * 3),
        Answer("rate_limited", retry_after_s=1.0),
        gateway=gateway,
        destinations=table(replace(FULL, give_up_s=60.0)),
        observed=[NARROW],
        meanwhile=fill,
    )
    assert run.gateway.moves == []
    assert "was full for 1 min 00 s (3 transfers); not sent" in str(run.ending.explanation)


def test_who_was_moved_and_is_not_seen_waiting_yet_counts_as_waiting():
    run = run_batch(
        to(*[NARROW] * 5),
        gateway=ObservedGateway(figures={"waiting": 0.0}),
        destinations=table(replace(FULL, give_up_s=60.0)),
        observed=[NARROW],
    )
    assert len(run.frames) == 3
    assert run.ending.halted is ExitCode.STOPPED
    assert run.ending.explanation == (
        "destination full: genesys://queue/narrow was full for 1 min 00 s (2 transfers); not sent;"
        " run apply again to go on"
    )
    assert 60 < run.took_s < 62


def test_a_queue_that_nothing_is_known_of_gets_nothing_and_is_given_up_in_time():
    gateway = ObservedGateway(figures=None)
    run = run_batch(
        to(NARROW, WIDE, NARROW),
        gateway=gateway,
        destinations=table(FULL),
        observed=[NARROW],
    )
    assert [frame.body["destination_uri"] for frame in run.frames] == [WIDE]
    assert run.ending.halted is ExitCode.STOPPED
    assert 600 < run.took_s < 602
    assert "genesys://queue/narrow was full for 10 min 00 s (2 transfers)" in str(
        run.ending.explanation
    )


def test_figures_that_lag_let_no_more_go_than_the_queue_takes():
    """Figures of half a minute ago come each second: they show nobody, then who was sent."""
    gateway = ObservedGateway(figures={"waiting": 0.0}, lag_s=30.0)
    sent_by: list[int] = []

    async def tell(run: Run) -> None:
        for second in range(1, 120):
            await asyncio.sleep(1)
            sent_by.append(len(run.frames))
            gateway.tell({"waiting": float(sent_by[second - 31]) if second > 30 else 0.0})

    run = run_batch(
        to(*[NARROW] * 20),
        gateway=gateway,
        destinations=table(replace(FULL, give_up_s=60.0)),
        observed=[NARROW],
        meanwhile=tell,
    )
    assert len(run.frames) == 3
    assert min(run.times) >= 30  # an earlier run may have sent until this one began
    assert run.noted("destination full; its transfers wait")[0]["why"] == (
        "its figures may not include yet what was sent before this run began"
    )


def test_figures_that_nothing_renews_let_nothing_go():
    gateway = ObservedGateway(figures={"waiting": 0.0})

    async def renew(_run: Run) -> None:
        await asyncio.sleep(300)
        gateway.tell({"waiting": 2.0})

    run = run_batch(
        to(NARROW),
        gateway=gateway,
        destinations=table(replace(FULL, rate_per_s=1 / 200)),
        observed=[NARROW],
        meanwhile=renew,
    )
    assert [at >= 300 for at in run.times] == [True]
    assert run.noted("destination full; its transfers wait")[0]["why"] == (
        "its figures are not known: the last ones are older than 3 min 00 s"
    )


@pytest.mark.parametrize(
    "seen",
    [
        Interaction("i8", found=True, state="active", last_transfer_id="old"),
        Interaction("i8", found=True, state="active"),
    ],
)
def test_what_an_earlier_run_left_in_doubt_counts_as_waiting_as_soon_as_this_one_begins(
    seen: Interaction,
):
    """Its look-up takes 5 s, and says that it was moved, or is not enough to say so."""
    gateway = ObservedGateway(figures={"waiting": 0.0}, look_up_s=5.0)
    gateway.interactions["i8"] = seen
    run = run_batch(
        to(*[HERE] * 5),
        gateway=gateway,
        journal=left_behind(),
        destinations=table(replace(FULL, pattern="*", give_up_s=60.0)),
        observed=[HERE],
    )
    assert len(run.frames) == 2


def test_transfers_that_wait_for_their_frame_in_a_pause_make_no_queue_full():
    gateway = ObservedGateway(figures={"waiting": 0.0}, opens_after_s=1.0)

    async def pause(run: Run) -> None:
        await asyncio.sleep(0.5)
        await run.command("pause")
        for second in range(100):
            await asyncio.sleep(1)
            gateway.tell({"waiting": 0.0})
            if second == 80:
                await run.command("resume")

    run = run_batch(
        to(*[NARROW] * 5),
        gateway=gateway,
        destinations=table(replace(FULL, give_up_s=60.0)),
        observed=[NARROW],
        meanwhile=pause,
    )
    assert min(run.times) > 80
    assert set(run.states().values()) == {"transferred"}
    assert run.noted(Note.DESTINATION_GIVEN_UP) == []
    assert all("3 sent" in each["why"] for each in run.noted(Note.DESTINATION_FULL))


@pytest.mark.parametrize("later_s", [0.0, 90.0])
def test_figures_of_a_time_to_come_are_those_of_now(later_s: float):
    """A driver that reads a clock which is ahead makes nobody forgotten, and keeps no figure long."""
    gateway = ObservedGateway(figures={"waiting": 0.0}, lag_s=-later_s)

    async def tell(_run: Run) -> None:
        await asyncio.sleep(10)
        gateway.lag_s = 0.0
        gateway.tell({"waiting": 3.0})

    run = run_batch(
        to(*[NARROW] * 9),
        gateway=gateway,
        destinations=table(replace(FULL, give_up_s=60.0, rate_per_s=1.0)),
        observed=[NARROW],
        meanwhile=tell,
    )
    assert len(run.frames) == 3
    assert "waiting is 3, not < 3" in run.noted(Note.DESTINATION_GIVEN_UP)[0]["why"]


def test_older_figures_are_passed_over_before_the_first_row_too():
    gateway = ObservedGateway(figures={"waiting": 9.0})

    async def tell_earlier(_run: Run) -> None:
        await asyncio.sleep(1)
        gateway.lag_s = 0.9
        gateway.tell({"waiting": 9.0})
        gateway.lag_s = 0.95
        gateway.tell({"waiting": 0.0})

    run = run_batch(
        to(WIDE, NARROW),
        replace(CARRIED_OUT, after_s=2.0),
        gateway=gateway,
        policy=course(1, 2),
        destinations=table(replace(FULL, give_up_s=60.0)),
        observed=[NARROW],
        meanwhile=tell_earlier,
    )
    assert len(run.frames) == 1
    assert run.noted("destination full; its transfers wait")[0]["why"] == "waiting is 9, not < 3"


def test_a_doubt_that_is_left_to_a_person_may_wait_at_its_destination():
    gateway = ObservedGateway(figures={"waiting": 0.0})
    run = run_batch(
        to(*[NARROW] * 5),
        script=lambda _frame: [SILENCE],
        gateway=gateway,
        destinations=table(replace(FULL, give_up_s=900.0)),
        observed=[NARROW],
    )
    assert len({frame.interaction_id for frame in run.frames}) == 3


def test_what_is_held_is_shown():
    gateway = ObservedGateway(figures={"waiting": 9.0})
    seen: list[str | None] = []

    async def look(run: Run) -> None:
        await asyncio.sleep(5)
        seen.append(run.observer.progress[-1].waiting_for)
        gateway.tell({"waiting": 0.0})

    run_batch(
        to(NARROW, NARROW),
        gateway=gateway,
        destinations=table(FULL),
        observed=[NARROW],
        meanwhile=look,
    )
    assert seen == ["genesys://queue/narrow (waiting is 9, not < 3; 2 transfers)"]


def test_a_user_gets_one_at_a_time_and_only_while_present():
    gateway = ObservedGateway(figures={"presence": "busy"})

    async def come(_run: Run) -> None:
        await asyncio.sleep(10)
        gateway.tell({"presence": "available"})

    run = run_batch(
        to(USER, USER),
        replace(CARRIED_OUT, after_s=3.0),
        gateway=gateway,
        destinations=table(
            DestinationLimits(
                pattern="genesys://user/*",
                in_flight=1,
                states={"presence": frozenset({"available"})},
            )
        ),
        observed=[USER],
        meanwhile=come,
    )
    assert run.times[0] >= 10
    assert run.times[1] - run.times[0] >= 3


def test_a_wave_that_a_full_destination_left_unfinished_is_the_last_one():
    run = run_batch(
        to(NARROW, WIDE, WIDE),
        gateway=ObservedGateway(figures={"waiting": 9.0}),
        policy=course(1, 3),
        destinations=table(FULL),
        observed=[NARROW],
    )
    assert run.frames == []
    assert run.ending.halted is ExitCode.STOPPED
    assert "destination full" in str(run.ending.explanation)


def test_a_doubt_keeps_its_place_until_it_is_settled():
    """The first delivery is not answered: the user's telephone may ring."""
    run = run_batch(
        to(USER, USER),
        script=lambda frame: [SILENCE if frame.nth == 1 else CARRIED_OUT],
        rules=Rules(NO_PREFLIGHT, Dedupes(24 * 3600)),
        destinations=table(DestinationLimits(pattern="genesys://user/*", in_flight=1)),
    )
    assert [frame.interaction_id for frame in run.frames][:3] in (
        ["i0", "i0", "i1"],
        ["i0", "i1", "i1"],  # the first was seen to be carried out by a look-up
    )
    assert run.times[1] - run.times[0] >= 10


def test_a_stop_ends_what_waits_for_a_full_destination():
    async def stop(run: Run) -> None:
        await asyncio.sleep(20)
        run.stop_signal.set(ExitCode.INTERRUPTED, "enough")

    run = run_batch(
        to(NARROW),
        gateway=ObservedGateway(figures={"waiting": 9.0}),
        destinations=table(FULL),
        observed=[NARROW],
        meanwhile=stop,
    )
    assert run.ending.halted is ExitCode.INTERRUPTED
    assert run.took_s < 21


@pytest.mark.parametrize("limits", [{"rate_per_s": 2.0}, {"in_flight": 1}])
def test_a_retry_with_the_only_seat_and_a_row_with_the_only_turn_do_not_wait_for_each_other(
    limits: dict[str, float],
):
    run = run_batch(
        to(*[NARROW] * 4),
        script=lambda frame: [
            Answer("rate_limited" if frame.nth == 1 else "transfer_initiated", after_s=0.02)
        ],
        policy=replace(NO_PREFLIGHT, max_failures=0),
        destinations=table(DestinationLimits(pattern=NARROW, **limits)),  # type: ignore[arg-type]
    )
    assert run.ending.halted is None
    assert set(run.states().values()) == {"transferred"}


def test_a_full_destination_keeps_no_seat_from_others():
    run = run_batch(
        to(NARROW, WIDE, NARROW, WIDE),
        gateway=ObservedGateway(figures={"waiting": 9.0}),
        policy=replace(NO_PREFLIGHT, max_failures=0),
        destinations=table(replace(FULL, give_up_s=20.0)),
        observed=[NARROW],
    )
    assert [frame.at < 1 for frame in frames_to(run, WIDE)] == [True, True]
    assert run.ending.halted is ExitCode.STOPPED


def test_however_many_retries_wait_for_a_full_destination_the_others_go_on():
    """With one slot at most four transfers wait beside the worker, and the fifth in its place."""
    gateway = ObservedGateway(figures={"waiting": 0.0})

    def script(frame: Frame) -> list[Answer]:
        if frame.body["destination_uri"] == NARROW and frame.nth == 1:
            if frame.interaction_id == "i4":
                gateway.tell({"waiting": 9.0})
            return [Answer("rate_limited")]
        return [CARRIED_OUT]

    async def work_off(_run: Run) -> None:
        await asyncio.sleep(300)
        for _ in range(20):
            gateway.tell({"waiting": 0.0})
            await asyncio.sleep(2)

    run = run_batch(
        to(*[NARROW] * 6, *[WIDE] * 5),
        gateway=gateway,
        script=script,
        limits=Limits(in_flight=1),
        destinations=table(FULL),
        observed=[NARROW],
        meanwhile=work_off,
    )
    assert max(frame.at for frame in frames_to(run, WIDE)) < 60
    assert min(frame.at for frame in frames_to(run, NARROW)[5:]) > 300
    assert set(run.states().values()) == {"transferred"}


def test_what_was_begun_before_its_destination_filled_goes_before_the_rows_behind_it():
    gateway = ObservedGateway(figures={"waiting": 0.0}, look_up_s=1.0)

    async def fill_and_empty(_run: Run) -> None:
        await asyncio.sleep(0.5)
        gateway.tell({"waiting": 9.0})  # while the first one is looked up
        await asyncio.sleep(4.5)
        gateway.tell({"waiting": 0.0})

    run = run_batch(
        to(NARROW, NARROW),
        gateway=gateway,
        policy=replace(NO_PREFLIGHT, preflight=True),
        destinations=table(replace(FULL, in_flight=1)),
        observed=[NARROW],
        meanwhile=fill_and_empty,
    )
    assert [frame.interaction_id for frame in run.frames] == ["i0", "i1"]
    assert run.times[0] >= 5
