"""Processes that stand still: a gateway that reads late, a runner that is stopped and goes on."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.conftest import LARGE, Crew
from tests.chaos.forks import Zygote
from tests.chaos.harness import PROMISES, GatewayProcess, Running, Workspace, names
from tests.chaos.kills import finish
from tests.chaos.settings import Settings
from tests.chaos.tally import Tally, judge

STALLED_S = 8.0
FILLING_S = 0.3
"""Meanwhile frames pile up in the buffer of the gateway that stands still."""

STOPPED_S = 3.0
STOPS = range(24 if LARGE else 4)
EACH = 2
"""Stops of one run."""


def die_before_a_stalled_gateway(folder: Path, zygote: Zygote, promise: str) -> Tally:
    """Kill a run whose gateway stands still, and apply again while it still does."""
    expected = names(60)
    settings = Settings(promise=promise, expires_s=10.0, stall_at=20, stall_s=STALLED_S)
    with GatewayProcess(folder, zygote, settings) as gateway:
        workspace = Workspace(folder, gateway, zygote)
        path = workspace.write(
            expected,
            promise=promise,
            preflight=True,
            limits={"in_flight": 8},
            delivery={"expires": "10s", "visible": "100ms"} if promise == "expires" else None,
        )
        with workspace.started(path) as running:
            assert gateway.wait_for(lambda: gateway.counts["stalled"] > 0, running=running)
            gateway.wait_for(lambda: False, FILLING_S, running)
            running.process.kill()
        workspace.apply(path)
        assert gateway.wait_for(lambda: _late(gateway) > 0, 2 * STALLED_S), "nothing landed late"
        # Before all has landed a look-up could not settle it.
        assert gateway.wait_for(lambda: _has_landed(gateway)), "some did not land"
        finish(workspace, path, promise)
        return judge(
            f"gateway reads 8 s late ({promise})", _late(gateway), gateway, workspace, expected
        )


def _has_landed(gateway: GatewayProcess) -> bool:
    notes = list(gateway.notes)
    arrived = {note["id"] for note in notes if note["event"] == "arrived"}
    return arrived <= {note["id"] for note in notes if note["event"] in {"moved", "expired"}}


def _late(gateway: GatewayProcess) -> int:
    """Count what happened to messages long after their sender had died."""
    events = {"moved", "repeated"}
    return sum(n["event"] in events and n["age_s"] > STALLED_S - 1 for n in list(gateway.notes))


def stand_still(folder: Path, zygote: Zygote, seed: int) -> tuple[Tally, int, int]:
    """Stop a run for three seconds at random moments.

    Returns also how many frames were stale, and how many intents were withdrawn.
    """
    chance = random.Random(seed)
    expected = names(400)
    with GatewayProcess(folder, zygote, Settings(promise="dedupes", seed=seed)) as gateway:
        workspace = Workspace(folder, gateway, zygote)
        path = workspace.write(expected, promise="dedupes", limits={"in_flight": 32})
        with workspace.started(path) as running:
            stops = [_stop(running, gateway, chance) for _ in range(EACH)]
            assert running.ended().code == 0
        audit = (workspace.report().folder / "audit.jsonl").read_text("utf-8")
        withdrawn = audit.count('"event":"withdrawn"')
        stale = sum(_crossed(note, stop) for note in gateway.of("arrived") for stop in stops)
        tally = judge("SIGSTOP of 3 s at random", EACH, gateway, workspace, expected)
        return tally, stale, withdrawn


def _stop(running: Running, gateway: GatewayProcess, chance: random.Random) -> tuple[float, float]:
    """Stop a run for a while. Return when it stopped and went on, in seconds since the epoch."""
    goal = gateway.counts["arrived"] + chance.randint(10, 120)
    assert gateway.wait_for(lambda: gateway.counts["arrived"] >= goal, running=running)
    running.process.send_signal(signal.SIGSTOP)
    stopped = time.time()
    threading.Event().wait(STOPPED_S)
    continued = time.time()
    running.process.send_signal(signal.SIGCONT)
    return stopped, continued


def _crossed(note: Mapping[str, Any], stop: tuple[float, float]) -> bool:
    """Return whether a message was built before a stop and arrived after it.

    The gateway reads on meanwhile: what was written before the stop arrives during it, however busy
    the machine is.
    """
    stopped, continued = stop
    return note["built"] < stopped and note["built"] + note["age_s"] >= continued


@pytest.fixture(scope="module")
def stalls(
    crew: Crew, zygote: Zygote, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Future[Tally]]:
    """Start all of them side by side: they mostly wait."""
    return {
        promise: crew(
            die_before_a_stalled_gateway, tmp_path_factory.mktemp("stall"), zygote, promise
        )
        for promise in PROMISES
    }


@pytest.fixture(scope="module")
def stops(
    crew: Crew, zygote: Zygote, tmp_path_factory: pytest.TempPathFactory
) -> list[Future[tuple[Tally, int, int]]]:
    """Start all of them side by side."""
    return [crew(stand_still, tmp_path_factory.mktemp("stop"), zygote, seed) for seed in STOPS]


@pytest.mark.usefixtures("stops")
@pytest.mark.parametrize("promise", PROMISES)
def test_what_a_stalled_gateway_reads_after_its_sender_died_moves_nobody_twice(
    promise: str, stalls: Mapping[str, Future[Tally]], check: Callable[[Tally], None]
):
    """A message on its way lands long after the next run has asked about it."""
    tally = stalls[promise].result()
    check(tally)
    assert (tally.faults or 0) > 0
    # Without a promise, what the sender had not written when it died is left to a person.
    left = tally.in_doubt if promise == "nothing" else 0
    assert (tally.moved, tally.in_doubt) == (tally.transfers - left, left)


@pytest.mark.parametrize("seed", STOPS)
def test_nothing_stale_is_written_after_a_stop(
    seed: int,
    stops: list[Future[tuple[Tally, int, int]]],
    check: Callable[[Tally], None],
):
    """What was intended before the stop is withdrawn and built anew, not sent as it was.

    A stop may fall between the last look at the clock and the system call, where no program can
    see it: one frame a stop.
    """
    tally, stale, _ = stops[seed].result()
    check(tally)
    assert tally.moved == tally.transfers
    assert stale <= EACH


def test_some_stops_fell_between_an_intent_and_its_frame(
    stops: list[Future[tuple[Tally, int, int]]],
):
    """Else the tests above have shown nothing."""
    assert sum(stop.result()[2] for stop in stops) > 0
