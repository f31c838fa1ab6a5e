"""Mistakes of workers that are made on purpose: what happens to a fleet shows each of them."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.forks import Zygote
from tests.chaos.nemesis import Verdict, rehearse


def plays(plant: str, kind: str, zygote: Zygote, *, faults: int, first: int) -> Iterator[Verdict]:
    """Play up to eight batches whose workers make a mistake, and yield what is found in each."""
    for seed in range(first, first + 8):
        yield rehearse(
            kinds=(kind,), faults=faults, seed=seed, transfers=150, plant=plant, zygote=zygote
        )


def test_a_takeover_that_forgets_what_was_on_its_way_is_found(zygote: Zygote):
    """Not each kill meets a message on its way: further batches are played until one does."""
    assert any(found.twice for found in plays("blind-takeover", "kill", zygote, faults=3, first=3))


def test_a_worker_that_heeds_neither_lease_nor_fence_is_found(zygote: Zygote):
    """In some batches nobody goes on: the head that it left is ahead of the journal."""
    played = plays("no-fence", "stop", zygote, faults=1, first=1)
    assert any(found.twice and found.unjournalled for found in played)
