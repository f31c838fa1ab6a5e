"""A fleet of real workers under faults: nobody is moved twice, lost, or reported wrongly."""

from __future__ import annotations

import pytest

from tests.chaos.nemesis import KINDS, rehearse

PROMISED = {"kill": "dedupes", "partition": "expires", "cut": "dedupes", "clock": "expires"}
"""What the gateway promises, by kind of fault; otherwise nothing."""


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_happens_to_the_worker_each_is_moved_once_and_reported_rightly(kind: str):
    found = rehearse(
        kinds=(kind,), faults=2, seed=7, transfers=100, promise=PROMISED.get(kind, "nothing")
    )
    assert found.is_clean, found
    assert sum(found.faults.values()), found


def test_a_takeover_that_forgets_what_was_on_its_way_is_found():
    """Not each kill meets a message on its way: further batches are played until one does."""
    plays = (
        rehearse(kinds=("kill",), faults=3, seed=seed, transfers=150, plant="blind-takeover")
        for seed in range(3, 11)
    )
    assert any(found.twice for found in plays)


def test_a_worker_that_heeds_neither_lease_nor_fence_is_found():
    found = rehearse(kinds=("stop",), faults=1, seed=1, transfers=150, plant="no-fence")
    assert found.twice, found
    assert found.unjournalled, found
