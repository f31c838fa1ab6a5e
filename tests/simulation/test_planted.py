"""The judge itself is judged: every fault that is planted turns it red, by a trace of its own."""

from __future__ import annotations

import pytest

from tests.simulation.planted_faults import PLANTED
from tests.simulation.scenario import run_seed
from tests.simulation.search import is_found

SEEDS = 100
"""Within which every planted fault must be found."""

FOUND_BY = {
    "blind resend": 43,
    "blind resend by the next run": 2,
    "query, then resend": 43,
    "intent after send": 2,
    "id from the clock": 2,
    "ids from a sequence": 2,
    "id reused after rate_limited": 10,
    "plan before lock": 5,
    "second reader": 5,
    "window not heeded": 4,
    "recurring windows not heeded": 31,
    "windows that never close": 31,
    "clocks that never change": 36,
    "everything in one wave": 2,
    "failures not counted": 10,
    "no seats": 1,
    "rates of destinations not kept": 12,
    "pauses not heeded": 5,
    "stops not heeded": 34,
    "figures not looked at": 12,
    "figures not looked at again": 12,
    "own sends are forgotten": 1,
    "own sends are never forgotten": 1,
    "an earlier run's sends are forgotten": 85,
    "a missing figure reads as zero": 1,
    "forgets what an earlier run was asked": 0,
    "failed rows in their old place": 1,
    "known failures counted anew": 0,
    "outages fail transfers": 7,
}
"""A seed that finds each, as things are: it is played first, the others only if it finds nothing."""

TELLTALES = {
    "blind resend": {"moved twice"},
    "blind resend by the next run": {"moved twice", "misreported"},
    "query, then resend": {"moved twice"},
    "intent after send": {"moved twice", "misreported"},
    "id from the clock": {"misreported", "crashed"},
    "ids from a sequence": {"id reused", "misreported", "crashed"},
    "id reused after rate_limited": {"moved twice", "misreported"},
    "plan before lock": {"moved twice"},
    "second reader": {"unheeded"},
    "window not heeded": {"outside the window"},
    "recurring windows not heeded": {"outside the window"},
    "windows that never close": {"outside the window"},
    "clocks that never change": {"outside the window", "waited in vain"},
    "everything in one wave": {"wave too early"},
    "failures not counted": {"after too many failures"},
    "no seats": {"more failed than promised"},
    "rates of destinations not kept": {"beyond a destination's rate"},
    "pauses not heeded": {"left when forbidden"},
    "stops not heeded": {"left when forbidden"},
    "figures not looked at": {"full destination"},
    "figures not looked at again": {"full destination"},
    "own sends are forgotten": {"passed its bound"},
    "own sends are never forgotten": {"starved"},
    "an earlier run's sends are forgotten": {"passed its bound"},
    "a missing figure reads as zero": {"full destination"},
    "forgets what an earlier run was asked": {"before retry_after"},
    "failed rows in their old place": {"sent before others"},
    "known failures counted anew": {"stopped by known failures"},
    "outages fail transfers": {"failed by an outage"},
}
"""What each does to people and reports, apart from the rules of sending that it breaks."""


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str):
    assert is_found(
        lambda seed: run_seed(seed, PLANTED[fault]),
        TELLTALES[fault],
        seeds=range(SEEDS),
        first=FOUND_BY[fault],
    )
