"""Who goes first through the one pace of a token's requests, and how fast."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from runner.gateways.http.rate_limiter import Priority, PriorityRateLimiter
from runner.testing.loop_clock import LoopClock
from tests.fakes.virtual import VirtualLoop

Log = list[tuple[str, float]]


def on_virtual_time(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test on a loop whose minutes pass in milliseconds."""

    @functools.wraps(test)
    def run() -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test())

    return run


def now() -> float:
    return asyncio.get_running_loop().time()


async def nothing() -> None:
    """Prepare nothing for a turn."""


async def ask(rate_limiter: PriorityRateLimiter, priority: Priority, log: Log, name: str) -> None:
    await rate_limiter.acquire(nothing, priority)
    log.append((name, round(now(), 3)))


async def command(rate_limiter: PriorityRateLimiter, log: Log, name: str) -> None:
    while (wait_s := rate_limiter.due_in(0)) > 0:  # noqa: ASYNC110 - as the gate does
        await asyncio.sleep(wait_s)
    rate_limiter.take()
    log.append((name, round(now(), 3)))


def headers(allowed: int, count: int, reset: int) -> dict[str, str]:
    return {
        "inin-ratelimit-allowed": str(allowed),
        "inin-ratelimit-count": str(count),
        "inin-ratelimit-reset": str(reset),
    }


@on_virtual_time
async def test_without_a_limit_nobody_waits():
    rate_limiter, log = PriorityRateLimiter(None, LoopClock()), Log()
    await asyncio.gather(*(ask(rate_limiter, Priority.PREFLIGHT, log, str(n)) for n in range(100)))
    assert now() < 0.01
    assert rate_limiter.due_in(5) == 0.0


@on_virtual_time
async def test_the_more_urgent_go_first_then_those_who_came_first():
    rate_limiter, log = PriorityRateLimiter(5.0, LoopClock()), Log()
    asked = [
        asyncio.create_task(ask(rate_limiter, priority, log, name))
        for priority, name in [
            (Priority.PREFLIGHT, "a"),
            (Priority.PREFLIGHT, "b"),
            (Priority.UPKEEP, "c"),
            (Priority.RECONCILIATION, "d"),
        ]
    ]
    await asyncio.gather(*asked)
    assert [name for name, _ in log] == ["d", "c", "a", "b"]
    assert [at for _, at in log] == pytest.approx([0.2, 0.4, 0.6, 0.8], abs=0.01)


@on_virtual_time
async def test_a_command_takes_the_next_token_before_every_question():
    rate_limiter, log = PriorityRateLimiter(5.0, LoopClock()), Log()
    questions = [
        asyncio.create_task(ask(rate_limiter, Priority.RECONCILIATION, log, name)) for name in "abc"
    ]
    await asyncio.sleep(0.25)  # "a" has gone
    await command(rate_limiter, log, "command")
    await asyncio.gather(*questions)
    assert [name for name, _ in log] == ["a", "command", "b", "c"]
    assert [at for _, at in log] == pytest.approx([0.2, 0.4, 0.6, 0.8], abs=0.01)


@on_virtual_time
async def test_a_command_that_does_not_come_costs_no_token():
    rate_limiter, log = PriorityRateLimiter(5.0, LoopClock()), Log()
    rate_limiter.due_in(0)
    await asyncio.gather(*(ask(rate_limiter, Priority.PREFLIGHT, log, name) for name in "abcd"))
    assert log[0][1] == pytest.approx(0.28, abs=0.01)  # it was waited for
    assert log[-1][1] == pytest.approx(0.8, abs=0.01)  # and that was made up


@on_virtual_time
async def test_one_left_waiting_does_not_hold_up_the_others():
    rate_limiter, log = PriorityRateLimiter(5.0, LoopClock()), Log()
    first = asyncio.create_task(ask(rate_limiter, Priority.PREFLIGHT, log, "a"))
    second = asyncio.create_task(ask(rate_limiter, Priority.PREFLIGHT, log, "b"))
    await asyncio.sleep(0.05)
    first.cancel()
    await second
    assert log == [("b", pytest.approx(0.2, abs=0.01))]


@on_virtual_time
async def test_what_is_prepared_is_as_young_as_the_turn_and_never_holds_up_the_more_urgent():
    rate_limiter, log = PriorityRateLimiter(5.0, LoopClock()), Log()

    async def prepare() -> float:
        if now() < 3:
            await asyncio.sleep(3)
        return now()

    waiting = asyncio.create_task(rate_limiter.acquire(prepare))
    await asyncio.sleep(1)
    await ask(rate_limiter, Priority.RECONCILIATION, log, "urgent")
    assert log == [("urgent", pytest.approx(1.2, abs=0.01))]
    assert await waiting == pytest.approx(now(), abs=0.01)
    assert now() == pytest.approx(3.0, abs=0.01)


@on_virtual_time
async def test_shut_holds_for_commands_and_questions():
    rate_limiter, log = PriorityRateLimiter(5.0, LoopClock()), Log()
    rate_limiter.shut(30)
    assert rate_limiter.due_in(0) == pytest.approx(30, abs=0.01)
    await ask(rate_limiter, Priority.RECONCILIATION, log, "a")
    assert log == [("a", pytest.approx(30.08, abs=0.1))]


@on_virtual_time
async def test_the_pace_is_lowered_to_what_is_allowed_and_never_raised_above_the_limit():
    rate_limiter = PriorityRateLimiter(5.0, LoopClock())
    rate_limiter.take()
    rate_limiter.answered(headers(180, 1, 60))
    assert rate_limiter.rate_per_s == pytest.approx(179 / 60)
    rate_limiter.take()
    rate_limiter.answered(headers(6000, 1, 60))
    assert rate_limiter.rate_per_s == 5.0


@on_virtual_time
async def test_when_nothing_is_left_nobody_goes_before_the_reset():
    rate_limiter = PriorityRateLimiter(5.0, LoopClock())
    rate_limiter.take()
    rate_limiter.answered(headers(300, 300, 17))
    assert rate_limiter.due_in(0) == pytest.approx(17)


@on_virtual_time
async def test_a_request_without_an_answer_is_no_longer_under_way():
    rate_limiter = PriorityRateLimiter(5.0, LoopClock())
    for _ in range(10):
        rate_limiter.take()
        rate_limiter.answered(None)
    rate_limiter.take()
    rate_limiter.answered(headers(300, 240, 30))
    assert rate_limiter.rate_per_s == pytest.approx(2.0)


@on_virtual_time
async def test_a_minute_at_the_limit_is_used_to_the_full_by_commands_and_questions_alike():
    rate_limiter, commands = PriorityRateLimiter(100.0, LoopClock()), 0
    ready: asyncio.Queue[None] = asyncio.Queue()
    sent: list[float] = []

    async def looked_up() -> None:
        while now() < 60:
            await rate_limiter.acquire(nothing)
            sent.append(now())
            await asyncio.sleep(0.08)
            rate_limiter.answered(None)
            ready.put_nowait(None)

    async def moved() -> None:
        nonlocal commands
        while now() < 60:
            await ready.get()
            await command(rate_limiter, [], "")
            sent.append(now())
            commands += 1
            rate_limiter.answered(None)

    mover = asyncio.create_task(moved())
    await asyncio.gather(*(looked_up() for _ in range(10)))
    mover.cancel()
    assert len(sent) > 0.99 * 6000
    assert commands > 0.49 * 6000
    assert max(sum(at <= t < at + 60 for t in sent) for at in sent[:100]) <= 6001


@on_virtual_time
async def test_a_command_that_has_others_before_it_keeps_no_question_waiting():
    """The one before it may need that very question: at a low pace both waited for ever."""
    rate_limiter = PriorityRateLimiter(0.5, LoopClock())
    log: Log = []

    async def wait_behind_another() -> None:
        while not log:
            rate_limiter.due_in(1)
            await asyncio.sleep(0.1)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(wait_behind_another())
        group.create_task(ask(rate_limiter, Priority.PREFLIGHT, log, "question"))
    assert [name for name, _ in log] == ["question"]
