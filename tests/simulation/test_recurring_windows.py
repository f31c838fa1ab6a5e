"""The judge of recurring windows, who reads the clocks of zones by himself, agrees with the program."""

from __future__ import annotations

import random

from tests.simulation.recurring_windows import are_open, draw_windows

DRAWN = 150


def test_windows_are_open_when_the_clocks_of_their_zone_say_so():
    chance, known = random.Random(7), set[bool]()
    for _ in range(DRAWN):
        at_s = 1_800_000_000 + chance.uniform(0, 400)
        windows = draw_windows(chance, at_s)
        for _ in range(20 if windows else 0):
            moment_s = at_s + chance.choice((60.0, 600.0, 8000.0)) * chance.uniform(-1, 1)
            known.add(windows.is_open(moment_s))
            assert windows.is_open(moment_s) is are_open(windows, moment_s), (windows, moment_s)
    assert known == {True, False}
