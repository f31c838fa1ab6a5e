"""Where a batch stands that earlier runs began: computed from the first plan and the chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.core.pacing.batch_so_far import (
    BatchSoFar,
    EarlierRuns,
    GivenBefore,
    LastTransfer,
    batch_so_far,
    between,
)
from runner.core.transfer.frozen_plan import FrozenPlan, FrozenRow
from runner.core.transfer.plan_decision import Action
from runner.core.transfer.states import State

HERE = "genesys://queue/here"


def plan(*failed_as: str | None, not_sent: int = 0) -> FrozenPlan:
    """Return a plan that sends `i0` … with these earlier failures, and rows that it does not send."""
    rows = {f"i{n}": FrozenRow(HERE, Action.SEND, n, code) for n, code in enumerate(failed_as)} | {
        f"u{n}": FrozenRow(HERE, Action.UNCHANGED, 1000 + n, None) for n in range(not_sent)
    }
    return FrozenPlan(3, rows, 40)


def seen(
    events: tuple[Mapping[str, Any], ...] = (), **states: tuple[State, str | None]
) -> EarlierRuns:
    transfers = {
        name: LastTransfer(50 + n, *state) for n, (name, state) in enumerate(states.items())
    }
    return EarlierRuns("r1", transfers, events)


def so_far(
    *failed_as: str | None, left: tuple[tuple[bool, int], ...] = (), seen: EarlierRuns
) -> BatchSoFar:
    return batch_so_far(plan(*failed_as, not_sent=2), seen, left)


def test_what_is_left_keeps_its_place_and_what_failed_before_is_last():
    """`i1` had failed before the batch: its place is the last one."""
    found = so_far(None, "busy", None, None, left=((False, 3), (True, 1)), seen=seen())
    assert (found.first_run, found.total, found.failed_before) == ("r1", 4, 1)
    assert found.left == [2, 3]


def test_a_row_that_the_first_run_found_in_doubt_is_placed_beside_its_neighbours():
    assert so_far(None, None, left=((False, 1), (False, 7)), seen=seen()).left == [1, 1]


def test_failures_count_but_for_those_with_the_same_code_as_before():
    earlier = seen(
        i0=(State.FAILED, "late"),
        i1=(State.REJECTED, "busy"),
        i2=(State.REJECTED, "gone"),
        i3=(State.TRANSFERRED, None),
        i4=(State.REJECTED, "busy"),
        u0=(State.FAILED, "x"),
    )
    found = so_far(None, "busy", "busy", None, "", seen=earlier)
    assert [found.total - 3, found.total - 2, found.total - 1] == [2, 3, 4]
    assert found.failed == [0, 3, 4]  # i0; then, sent after the others, i2 and i4


def test_doubts_are_those_that_the_batch_left():
    earlier = seen(i0=(State.UNKNOWN, None), i1=(State.SENDING, None), i2=(State.READY, None))
    assert so_far(None, None, None, seen=earlier).in_doubt == {50, 51}


def test_a_final_transfer_is_finished_and_others_are_not():
    earlier = seen(
        i0=(State.REJECTED, "x"), i1=(State.SKIPPED, "x"), i2=(State.READY, None),
        i3=(State.TRANSFERRED, None),
    )  # fmt: skip
    assert [earlier.finished(f"i{n}") for n in range(5)] == [50, 51, None, None, None]


def test_the_last_wave_that_began_and_the_commands_in_force():
    def control(what: str, why: str | None = None) -> dict[str, Any]:
        return {"event": "control", "what": what, "who": "alice", "why": why, "at": "t"}

    events = (
        {"event": "wave begun", "wave": 1},
        control("pause --for 2m"),
        {"event": "pause ended"},
        {"event": "wave begun", "wave": 2},
        control("rate 5/s", "busy"),
    )
    found = so_far(None, seen=seen(events))
    assert found.waves_begun == 2
    assert found.commands == [GivenBefore("rate 5/s", "alice", "busy", "t")]


def test_places_in_a_range():
    assert [between([1, 3, 3, 7], *ends) for ends in ((0, 3), (3, 4), (4, 9))] == [1, 2, 1]
