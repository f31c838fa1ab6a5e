"""kill -9 at exact places: every n-th `fdatasync` and every n-th `sendto`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future

import pytest

from tests.chaos.conftest import LARGE, Crew
from tests.chaos.forks import Zygote
from tests.chaos.kills import kill_at_each
from tests.chaos.tally import Tally
from tests.chaos.traced import require_strace

PLACES = range(1, 81) if LARGE else (2, 6, 8, 9, 10, 11, 14)
TRANSFERS = 40 if LARGE else 8
"""New ones before each kill."""

CAMPAIGNS = [
    (call, promise)
    for call in ("fdatasync", "sendto")
    for promise in (("dedupes", "expires", "nothing") if LARGE else ("dedupes",))
]


@pytest.fixture(scope="module")
def campaigns(
    crew: Crew, zygote: Zygote, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[tuple[str, str], Future[Tally]]:
    """Start all of them side by side."""
    require_strace()
    return {
        (call, promise): crew(
            kill_at_each,
            tmp_path_factory.mktemp(call),
            zygote,
            call,
            promise,
            places=PLACES,
            transfers=TRANSFERS,
        )
        for call, promise in CAMPAIGNS
    }


@pytest.mark.parametrize(("call", "promise"), CAMPAIGNS)
def test_killed_at_each_place_and_applied_again_each_moves_once(
    call: str,
    promise: str,
    campaigns: Mapping[tuple[str, str], Future[Tally]],
    check: Callable[[Tally], None],
):
    tally = campaigns[call, promise].result()
    check(tally)
    assert (tally.faults or 0) >= len(PLACES) * 0.8, "most runs ended before they were killed"
    if promise != "nothing":
        assert (tally.moved, tally.in_doubt) == (tally.transfers, 0)
