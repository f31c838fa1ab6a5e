"""Plays seeds: until one shows a planted fault, or all of them, for what happens in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from tests.simulation.scenario import Verdict

Play = Callable[[int], Verdict]


def is_found(play: Play, telltales: set[str], *, seeds: Iterable[int], first: int) -> bool:
    """Return whether a seed shows one of the telltales; `first` is played first."""
    return any(
        telltales & {finding.kind for finding in play(seed).findings}
        for seed in sorted(seeds, key=lambda seed: seed != first)
    )


def happened_in(play: Play, seeds: Iterable[int]) -> Counter[str]:
    """Return how often each kind of event happened; no seed may find anything."""
    happened: Counter[str] = Counter()
    for seed in seeds:
        verdict = play(seed)
        assert not verdict.findings, (seed, verdict.findings)
        happened += verdict.happened
    return happened
