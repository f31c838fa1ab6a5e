"""SIGTERM, SIGINT and SIGHUP at random points: drained, reported, and finished by the next run."""

from __future__ import annotations

import random
import signal
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

import pytest

from tests.chaos.conftest import LARGE, Crew
from tests.chaos.forks import Zygote
from tests.chaos.harness import GatewayProcess, Workspace, names
from tests.chaos.kills import finish
from tests.chaos.proxy import Cut, Fate, How, Proxy
from tests.chaos.settings import Settings
from tests.chaos.tally import Tally, judge

CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}
POINTS = 20 if LARGE else 2
TRANSFERS = 150


def interrupt(folder: Path, zygote: Zygote, number: signal.Signals) -> Tally:
    """Interrupt one batch at random points, then let it finish."""
    chance = random.Random(number)
    expected = names(TRANSFERS)
    with GatewayProcess(folder, zygote, Settings(promise="dedupes")) as gateway:
        workspace = Workspace(folder, gateway, zygote)
        limits = {"in_flight": 16, "rate": "200/s", "burst": 5}
        path = workspace.write(expected, promise="dedupes", limits=limits)
        interrupted = 0
        for _ in range(POINTS):
            sessions = gateway.counts["session"]
            goal = gateway.counts["arrived"] + chance.randint(0, TRANSFERS // POINTS // 2)
            with workspace.started(path) as running:

                def is_under_way(sessions: int = sessions, goal: int = goal) -> bool:
                    counts = gateway.counts
                    return counts["session"] > sessions and counts["arrived"] >= goal

                assert gateway.wait_for(is_under_way, running=running)
                running.process.send_signal(number)
                ended = running.ended()
            assert ended.code == CODES[number], ended
            workspace.report().check(ended.code)
            assert "interrupted" in ended.out or number.name in ended.out + ended.err
            interrupted += 1
        finish(workspace, path, "dedupes")
        return judge(f"{number.name} at random", interrupted, gateway, workspace, expected)


@pytest.fixture(scope="module")
def campaigns(
    crew: Crew, zygote: Zygote, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[signal.Signals, Future[Tally]]:
    """Start all of them side by side."""
    return {
        number: crew(interrupt, tmp_path_factory.mktemp(number.name), zygote, number)
        for number in CODES
    }


@pytest.mark.parametrize("number", CODES)
def test_interrupted_at_random_it_drains_reports_and_is_finished_later(
    number: signal.Signals,
    campaigns: Mapping[signal.Signals, Future[Tally]],
    check: Callable[[Tally], None],
):
    """Its code, its report and its audit log are there each time; what was sent is settled."""
    tally = campaigns[number].result()
    check(tally)
    assert (tally.moved, tally.in_doubt) == (TRANSFERS, 0)


@pytest.mark.parametrize("number", CODES)
def test_interrupted_while_dialling_it_ends_soon_and_says_that_nothing_was_sent(
    number: signal.Signals, tmp_path: Path, zygote: Zygote
):
    silent = Fate(Cut.HANDSHAKE, How.BLACKHOLE)
    with (
        GatewayProcess(tmp_path, zygote, Settings()) as gateway,
        Proxy(gateway, gateway.port, lambda _: silent) as proxy,
    ):
        workspace = Workspace(tmp_path, proxy, zygote)
        path = workspace.write(names(5))
        with workspace.started(path) as running:
            assert gateway.wait_for(lambda: proxy.cut_at is not None, running=running)
            running.process.send_signal(number)
            ended = running.ended()
        assert ended.code == CODES[number]
        assert proxy.connections == 1
        assert "no WebSocket within" not in ended.out + ended.err, "it waited for the dial to fail"
        report = workspace.report()
        report.check(ended.code)
        assert report.summary["unattempted"] == 5
        assert workspace.apply(workspace.write(names(5)), "--limit", "0").code == 0
        assert not gateway.of("arrived")


@pytest.mark.parametrize("first", CODES)
def test_a_second_signal_ends_at_once_and_the_journal_is_whole(
    first: signal.Signals, tmp_path: Path, zygote: Zygote, check: Callable[[Tally], None]
):
    """The gateway acts but answers long after our patience: one signal waits, two do not."""
    expected = names(40)
    with GatewayProcess(tmp_path, zygote, Settings(reply_s=3600.0)) as gateway:
        workspace = Workspace(tmp_path, gateway, zygote)
        path = workspace.write(
            expected, limits={"in_flight": 10}, policy={"negotiation_timeout": "1h"}
        )
        with workspace.started(path) as running:
            assert gateway.wait_for(lambda: gateway.counts["moved"] >= 8, running=running)
            running.process.send_signal(first)
            gateway.wait_for(lambda: False, 0.3, running)
            assert running.process.poll() is None, "it did not wait for what is in flight"
            running.process.send_signal(signal.SIGTERM)
            assert running.ended().code in {CODES[first], CODES[signal.SIGTERM]}
        journal = tmp_path / ".runner" / "foreign.db"
        with closing(sqlite3.connect(journal)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for _ in range(2):  # the second finds what the first has settled
            code = workspace.apply(workspace.write(expected), "--limit", "0").code
        assert code == 0
        moved = sorted(gateway.moves())
        tally = judge(f"second signal after {first.name}", 1, gateway, workspace, moved)
        check(tally)
        assert (tally.moved or 0) >= 8
