"""What the port `Gateway` promises, shown of every driver alike."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from runner.core.errors import GatewayError, LookUpFailed, LookUpUnanswered
from runner.core.manifest.model import RetryPolicy
from runner.core.transfer.states import Event
from runner.gateways.genesys_cloud.driver import GenesysCloud
from runner.gateways.interaction_transfer.driver import InteractionWebSocket
from runner.ports import Gateway
from runner.testing.stepped_clock import SteppedClock
from tests.fakes.vendor_server import VendorServer, event
from tests.fakes.wire_server import Peer, WireServer, answer
from tests.gateways import genesys_harness
from tests.gateways.genesys_harness import MOVED, TARGET, TO_QUEUE, WAITING
from tests.gateways.harness import SECRET, Listener, environment_of, request

SESSION_SECRET = "canary-query"


@dataclass
class Harness(ABC):
    """One driver before a server of literal bytes, not yet open."""

    server: WireServer
    gateway: Gateway
    clock: SteppedClock
    listener: Listener

    async def opened(self) -> Harness:
        await self.clock.through(self.gateway.open(self.listener))
        return self

    async def look(self) -> Any:
        return await self.clock.through(self.gateway.look_up("c-1"))

    @abstractmethod
    async def submit(self, message_id: str = "m-1") -> None:
        """Hand a delivery over, as the engine does after its look-up."""

    @abstractmethod
    async def carry_out(self) -> None:
        """Let the server show that it was carried out."""

    @abstractmethod
    def lose_answer(self) -> None:
        """Let the next delivery arrive and its answer be lost."""

    @abstractmethod
    def limit(self, retry_after_s: float) -> None:
        """Let the next delivery be answered "too fast"."""

    @abstractmethod
    def answer_look_up(self, reaction: Any) -> None:
        """Answer the next look-up in this way."""


class Interaction(Harness):
    def _frame(self, message_id: str) -> str:
        return json.dumps({"id": message_id, "interaction_id": "c-1"})

    async def submit(self, message_id: str = "m-1") -> None:
        await self.gateway.submit(request(self._frame(message_id)))

    async def carry_out(self) -> None:
        pass  # the polite server answers by itself

    def lose_answer(self) -> None:
        async def cut(peer: Peer) -> None:
            await peer.next_text()
            peer.cut()

        self.server.sessions.append(cut)

    def limit(self, retry_after_s: float) -> None:
        async def limited(peer: Peer) -> None:
            told = {"status": "rate_limited", "code": 429, "retry_after": retry_after_s}
            while (text := await peer.next_text()) is not None:
                await peer.send_text({"id": json.loads(text)["id"], **told})

        self.server.sessions.append(limited)

    def answer_look_up(self, reaction: Any) -> None:
        self.server.look_up_answers.append(reaction)


class Vendor(Harness):
    server: VendorServer

    async def submit(self, message_id: str = "m-1") -> None:
        seen = await self.look()
        await self.gateway.submit(genesys_harness.command(seen, message_id=message_id))

    async def carry_out(self) -> None:
        await self.server.until(lambda: bool(self.server.of("POST", "/api/v2/conversations/")))
        await self.server.peers[-1].send_text(event(TARGET, MOVED))

    def lose_answer(self) -> None:
        self.server.script("POST /api/v2/conversations/", b"")

    def limit(self, retry_after_s: float) -> None:
        limited = answer(429, {"code": "rate.limited"}, Retry_After=str(retry_after_s))
        self.server.script("POST /api/v2/conversations/", limited)

    def answer_look_up(self, reaction: Any) -> None:
        self.server.script("GET /api/v2/conversations/", reaction)


@asynccontextmanager
async def interaction() -> AsyncIterator[Harness]:
    async with WireServer() as server:
        clock, policy = SteppedClock(), RetryPolicy(attempts=4, base_s=1.0, cap_s=30.0)
        gateway = InteractionWebSocket(environment_of(server), policy, clock, lambda: 0.5)
        yield Interaction(server, gateway, clock, Listener())
        await clock.through(gateway.close())


@asynccontextmanager
async def vendor() -> AsyncIterator[Harness]:
    async with VendorServer() as server:
        server.conversations["c-1"] = WAITING
        clock = SteppedClock()
        gateway: GenesysCloud = genesys_harness.gateway_to(server, clock, [TO_QUEUE])
        yield Vendor(server, gateway, clock, Listener())
        await clock.through(gateway.close())


DRIVERS = pytest.mark.parametrize("driver", [interaction, vendor])
Driver = Callable[[], Any]


@DRIVERS
async def test_open_gives_a_session_that_is_told_and_writable(driver: Driver):
    async with driver() as harness:
        assert harness.gateway.generation is None
        assert not harness.gateway.writable()
        await harness.opened()
        assert harness.gateway.generation == 1
        assert harness.gateway.writable()
        assert [opened.generation for opened in harness.listener.all("opened")] == [1]
        assert harness.gateway.token_renewals == 0


@DRIVERS
async def test_a_look_up_tells_what_is_there(driver: Driver):
    async with driver() as harness:
        seen = await harness.look()
        assert (seen.interaction_id, seen.found) == ("c-1", True)
        assert seen.state in {"queued", "active"}


@DRIVERS
async def test_what_is_not_there_is_an_answer_and_not_a_failure(driver: Driver):
    async with driver() as harness:
        harness.answer_look_up(answer(404))
        assert not (await harness.look()).found


@DRIVERS
async def test_look_ups_are_put_again_and_in_the_end_fail_for_one_interaction(driver: Driver):
    async with driver() as harness:
        for reaction in (answer(503), b"", answer(429, Retry_After="3")):
            harness.answer_look_up(reaction)
        before = harness.clock.now()
        assert (await harness.look()).found
        assert harness.clock.now() - before >= 3
        for _ in range(4):
            harness.answer_look_up(answer(500))
        with pytest.raises(LookUpUnanswered, match="no look-up in 4 attempts"):
            await harness.look()


@DRIVERS
async def test_a_delivery_that_is_carried_out_is_told_once_under_its_id(driver: Driver):
    async with driver() as harness:
        await harness.opened()
        await harness.submit()
        await harness.carry_out()
        reply = await harness.clock.through(harness.listener.until("replied"), step_s=0.1)
        assert reply.message_id == "m-1"
        assert reply.event is Event.ACCEPTED
        await harness.clock.advance(20)
        assert len(harness.listener.all("replied")) == 1


@DRIVERS
async def test_a_lost_answer_is_never_told_as_an_outcome(driver: Driver):
    async with driver() as harness:
        harness.lose_answer()
        await harness.opened()
        await harness.submit()
        told = [asyncio.ensure_future(harness.listener.until(what)) for what in ("replied", "lost")]
        await asyncio.wait(told, return_when=asyncio.FIRST_COMPLETED)
        for each in told:
            each.cancel()
        replies = harness.listener.all("replied")
        assert all(reply.event is Event.LOST for reply in replies)
        assert replies or harness.listener.all("lost")[0].generation == 1


@DRIVERS
async def test_too_fast_is_told_with_its_wait(driver: Driver):
    async with driver() as harness:
        harness.limit(3)
        await harness.opened()
        await harness.submit()
        reply = await harness.listener.until("replied")
        assert reply.event is Event.LIMITED
        assert reply.retry_after_s == 3


@DRIVERS
async def test_the_end_of_a_session_is_told_and_another_follows(driver: Driver):
    async with driver() as harness:
        await harness.opened()
        harness.server.peers[0].cut()
        lost = await harness.listener.until("lost")
        assert (lost.generation, lost.ours) == (1, False)
        assert harness.gateway.generation is None
        opened = await harness.clock.through(harness.listener.until("opened", 2))
        assert opened.generation == harness.gateway.generation == 2


@DRIVERS
async def test_close_ends_everything_once_and_is_ours(driver: Driver):
    async with driver() as harness:
        await harness.opened()
        await harness.clock.through(harness.gateway.close())
        await harness.clock.through(harness.gateway.close())
        (lost,) = harness.listener.all("lost")
        assert (lost.code, lost.reason, lost.ours) == (1000, "session terminated", True)
        assert harness.gateway.generation is None
        assert not harness.gateway.writable()


@DRIVERS
async def test_without_a_session_nothing_is_written(driver: Driver):
    async with driver() as harness:
        with pytest.raises(GatewayError, match="no session is open"):
            await harness.submit()


@DRIVERS
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(driver: Driver, status: int):
    async with driver() as harness:
        for _ in range(4):
            harness.answer_look_up(answer(status, Location="/elsewhere?secret=1"))
        with pytest.raises(GatewayError, match="redirects to /elsewhere, which is not followed"):
            await harness.look()
        assert harness.server.asked("/elsewhere") == []


@DRIVERS
@pytest.mark.parametrize("status", [400, 401, 403, 500])
async def test_no_secret_is_in_an_error(driver: Driver, status: int):
    async with driver() as harness:
        await harness.opened()
        quoted = {"code": f"x {SECRET}", "message": f"Bearer token-number-1 {SECRET}"}
        for _ in range(4):
            harness.answer_look_up(answer(status, quoted))
        try:
            told = str((await harness.look()).refusal)  # of this one interaction alone
        except GatewayError as error:
            told = str(error) + repr(error)
        assert SECRET not in told
        assert "token-number" not in told
        assert SESSION_SECRET not in told


@DRIVERS
async def test_a_refused_token_is_renewed_once(driver: Driver):
    async with driver() as harness:
        harness.answer_look_up(answer(401))
        assert (await harness.look()).found
        assert harness.gateway.token_renewals == 1


@DRIVERS
async def test_a_new_token_that_is_refused_too_is_an_error_that_ends_the_run(driver: Driver):
    async with driver() as harness:
        for _ in range(2):
            harness.answer_look_up(answer(401))
        with pytest.raises(GatewayError, match="refuses a new token") as caught:
            await harness.look()
        assert not isinstance(caught.value, LookUpFailed)
