"""Workers of a fleet that die and stand still: nobody is moved twice, lost, or reported wrongly."""

from __future__ import annotations

import pytest

from tests.chaos.forks import Zygote
from tests.chaos.nemesis import rehearse

CASES = (
    (("kill",), "dedupes", 2),
    (("stop",), "nothing", 2),
    (("stop-at-write",), "nothing", 2),
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
