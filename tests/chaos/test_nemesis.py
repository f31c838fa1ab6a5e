"""A fleet of real workers under faults: nobody is moved twice, lost, or reported wrongly."""

from __future__ import annotations

import pytest

from tests.chaos.forks import Zygote
from tests.chaos.nemesis import rehearse

CASES = (
    (("kill",), "dedupes", 2),
    (("stop",), "nothing", 2),
    (("stop-at-write",), "nothing", 2),
    (("database",), "nothing", 2),
    (("partition", "cut"), "expires", 2),
    (("clock",), "expires", 4),
    (("failover",), "nothing", 1),
)
"""Kinds of faults, what the gateway promises, and how many faults."""


@pytest.mark.parametrize(("kinds", "promise", "faults"), CASES)
def test_whatever_happens_to_the_worker_each_is_moved_once_and_reported_rightly(
    zygote: Zygote, kinds: tuple[str, ...], promise: str, faults: int
):
    found = rehearse(
        kinds=kinds, faults=faults, seed=7, transfers=100, promise=promise, zygote=zygote
    )
    assert found.is_clean, found
    assert sum(found.faults.values()), found


def test_a_takeover_that_forgets_what_was_on_its_way_is_found(zygote: Zygote):
    """Not each kill meets a message on its way: further batches are played until one does."""
    plays = (
        rehearse(
            kinds=("kill",),
            faults=3,
            seed=seed,
            transfers=150,
            plant="blind-takeover",
            zygote=zygote,
        )
        for seed in range(3, 11)
    )
    assert any(found.twice for found in plays)


def test_a_worker_that_heeds_neither_lease_nor_fence_is_found(zygote: Zygote):
    found = rehearse(
        kinds=("stop",), faults=1, seed=1, transfers=150, plant="no-fence", zygote=zygote
    )
    assert found.twice, found
    assert found.unjournalled, found
