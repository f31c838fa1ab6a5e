"""What stands before each wave, when some turn out empty and a rest is left."""

from __future__ import annotations

import pytest

from runner.core.gates import UNCONDITIONAL, WaveConditions
from runner.core.manifest.quantity import Amount, Share
from runner.core.pacing.waves import batch_ends, conditions_of, of_it_pauses, pauses_s

PAUSE = WaveConditions(60.0)
GATE = WaveConditions(gates=("g",))
CONFIRM = WaveConditions(confirm=True)
ALL = WaveConditions(60.0, ("g",), confirm=True)


@pytest.mark.parametrize(
    ("waves", "given", "total", "failed_before", "expected"),
    [
        ((1, Share(1.0)), (), 10, 0, (UNCONDITIONAL, UNCONDITIONAL)),
        ((1, Share(1.0)), (UNCONDITIONAL, CONFIRM), 10, 0, (UNCONDITIONAL, CONFIRM)),
        # a wave without transfers hands over
        ((1, Share(0.1), 5), (PAUSE, GATE, CONFIRM), 10, 0, None),
        ((2, 1, Share(1.0)), (UNCONDITIONAL, GATE, CONFIRM), 10, 0, None),
        # the rest inherits gates and confirmation, not the pause
        ((1,), (ALL,), 10, 0, (ALL, WaveConditions(gates=("g",), confirm=True))),
        # so does the wave of what failed before
        ((Share(1.0),), (GATE,), 10, 3, (GATE, GATE)),
        # if nothing else is left, the waves apply to it
        ((1, Share(1.0)), (PAUSE, GATE), 3, 3, (PAUSE, GATE)),
        ((1,), (ALL,), 0, 0, ()),
    ],
)
def test_conditions(
    waves: tuple[Amount, ...],
    given: tuple[WaveConditions, ...],
    total: int,
    failed_before: int,
    expected: tuple[WaveConditions, ...] | None,
):
    found = conditions_of(waves, given, total, failed_before)
    assert len(found) == len(batch_ends(waves, total, failed_before))
    if expected is not None:
        assert found == expected


def test_an_empty_wave_hands_its_conditions_to_the_next():
    found = conditions_of((1, Share(0.1), 5), (PAUSE, GATE, CONFIRM), 10, 0)
    assert found == (PAUSE, WaveConditions(gates=("g",), confirm=True), CONFIRM)


def test_what_the_last_waves_hand_over_stands_before_the_rest():
    found = conditions_of((2, 1), (UNCONDITIONAL, ALL), 10, 0)
    assert found == (UNCONDITIONAL, ALL)


def test_only_the_pauses_of_waves_that_take_place_cost_time():
    waves: tuple[Amount, ...] = (1, 2, Share(1.0))
    given = (PAUSE, PAUSE, GATE)
    assert pauses_s(waves, given, 10) == 120
    assert pauses_s(waves, given, 1) == 60  # the first wave is the only one
    assert pauses_s(waves, given, 0) == pauses_s((), (), 10) == 0
    assert of_it_pauses(120) == ", 2 min 00 s of it pauses before waves"
    assert of_it_pauses(0) == ""
