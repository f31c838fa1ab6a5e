"""Thousands of seeds of faults: nobody is moved twice, nobody lost, nothing misreported."""

from __future__ import annotations

from tests.simulation.scenario import run_seed


def test_the_same_seed_gives_the_same_trace():
    assert run_seed(4).trace == run_seed(4).trace != run_seed(5).trace
