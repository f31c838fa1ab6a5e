"""Sessions cut, sliced, delayed and swallowed by a proxy (recovery.md, "How the promise is tested")."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.chaos.conftest import LARGE, Crew
from tests.chaos.forks import Zygote
from tests.chaos.harness import PATIENT, PROMISES, GatewayProcess, Workspace, names
from tests.chaos.kills import finish
from tests.chaos.proxy import Cut, Fate, How, Proxy
from tests.chaos.settings import Settings
from tests.chaos.tally import Tally, judge

TRANSFERS, SEEDS = (500, 5) if LARGE else (150, 1)
CUTS = tuple(cut for cut in Cut if cut is not Cut.NEVER)


def cut_often(folder: Path, zygote: Zygote, promise: str, seed: int) -> Tally:
    """Cut every session but each fourth somewhere else, sliced or delayed now and then."""
    chance = random.Random(seed)

    def fate(n: int) -> Fate:
        if n == 1:  # nothing may be sent before a first session stands
            return Fate(Cut.AFTER_SEND, frame=5)
        return Fate(
            Cut.NEVER if n > TRANSFERS // 3 else CUTS[n % len(CUTS)],
            chance.choice((How.CLOSE, How.RESET)),
            frame=chance.randint(1, 8),
            sliced=chance.random() < 0.2,
            delay_s=chance.choice((0.0, 0.0, 0.01)),
        )

    expected = names(TRANSFERS)
    with (
        GatewayProcess(folder, zygote, Settings(promise=promise, seed=seed)) as gateway,
        Proxy(gateway, gateway.port, fate, seed) as proxy,
    ):
        workspace = Workspace(folder, proxy, zygote)
        path = workspace.write(expected, promise=promise, limits={"in_flight": 4}, policy=PATIENT)
        finish(workspace, path, promise)
        return judge(f"sessions cut ({promise})", proxy.cuts, gateway, workspace, expected)


def fall_silent(folder: Path, zygote: Zygote) -> tuple[Tally, float]:
    """Swallow everything behind the tenth frame, both ways; return how long it went unnoticed."""
    expected = names(60)

    def fate(n: int) -> Fate:
        return Fate(Cut.AFTER_SEND, How.BLACKHOLE, frame=10) if n == 1 else Fate()

    with (
        GatewayProcess(folder, zygote, Settings(promise="dedupes")) as gateway,
        Proxy(gateway, gateway.port, fate) as proxy,
    ):
        workspace = Workspace(folder, proxy, zygote)
        path = workspace.write(expected, promise="dedupes", limits={"in_flight": 4, "rate": "20/s"})
        with workspace.started(path) as running:
            assert gateway.wait_for(lambda: gateway.counts["session"] > 1, running=running)
            assert proxy.cut_at is not None
            noticed_s = time.monotonic() - proxy.cut_at
            assert running.ended().code == 0
        tally = judge("half-open session", proxy.cuts, gateway, workspace, expected)
        return tally, noticed_s


@pytest.fixture(scope="module")
def campaigns(
    crew: Crew, zygote: Zygote, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[tuple[str, int], Future[Tally]]:
    """Start all of them side by side."""
    return {
        (promise, seed): crew(cut_often, tmp_path_factory.mktemp("cut"), zygote, promise, seed)
        for promise in PROMISES
        for seed in range(SEEDS)
    }


@pytest.fixture(scope="module")
def silence(
    crew: Crew, zygote: Zygote, tmp_path_factory: pytest.TempPathFactory
) -> Future[tuple[Tally, float]]:
    """Start it beside the others."""
    return crew(fall_silent, tmp_path_factory.mktemp("silent"), zygote)


@pytest.mark.usefixtures("silence")
@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("promise", PROMISES)
def test_sessions_cut_anywhere_move_each_once(
    promise: str,
    seed: int,
    campaigns: Mapping[tuple[str, int], Future[Tally]],
    check: Callable[[Tally], None],
):
    """In the handshake, in a frame, behind it, behind its effect, in its reply; closed and reset."""
    tally = campaigns[promise, seed].result()
    check(tally)
    assert (tally.faults or 0) >= len(CUTS)
    if promise == "nothing":
        assert (tally.moved or 0) + tally.in_doubt >= TRANSFERS
    else:
        assert (tally.moved, tally.in_doubt) == (TRANSFERS, 0)


def test_a_half_open_session_is_noticed(
    silence: Future[tuple[Tally, float]], check: Callable[[Tally], None]
):
    """No byte comes any more, and none is told: the session is given up and dialled anew.

    That it takes at most 15 s is shown in virtual time (tests/gateways/test_time_limits.py).
    """
    tally, noticed_s = silence.result()
    check(tally)
    assert tally.moved == tally.transfers
    assert noticed_s > 1.0
