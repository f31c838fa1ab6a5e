"""Mistakes of workers that are made on purpose: what happens to a fleet shows each of them."""

from __future__ import annotations

from tests.chaos.forks import Zygote
from tests.chaos.nemesis import rehearse


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
