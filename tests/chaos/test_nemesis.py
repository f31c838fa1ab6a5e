"""A fleet of real workers under faults: nobody is moved twice, lost, or reported wrongly."""

from __future__ import annotations

import pytest

from tests.chaos.nemesis import rehearse


@pytest.mark.parametrize("kind", ["kill", "stop", "stop-at-write", "database", "partition"])
def test_whatever_happens_to_the_worker_each_is_moved_once_and_reported_rightly(kind: str):
    found = rehearse(kinds=(kind,), faults=2, seed=7, transfers=100)
    assert found.is_clean, found
    assert sum(found.faults.values()), found


def test_a_takeover_that_forgets_what_was_on_its_way_is_found():
    """Not each kill meets a message on its way: further batches are played until one does."""
    plays = (
        rehearse(kinds=("kill",), faults=3, seed=seed, transfers=150, plant="blind-takeover")
        for seed in range(3, 11)
    )
    assert any(found.twice for found in plays)
