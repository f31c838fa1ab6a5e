"""A batch moves forward whatever its first rows say: what failed before is tried last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from runner.core.exit_code import ExitCode
from runner.core.manifest.model import Limits
from runner.core.manifest.quantity import EVERYTHING
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.rows import PlannedRow
from runner.testing.gateway import CARRIED_OUT, Answer, FakeGateway, Frame
from tests.engine.builders import CANARY, NO, NO_PREFLIGHT, course, refusing, rows
from tests.engine.harness import ids, run_batch

AGAIN = "transfer_rejected"


def plan(total: int, *failed: int, code: str = AGAIN) -> Sequence[PlannedRow]:
    return [replace(row, failed_as=code if row.n in failed else None) for row in rows(total)]


def test_what_is_refused_for_good_at_the_front_stops_no_later_apply():
    """Before, wave 1 was this row, night after night."""
    run = run_batch(plan(100, 0), script=refusing("i0"), policy=course(*CANARY))
    assert ids(run)[-1] == "i0"
    assert run.ending.halted is None
    states = run.states()
    assert states.pop("k0") == "rejected"
    assert set(states.values()) == {"transferred"}
    waves = [(note["wave"], note["of"], note["transfers"]) for note in run.noted("wave begun")]
    assert waves == [(1, 4, 1), (2, 4, 9), (3, 4, 89), (4, 4, 1)]


def test_it_is_tried_after_everything_else_also_without_waves():
    run = run_batch(plan(6, 0, 2), Answer("transfer_initiated", 1.0))
    assert ids(run) == ["i1", "i3", "i4", "i5", "i0", "i2"]
    assert run.times[4] - run.times[3] >= 1.0
    assert run.noted("wave begun") == []


def test_the_same_reason_as_last_time_counts_neither_for_health_nor_for_the_threshold():
    run = run_batch(
        plan(10, *range(10)),
        NO,
        policy=course(1, EVERYTHING, fails=0),
        limits=Limits(in_flight=1),
    )
    assert run.ending.halted is None
    assert set(run.states().values()) == {"rejected"}


@pytest.mark.parametrize("before", ["destination_unreachable", ""])
def test_another_reason_than_last_time_counts(before: str):
    run = run_batch(plan(10, *range(10), code=before), NO, policy=course(1, EVERYTHING))
    assert ids(run) == ["i0"]
    assert run.ending.halted is ExitCode.STOPPED


def test_if_nothing_else_is_left_the_waves_are_theirs():
    run = run_batch(plan(10, *range(10)), policy=course(1, EVERYTHING))
    waves = [(note["wave"], note["of"], note["transfers"]) for note in run.noted("wave begun")]
    assert waves == [(1, 2, 1), (2, 2, 9)]


def test_a_wave_of_others_that_fails_stops_before_them():
    run = run_batch(plan(10, 0), script=refusing("i0", "i1"), policy=course(1, EVERYTHING))
    assert ids(run) == ["i1"]
    assert run.ending.halted is ExitCode.STOPPED


def test_a_code_of_our_own_is_the_same_reason_too():
    gone: dict[str, Interaction | Exception] = {"i0": Interaction("i0", found=False)}
    run = run_batch(
        plan(3, 0, code="interaction_missing"),
        gateway=FakeGateway(sights=gone),
        policy=replace(course(fails=0), preflight=True),
    )
    assert run.ending.halted is None
    assert run.journal.state("k0") == "rejected"


def test_a_late_yes_to_what_did_not_count_takes_no_failure_back():
    """One was refused as before, one newly: of the new ones one more may not fail."""

    def script(frame: Frame) -> list[Answer]:
        if frame.interaction_id == "i0":
            return [NO, Answer("transfer_initiated", 0.5)]
        late = {"i1": 0.02, "i2": 1.5}.get(frame.interaction_id)
        return [CARRIED_OUT if late is None else replace(NO, after_s=late)]

    others = plan(8, *range(1, 8), code="other")[1:]
    run = run_batch(
        [replace(rows(1)[0], failed_as=AGAIN), *others],
        script=script,
        policy=course(fails=1),
        limits=Limits(rate_per_s=2),
    )
    assert run.states()["k0"] == "transferred"
    assert run.ending.halted is ExitCode.STOPPED


def test_what_was_skipped_before_is_looked_up_also_without_preflight():
    """It may be where it was to go: moving it there once more costs its place in the queue."""
    there = Interaction(
        "i0", found=True, state="active", destination_uri=rows(1)[0].destination_uri
    )
    (row,) = rows(1, lineage=7)
    run = run_batch([row], gateway=FakeGateway(sights={"i0": there}), policy=NO_PREFLIGHT)
    assert (run.frames, run.states()) == ([], {"k0": "skipped"})
    assert run.journal.entries[-1].reason_code == "already_there"
