"""The driver `genesys-cloud` under kills and faults, by the ledger of the platform's face."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future

import pytest

from tests.chaos.conftest import LARGE, Crew
from tests.chaos.forks import Zygote
from tests.chaos.platform import EXPIRES, befallen, kill_at_random
from tests.chaos.tally import Tally

KILLS, TRANSFERS = (100, 2_000) if LARGE else (12, 300)
BEFALLEN = 1_000 if LARGE else 100

FAULTS: Mapping[str, Mapping[str, str]] = {
    "lost answers": {"cut": "10%", "muted": "2%", "cut_before": "5%"},
    "too many requests": {"rate_limited": "20%"},
    "errors of the platform": {"server_error": "5%", "server_error_after": "5%"},
    "events": {"event_lost": "20%", "event_late": "10%", "event_doubled": "10%"},
    "channels": {"channel_evicted": "3%", "socket_closing": "3%"},
    "tokens": {"token_expiry": "5%"},
    "transfers that fail": {"transfer_failed": "15%", "rejected": "5%"},
}


@pytest.fixture(scope="module")
def campaigns(
    crew: Crew, zygote: Zygote, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Future[Tally]]:
    """Start all of them side by side."""
    begun = {
        name: crew(befallen, tmp_path_factory.mktemp("faults"), zygote, faults, transfers=BEFALLEN)
        for name, faults in FAULTS.items()
    }
    for name, delivery in (("nothing", None), ("expires", EXPIRES)):
        folder, size = tmp_path_factory.mktemp("kills"), {"transfers": TRANSFERS, "kills": KILLS}
        begun[name] = crew(kill_at_random, folder, zygote, delivery, **size, seed=7)
    return begun


@pytest.mark.parametrize("faults", FAULTS)
def test_whatever_the_platform_does_wrong_each_moves_once_and_the_report_is_true(
    faults: str, campaigns: Mapping[str, Future[Tally]], check: Callable[[Tally], None]
):
    tally = campaigns[faults].result()
    check(tally)
    assert tally.moved is not None
    assert tally.moved + tally.in_doubt >= 0.8 * BEFALLEN


@pytest.mark.parametrize("promise", ["nothing", "expires"])
def test_killed_at_random_and_applied_again_each_moves_once(
    promise: str, campaigns: Mapping[str, Future[Tally]], check: Callable[[Tally], None]
):
    tally = campaigns[promise].result()
    check(tally)
    assert tally.faults is not None
    assert tally.faults > KILLS // 2, "most runs ended before they were killed"
    assert tally.moved is not None
    assert tally.moved + tally.in_doubt >= TRANSFERS
    if promise == "expires":
        assert (tally.moved, tally.in_doubt) == (TRANSFERS, 0)
