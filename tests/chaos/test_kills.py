"""kill -9 at random points of one batch, each followed by `apply` again (recovery.md, "In doubt")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future

import pytest

from tests.chaos.conftest import LARGE, Crew
from tests.chaos.forks import Zygote
from tests.chaos.harness import PROMISES
from tests.chaos.kills import kill_at_random
from tests.chaos.tally import Tally

KILLS, TRANSFERS, SEEDS = (200, 5_000, 2) if LARGE else (14, 700, 1)


@pytest.fixture(scope="module")
def campaigns(
    crew: Crew, zygote: Zygote, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[tuple[str, int], Future[Tally]]:
    """Start all of them side by side."""
    return {
        (promise, seed): crew(
            kill_at_random,
            tmp_path_factory.mktemp("kills"),
            zygote,
            promise,
            transfers=TRANSFERS,
            kills=KILLS,
            seed=seed,
        )
        for promise in PROMISES
        for seed in range(SEEDS)
    }


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("promise", PROMISES)
def test_killed_at_random_and_applied_again_each_moves_once(
    promise: str,
    seed: int,
    campaigns: Mapping[tuple[str, int], Future[Tally]],
    check: Callable[[Tally], None],
):
    """Nobody twice, nobody lost, the report true; with a promise nobody is left in doubt either."""
    tally = campaigns[promise, seed].result()
    check(tally)
    assert (tally.faults or 0) > KILLS // 2, "most runs ended before they were killed"
    if promise == "nothing":
        assert (tally.moved or 0) + tally.in_doubt >= TRANSFERS
    else:
        assert (tally.moved, tally.in_doubt) == (TRANSFERS, 0)
