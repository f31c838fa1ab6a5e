"""Clocks that are stepped, forwards and back, while a run goes on and between two runs.

The program runs under libfaketime, which fakes the time of day and leaves the monotonic clock
alone, as a step of a real clock does; the gateway keeps the true time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

import pytest

from runner.core.transfer.doubt_evidence import (
    Dedupes,
    Expires,
    SendClocks,
    fence_is_over,
    repeatable_for_s,
)
from tests.chaos.conftest import LARGE, Crew
from tests.chaos.forks import Zygote
from tests.chaos.harness import PATIENT, PROMISES, GatewayProcess, Workspace, names
from tests.chaos.kills import finish
from tests.chaos.settings import Settings
from tests.chaos.tally import Tally, judge

LIBRARIES = sorted(Path("/usr/lib").glob("**/libfaketimeMT.so.1"))
STEPS = ("+1h", "-1h", "+400d", "-2", "+2", "+0") if LARGE else ("+0", "+400d", "-1h")
TRANSFERS = 160 * len(STEPS)
BETWEEN = ("+1d", "-1d") if LARGE else ("+1d",)
IN_A_RUN = tuple(PROMISES) if LARGE else ("dedupes",)
SLOWLY = {"expires": "4s", "visible": "100ms"}
DAY_S = 86_400.0


def require_faketime() -> None:
    """Skip where there is none, or fail where everything is required."""
    if LIBRARIES:
        return
    if os.environ.get("RUNNER_REQUIRE_ALL") == "1":
        pytest.fail("libfaketime is not installed, and RUNNER_REQUIRE_ALL=1 asks for every test")
    pytest.skip("libfaketime is not installed: no steps of a whole program's clock")


def forget_killed() -> None:
    """Remove what libfaketime left of processes that were killed.

    It names its shared memory by the process's id and ends a process that finds its name in use: ids
    come round again.
    """
    for pattern in ("faketime_shm_*", "sem.faketime_sem_*"):
        for left in Path("/dev/shm").glob(pattern):
            if not Path("/proc", left.name.rpartition("_")[2]).exists():
                with suppress(OSError):  # another account's
                    left.unlink()


def faked(clock: Path) -> dict[str, str]:
    """Return an environment in which the time of day is off by what a file says."""
    return {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def stepped_far(gateway: GatewayProcess) -> bool:
    """Tell whether a message arrived that was stamped on another day."""
    return any(abs(note["age_s"]) > DAY_S for note in gateway.of("arrived"))


def step_often(folder: Path, zygote: Zygote, promise: str) -> Tally:
    """Step the clock again and again during one run, kill it, and finish on another clock."""
    expected = names(TRANSFERS)
    stepped = 0
    clock = folder / "clock"
    clock.write_text("+0", "ascii")
    with GatewayProcess(folder, zygote, Settings(promise=promise)) as gateway:
        workspace = Workspace(folder, gateway, zygote)
        limits = {"in_flight": 8, "rate": "60/s"}
        path = workspace.write(
            expected, promise=promise, limits=limits, policy={**PATIENT, "preflight": False}
        )
        with workspace.started(path, before=["env"], env=faked(clock)) as running:
            for n, offset in enumerate(STEPS, 1):
                stepped += clock.read_text("ascii") != offset
                clock.write_text(offset, "ascii")
                goal = n * 75

                def far_enough(goal: int = goal, offset: str = offset) -> bool:
                    # The library looks at its file once a second, by a clock that it fakes.
                    seen = offset != "+400d" or stepped_far(gateway)
                    return gateway.counts["arrived"] >= goal and seen

                gateway.wait_for(far_enough, running=running)
            running.process.kill()
        assert stepped_far(gateway), "no step was seen"
        # What was stamped days ahead stays in doubt until its fence is over: 6, whatever is promised.
        finish(workspace, path, promise, codes={0, 6})
        return judge(f"clock stepped in a run ({promise})", stepped, gateway, workspace, expected)


def step_between(folder: Path, zygote: Zygote, offset: str) -> Tally:
    """Kill a run, and let the next believe that it is another day; the gateway is just slow."""
    expected = names(40)
    clock = folder / "clock"
    clock.write_text(offset, "ascii")
    settings = Settings(promise="expires", expires_s=4.0, slow=1.0, slow_s=3.9)
    with GatewayProcess(folder, zygote, settings) as gateway:
        workspace = Workspace(folder, gateway, zygote)
        path = workspace.write(
            expected,
            promise="expires",
            delivery=SLOWLY,
            limits={"in_flight": 12},
            policy={**PATIENT, "negotiation_timeout": "30s"},
        )
        with workspace.started(path) as running:
            assert gateway.wait_for(lambda: gateway.counts["arrived"] >= 12, running=running)
            running.process.kill()
        with workspace.started(path, "--limit", "0", before=["env"], env=faked(clock)) as running:
            running.ended()
        finish(workspace, path, "expires")
        return judge(f"clock {offset} between runs", 1, gateway, workspace, expected)


@pytest.fixture(scope="module")
def campaigns(
    crew: Crew, zygote: Zygote, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Future[Tally]]:
    """Start all of them side by side."""
    require_faketime()
    forget_killed()
    in_a_run = {p: crew(step_often, tmp_path_factory.mktemp("in"), zygote, p) for p in IN_A_RUN}
    between = {
        offset: crew(step_between, tmp_path_factory.mktemp("between"), zygote, offset)
        for offset in BETWEEN
    }
    return in_a_run | between


@pytest.mark.parametrize("campaign", [*IN_A_RUN, *BETWEEN])
def test_stepped_clocks_move_nobody_twice(
    campaign: str, campaigns: Mapping[str, Future[Tally]], check: Callable[[Tally], None]
):
    tally = campaigns[campaign].result()
    check(tally)
    assert (tally.moved or 0) + tally.in_doubt >= tally.transfers


@pytest.mark.parametrize("step_s", [-DAY_S, -1.0, 1.0, DAY_S])
def test_a_fence_is_over_by_the_gateways_clock_and_by_time_that_passed(step_s: float):
    """Whatever the time of day was when a message was stamped, both must have gone by."""
    promise = Expires(30.0, 2.0)
    true_s = 1_800_000_000.0
    stamped = SendClocks(true_s + step_s, "boot", 100.0, true_s)
    over_s = true_s + step_s + promise.fence_s
    assert not fence_is_over(promise, stamped, gateway_date_s=over_s + 1, passed_s=33.9)
    assert not fence_is_over(promise, stamped, gateway_date_s=over_s, passed_s=1e6)
    assert not fence_is_over(promise, stamped, gateway_date_s=None, passed_s=1e6)
    assert fence_is_over(promise, stamped, gateway_date_s=over_s + 1, passed_s=34.0)


@pytest.mark.parametrize("step_s", [-DAY_S, -1.0, 1.0, DAY_S])
def test_an_ids_age_does_not_depend_on_the_time_of_day(step_s: float):
    """By the gateway's Date, and within a boot by the clock that runs through suspend too."""
    promise = Dedupes(1000.0)
    stamped = SendClocks(1_800_000_000.0 + step_s, "boot", 100.0, 1_800_000_000.0)

    def may(boot: str, uptime_s: float, date_s: float | None) -> bool:
        left_s = repeatable_for_s(
            promise, stamped, boot=boot, uptime_s=uptime_s, gateway_date_s=date_s
        )
        return left_s >= 0

    began_s = 1_800_000_000.0
    assert may("boot", 1000.0, began_s)
    assert not may("boot", 1001.0, began_s)
    assert not may("boot", 99.0, began_s), "it ran backwards"
    assert not may("boot", 101.0, None), "the gateway does not tell the time"
    assert not may("boot", 101.0, began_s + 901), "this machine was paused and does not know"
    assert may("boot", 101.0, began_s - 1), "its nodes differ by a second"
    assert not may("boot", 101.0, began_s - 3), "it ran backwards"
    assert may("another", 5.0, 1_800_000_900.0)
    assert not may("another", 5.0, 1_800_000_901.0)
    assert not may("another", 5.0, 1_799_999_999.0), "it ran backwards"
    assert not may("another", 5.0, None)
