"""Campaigns that kill the command line over and over, each time followed by `apply` again."""

from __future__ import annotations

import random
import signal
from collections.abc import Collection, Sequence
from pathlib import Path

from tests.chaos.forks import Zygote
from tests.chaos.harness import PATIENCE_S, GatewayProcess, Running, Workspace, names
from tests.chaos.settings import Settings
from tests.chaos.tally import Tally, judge
from tests.chaos.traced import injecting

IN_FLIGHT = 16
TIMED = 0.2
"""The share of kills by the clock alone: while starting, planning, looking at doubts, dialling."""

LONGEST_S = 0.6
MOST_APPLIES = 5


def kill_at_random(
    folder: Path, zygote: Zygote, promise: str, *, transfers: int, kills: int, seed: int
) -> Tally:
    """Kill `apply` at random points of one batch, then let it finish; return what came of it."""
    chance = random.Random(seed)
    expected = names(transfers)
    step = 1.2 * transfers / kills  # some are left for the last run
    settings = Settings(promise=promise, seed=seed, mute=0.005)
    with GatewayProcess(folder, zygote, settings) as gateway:
        workspace = Workspace(folder, gateway, zygote)
        path = workspace.write(
            expected,
            promise=promise,
            limits={"in_flight": IN_FLIGHT},
            preflight=promise != "nothing",
        )
        died = 0
        for _ in range(kills):
            with workspace.started(path) as running:
                died += _killed(running, gateway, chance, step)
        finish(workspace, path, promise)
        return judge(f"kill -9 at random ({promise})", died, gateway, workspace, expected)


def _killed(running: Running, gateway: GatewayProcess, chance: random.Random, step: float) -> bool:
    """Kill a run at a random moment; False: it had ended before."""
    if chance.random() < TIMED:
        gateway.wait_for(lambda: False, chance.random() * LONGEST_S, running)
    else:
        goal = gateway.counts["arrived"] + chance.random() * step
        gateway.wait_for(lambda: gateway.counts["arrived"] >= goal, running=running)
    if running.process.poll() is not None:
        return False
    running.process.kill()
    return running.process.wait(PATIENCE_S) == -signal.SIGKILL


def finish(workspace: Workspace, path: Path, promise: str, codes: Collection[int] = ()) -> None:
    """Apply until there is nothing left to do: 0, or 6 where nothing is promised."""
    wanted = codes or ({0, 6} if promise == "nothing" else {0})
    for _ in range(MOST_APPLIES):
        ended = workspace.apply(path)
        if ended.code in wanted:
            return
    raise AssertionError(f"not finished after {MOST_APPLIES} applies; the last one: {ended}")


def kill_at_each(
    folder: Path, zygote: Zygote, call: str, promise: str, *, places: Sequence[int], transfers: int
) -> Tally:
    """Kill `apply` as it enters its n-th `call`, for each place n; then let it finish.

    Each run takes up what the one before left, so the places lie in recovery and in new
    deliveries alike.
    """
    expected = names(transfers * len(places))
    with GatewayProcess(folder, zygote, Settings(promise=promise, slow=0.0)) as gateway:
        workspace = Workspace(folder, gateway, zygote)
        died = 0
        for i, place in enumerate(places):
            path = _grown(workspace, expected[: transfers * (i + 1)], promise)
            died += workspace.apply(path, before=injecting(call, "signal=KILL", place)).code < 0
        finish(workspace, path, promise)
        return judge(f"kill -9 at the n-th {call} ({promise})", died, gateway, workspace, expected)


def _grown(workspace: Workspace, listed: Sequence[str], promise: str) -> Path:
    return workspace.write(
        listed, promise=promise, limits={"in_flight": 4}, preflight=promise == "expires"
    )
