"""An undo carries back whom the run moved and nobody else, and later runs of the batch leave it so."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.planted_faults import UNDO_PLANTED
from tests.simulation.undo import run_undo_seed

SEEDS = range(20)

PLANTED_SEEDS = 60
"""Within which every planted fault must be found."""

FOUND_BY = {
    "undos not remembered": 2,
    "expected places not looked at": 2,
    "undo of what is in doubt": 4,
}

TELLTALES = {
    "undos not remembered": {"undo undone"},
    "expected places not looked at": {"moved from elsewhere"},
    "undo of what is in doubt": {"moved twice", "undo undone", "sent without ground"},
}


def test_nobody_is_moved_more_often_than_both_decisions_say():
    happened: Counter[str] = Counter()
    for seed in SEEDS:
        verdict = run_undo_seed(seed)
        assert not verdict.findings, (seed, verdict.findings)
        happened += verdict.happened
    for kind in ("killed", "carried back", "somebody else"):
        assert happened[kind], kind


@pytest.mark.parametrize("fault", UNDO_PLANTED)
def test_a_planted_fault_is_found(fault: str):
    for seed in sorted(range(PLANTED_SEEDS), key=lambda seed: seed != FOUND_BY[fault]):
        kinds = {finding.kind for finding in run_undo_seed(seed, UNDO_PLANTED[fault]).findings}
        if TELLTALES[fault] & kinds:
            return
    pytest.fail(f"{fault}: not found within {PLANTED_SEEDS} seeds")
