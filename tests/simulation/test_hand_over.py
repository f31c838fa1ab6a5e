"""A batch that goes on from worker to worker keeps its promises, by the chain of all its runs."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.hand_over import run_hand_over_seed
from tests.simulation.planted_faults import PLANTED
from tests.simulation.process import Parts

SEEDS = range(30)


def test_waves_and_failures_are_the_batch_s_whoever_carries_it():
    happened: Counter[str] = Counter()
    for seed in SEEDS:
        verdict = run_hand_over_seed(seed)
        assert not verdict.findings, (seed, verdict.findings)
        happened += verdict.happened
    for kind in ("killed", "stopped by a wave", "stopped by failures"):
        assert happened[kind], kind


def test_a_run_that_begins_the_batch_anew_is_found():
    for seed in SEEDS:
        found = run_hand_over_seed(seed, Parts(so_far=lambda _so_far: None)).findings
        if any(each.kind == "hand-over" for each in found):
            return
    pytest.fail("not found")


def test_a_successor_that_counts_its_ids_anew_is_found():
    for seed in sorted(SEEDS, key=lambda seed: seed != 1):
        found = run_hand_over_seed(seed, PLANTED["ids from a sequence"]).findings
        if any(each.kind == "id reused" for each in found):
            return
    pytest.fail("not found")
