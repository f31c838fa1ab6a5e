"""The judge of the platform's runs is judged: every fault that is planted turns it red."""

from __future__ import annotations

import pytest

from tests.simulation.planted_platform_faults import PLATFORM_PLANTED
from tests.simulation.platform_scenario import run_platform_seed

SEEDS = 150
"""Within which every planted fault must be found."""

TELLTALES = {
    "blind resend by the next run": {"moved twice", "sent without ground"},
    "query, then resend": {"moved twice", "sent without ground"},
    "intent after send": {"not journalled first"},
    "plan before lock": {"moved twice", "sent without ground"},
    "window not heeded": {"outside the window"},
    "everything in one wave": {"wave too early"},
    "failures not counted": {"after too many failures"},
    "command put again": {"moved twice", "sent without ground"},
    "taken for carried out": {"misreported"},
    "blind to consultations": {"wrongly replaced"},
    "blind to who moved it": {"misreported"},
    "blind to truncation": {"left waiting"},
    "one hidden conversation forbids all": {"lost"},
    "selected, and moved from anywhere": {"wrongly replaced"},
    "no patience while it rings": {"unheeded"},
}
"""What each does to people and reports."""


@pytest.mark.parametrize("fault", PLATFORM_PLANTED)
def test_a_planted_fault_is_found(fault: str):
    for seed in range(SEEDS):
        found = run_platform_seed(seed, PLATFORM_PLANTED[fault]).findings
        if TELLTALES[fault] & {finding.kind for finding in found}:
            return
    pytest.fail(f"{fault}: not found within {SEEDS} seeds")
