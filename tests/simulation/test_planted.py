"""The judge itself is judged: every fault that is planted turns it red, by its own kind of trace."""

from __future__ import annotations

import pytest

from tests.simulation.planted import PLANTED
from tests.simulation.scenario import run_seed

SEEDS = 150
"""Within which every planted fault must be found; on average it takes a few."""

TELLTALE = {
    "blind resend": "moved twice",
    "blind resend by the next run": "moved twice",
    "query, then resend": "moved twice",
    "intent after send": "moved twice",
    "id from the clock": "misreported",
    "id reused after rate_limited": "moved twice",
    "plan before lock": "moved twice",
    "second reader": "unheeded",
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str):
    """By the gateway's ledger alone: the rules about how things are done are not asked."""
    for seed in range(SEEDS):
        kinds = {finding.kind for finding in run_seed(seed, PLANTED[fault]).findings}
        if TELLTALE[fault] in kinds:
            return
    pytest.fail(f"{fault}: not found within {SEEDS} seeds")
