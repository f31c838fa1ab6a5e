"""A batch that goes on from worker to worker keeps its promises, by the chain of all its runs."""

from __future__ import annotations

from tests.simulation.hand_over import run_hand_over_seed
from tests.simulation.planted_faults import PLANTED
from tests.simulation.process import Parts
from tests.simulation.search import happened_in, is_found

SEEDS = range(30)


def test_waves_and_failures_are_the_batch_s_whoever_carries_it():
    happened = happened_in(run_hand_over_seed, SEEDS)
    for kind in ("killed", "stopped by a wave", "stopped by failures"):
        assert happened[kind], kind


def test_a_run_that_begins_the_batch_anew_is_found():
    forgetful = Parts(so_far=lambda _so_far: None)
    assert is_found(
        lambda seed: run_hand_over_seed(seed, forgetful), {"hand-over"}, seeds=SEEDS, first=0
    )


def test_a_successor_that_counts_its_ids_anew_is_found():
    counting = PLANTED["ids from a sequence"]
    assert is_found(
        lambda seed: run_hand_over_seed(seed, counting), {"id reused"}, seeds=SEEDS, first=1
    )
