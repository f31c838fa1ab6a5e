"""The judge of the platform's runs is judged: every fault that is planted turns it red."""

from __future__ import annotations

import pytest

from tests.simulation.planted_platform_faults import PLATFORM_PLANTED
from tests.simulation.platform_scenario import run_platform_seed
from tests.simulation.search import is_found

SEEDS = 150
"""Within which every planted fault must be found."""

FOUND_BY = {
    "blind resend by the next run": 21,
    "query, then resend": 1,
    "intent after send": 1,
    "plan before lock": 71,
    "window not heeded": 19,
    "everything in one wave": 5,
    "failures not counted": 58,
    "rates of destinations not kept": 78,
    "command put again": 1,
    "taken for carried out": 2,
    "blind to consultations": 51,
    "blind to who still holds": 53,
    "blind to who moved it": 73,
    "blind to truncation": 8,
    "one hidden conversation forbids all": 4,
    "selected, and moved from anywhere": 4,
    "no patience while it rings": 18,
}
"""A seed that finds each, as things are: it is played first, the others only if it finds nothing."""

TELLTALES = {
    "blind resend by the next run": {"moved twice", "sent without ground"},
    "query, then resend": {"moved twice", "sent without ground"},
    "intent after send": {"not journalled first"},
    "plan before lock": {"moved twice", "sent without ground"},
    "window not heeded": {"outside the window"},
    "everything in one wave": {"wave too early"},
    "failures not counted": {"after too many failures"},
    "rates of destinations not kept": {"beyond a destination's rate"},
    "command put again": {"moved twice", "sent without ground"},
    "taken for carried out": {"misreported"},
    "blind to consultations": {"wrongly replaced"},
    "blind to who still holds": {"misreported"},
    "blind to who moved it": {"misreported"},
    "blind to truncation": {"left waiting"},
    "one hidden conversation forbids all": {"lost"},
    "selected, and moved from anywhere": {"wrongly replaced"},
    "no patience while it rings": {"unheeded"},
}
"""What each does to people and reports."""


@pytest.mark.parametrize("fault", PLATFORM_PLANTED)
def test_a_planted_fault_is_found(fault: str):
    assert is_found(
        lambda seed: run_platform_seed(seed, PLATFORM_PLANTED[fault]),
        TELLTALES[fault],
        seeds=range(SEEDS),
        first=FOUND_BY[fault],
    )
