"""Many look-ups at once before a slow, strict or refusing REST side, on virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import httpx
import pytest

from runner.core.errors import GatewayError, LookUpFailed, LookUpUnanswered
from runner.core.manifest.model import Limits
from runner.core.transfer.lookup_verdict import Interaction
from runner.gateways.http.rate_limiter import Priority
from runner.gateways.http.retrying_client import IdempotentRequest
from runner.gateways.interaction_transfer.driver import InteractionWebSocket
from runner.testing.loop_clock import LoopClock
from tests.fakes.virtual import VirtualLoop
from tests.fakes.wire_server import WireServer
from tests.gateways.harness import gateway_to

Respond = Callable[[int], Awaitable[httpx.Response | None]]
"""Returns the answer to the n-th look-up, counted from 1; None: the interaction is active."""


class Rest:
    """A token server and a REST side; a token is good for `life_s` after it was granted."""

    def __init__(self, respond: Respond, *, life_s: float = 3600.0) -> None:
        self.asked_at: list[float] = []
        self.granted: dict[str, float] = {}
        self.token_answers: list[httpx.Response] = []
        self.tokens_asked_at: list[float] = []
        self._respond = respond
        self._life_s = life_s

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        now = asyncio.get_running_loop().time()
        if request.method == "POST":
            self.tokens_asked_at.append(now)
            if self.token_answers:
                return self.token_answers.pop(0)
            token = f"token-{len(self.granted)}"
            self.granted[token] = now
            return httpx.Response(200, json={"access_token": token, "expires_in": self._life_s})
        self.asked_at.append(now)
        token = request.headers["Authorization"].removeprefix("Bearer ")
        if now >= self.granted[token] + self._life_s:
            return httpx.Response(401)
        answer = await self._respond(len(self.asked_at))
        interaction_id = request.url.path.rsplit("/", 1)[1]
        return answer or httpx.Response(200, json={"id": interaction_id, "state": "active"})

    def fullest_second(self) -> int:
        """Return the most look-ups that came within one second."""
        return max(sum(at <= later < at + 1 for later in self.asked_at) for at in self.asked_at)


def asking(
    rest: Rest,
    work: Callable[[InteractionWebSocket], Coroutine[Any, Any, Any]],
    rate_per_s: float = 1000.0,
) -> Any:
    """Return what `work` makes of a gateway before this REST side."""

    async def run() -> Any:
        limits, transport = Limits(http_rate_per_s=rate_per_s), httpx.MockTransport(rest)
        gateway = gateway_to(WireServer(port=1), LoopClock(), transport=transport, limits=limits)
        try:
            return await work(gateway)
        finally:
            await gateway.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(run())


async def look_all_up(gateway: InteractionWebSocket, number: int) -> list[Interaction]:
    return await asyncio.gather(*(gateway.look_up(f"i-{n}") for n in range(number)))


async def at_once(_: int) -> None:
    return None


def test_after_a_stall_the_rate_is_kept():
    """Those that wait for a slot have not had their turn yet."""

    async def stalled(_: int) -> None:
        await asyncio.sleep(max(0.0, 8.5 - asyncio.get_running_loop().time()))

    rest = Rest(stalled)
    seen = asking(rest, lambda gateway: look_all_up(gateway, 250), rate_per_s=20)
    assert len(seen) == len(rest.asked_at) == 250
    assert rest.fullest_second() <= 20 + 1


def test_a_limit_that_is_hit_holds_for_what_waits_for_a_slot():
    async def limited(nth: int) -> httpx.Response | None:
        await asyncio.sleep(1)
        return httpx.Response(429, headers={"Retry-After": "30"}) if nth == 1 else None

    rest = Rest(limited)
    asking(rest, lambda gateway: look_all_up(gateway, 200))
    assert len(rest.asked_at) == 201
    assert [at for at in rest.asked_at if 1.01 < at < 31] == []


def test_a_token_is_chosen_when_its_turn_has_come():
    """The queue is longer than a token lives."""
    rest = Rest(at_once, life_s=30)
    seen = asking(rest, lambda gateway: look_all_up(gateway, 100), rate_per_s=1)
    assert {each.found for each in seen} == {True}
    assert len(rest.asked_at) == 100  # none was refused
    assert len(rest.granted) <= 6


def test_a_token_that_lives_shorter_than_the_wait_for_a_turn_does():
    rest = Rest(at_once, life_s=30)
    seen = asking(rest, lambda gateway: look_all_up(gateway, 4), rate_per_s=1 / 60)
    assert {each.found for each in seen} == {True}


def test_while_a_token_is_renewed_no_turns_are_saved_up():
    async def renewed_slowly(request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and rest.granted:
            await asyncio.sleep(8)
        return await rest(request)

    rest = Rest(at_once, life_s=30)

    async def run() -> None:
        limits, transport = Limits(http_rate_per_s=20), httpx.MockTransport(renewed_slowly)
        gateway = gateway_to(WireServer(port=1), LoopClock(), transport=transport, limits=limits)
        await look_all_up(gateway, 800)
        await gateway.close()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())
    assert len(rest.granted) > 1
    assert rest.fullest_second() <= 20 + 1


def refusing(*answers: httpx.Response) -> Respond:
    """Return what gives these answers, then good ones."""

    async def respond(nth: int) -> httpx.Response | None:
        return answers[nth - 1] if nth <= len(answers) else None

    return respond


def asks_to_wait(seconds: int, status: int = 503) -> httpx.Response:
    return httpx.Response(status, headers={"Retry-After": str(seconds)})


def test_a_wait_that_the_last_attempt_is_asked_for_holds_for_the_others():
    async def work(gateway: InteractionWebSocket) -> float:
        with pytest.raises(LookUpUnanswered):
            await gateway.look_up("i-1")
        ended_at = asyncio.get_running_loop().time()
        await gateway.look_up("i-2")
        return ended_at

    rest = Rest(refusing(*[asks_to_wait(20, 429)] * 4))
    ended_at = asking(rest, work)
    assert rest.asked_at[3] == pytest.approx(60, abs=0.1)
    assert ended_at == pytest.approx(60, abs=0.1)  # it does not wait itself
    assert rest.asked_at[4] == pytest.approx(80, abs=0.1)


def test_a_wait_beyond_180_s_ends_the_run_on_the_last_attempt_too():
    async def work(gateway: InteractionWebSocket) -> None:
        with pytest.raises(GatewayError, match="asks to wait 600 s") as caught:
            await gateway.look_up("i-1")
        assert not isinstance(caught.value, LookUpFailed)

    asking(Rest(refusing(*[httpx.Response(503)] * 3, asks_to_wait(600))), work)


async def renewed_in_time(gateway: InteractionWebSocket, until_s: float) -> None:
    """Look up every second, whatever comes of it."""
    while asyncio.get_running_loop().time() < until_s:
        with contextlib.suppress(LookUpUnanswered):
            await gateway.look_up("i-1")
        await asyncio.sleep(1)


@pytest.mark.parametrize("life_s", [1000.0, 30.0])
def test_a_token_server_is_left_alone_for_as_long_as_it_asked(life_s: float):
    """Also on the last attempt, and whether the old token still serves or not."""

    async def work(gateway: InteractionWebSocket) -> None:
        await gateway.look_up("i-1")
        rest.token_answers += [*[httpx.Response(503)] * 3, asks_to_wait(120)]
        await renewed_in_time(gateway, 1300)

    rest = Rest(at_once, life_s=life_s)
    asking(rest, work)
    assert rest.token_answers == []
    last, next_at = rest.tokens_asked_at[4:6]
    assert next_at - last >= 120


def test_a_token_servers_wait_beyond_180_s_ends_the_run_on_the_last_attempt_too():
    async def work(gateway: InteractionWebSocket) -> None:
        rest.token_answers += [*[httpx.Response(503)] * 3, asks_to_wait(600)]
        with pytest.raises(GatewayError, match="the token server asks to wait 600 s") as caught:
            await gateway.look_up("i-1")
        assert not isinstance(caught.value, LookUpFailed)

    rest = Rest(at_once)
    asking(rest, work)


def test_what_is_urgent_waits_for_no_slot_behind_what_is_not():
    """A subscription that is late misses who arrives; ten seconds of look-ups must not delay it."""

    async def slow(_: int) -> None:
        await asyncio.sleep(2)

    async def work(gateway: InteractionWebSocket) -> float:
        client = gateway._look_ups._retrying_client
        others = asyncio.ensure_future(look_all_up(gateway, 300))
        await asyncio.sleep(1)
        before = asyncio.get_running_loop().time()
        urgent = IdempotentRequest("/api/v2/interactions/urgent", priority=Priority.UPKEEP)
        await client.ask(urgent, lambda answer, _: answer)
        took = asyncio.get_running_loop().time() - before
        await others
        return took

    assert asking(Rest(slow), work, rate_per_s=40) < 5
