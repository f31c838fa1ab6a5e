"""An undo carries back whom the run moved and nobody else, and later runs of the batch leave it so."""

from __future__ import annotations

import pytest

from tests.simulation.planted_faults import UNDO_PLANTED
from tests.simulation.search import happened_in, is_found
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
    happened = happened_in(run_undo_seed, SEEDS)
    for kind in ("killed", "carried back", "somebody else"):
        assert happened[kind], kind


@pytest.mark.parametrize("fault", UNDO_PLANTED)
def test_a_planted_fault_is_found(fault: str):
    assert is_found(
        lambda seed: run_undo_seed(seed, UNDO_PLANTED[fault]),
        TELLTALES[fault],
        seeds=range(PLANTED_SEEDS),
        first=FOUND_BY[fault],
    )
