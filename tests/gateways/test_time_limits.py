"""What takes too long, in virtual time: sockets and clock of one simulated loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import async_solipsism
import httpx
import pytest

from runner.core.errors import GatewayError
from tests.fakes.wire_server import Peer, WireServer
from tests.gateways.harness import Listener, gateway_to, request

PORT = 8443  # simulated: nothing is bound on this machine


def in_virtual_time(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run the scenario on a loop whose clock jumps from event to event."""
    with asyncio.Runner(loop_factory=async_solipsism.EventLoop) as runner:
        runner.run(scenario())


async def deaf(peer: Peer) -> None:
    """Read everything and never answer a ping."""
    peer.pongs = False
    while await peer.next_text() is not None:
        pass


async def half_open(peer: Peer) -> None:
    """Answer the check's ping, then never again."""
    await peer.next_text()
    await deaf(peer)


class Dripping(httpx.AsyncBaseTransport):
    """A server whose every byte comes in time, and whose answer as a whole never does."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer slowly."""
        return httpx.Response(200, stream=DripStream(), request=request)


class DripStream(httpx.AsyncByteStream):
    """A byte every half second, for ever."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.5)
            yield b" "


def test_a_body_that_drips_is_given_up_after_ten_seconds():
    async def scenario() -> None:
        gateway = gateway_to(WireServer(port=PORT), attempts=1, transport=Dripping())
        began = asyncio.get_running_loop().time()
        with pytest.raises(GatewayError, match="no answer in time"):
            await gateway.look_up("i-1")
        assert asyncio.get_running_loop().time() - began == pytest.approx(10)
        await gateway.close()

    in_virtual_time(scenario)


def test_a_session_whose_ping_is_not_answered_within_3_s_is_not_used():
    async def scenario() -> None:
        async with WireServer(port=PORT, sessions=deque([deaf])) as server:
            gateway, began = gateway_to(server, attempts=1), asyncio.get_running_loop().time()
            with pytest.raises(GatewayError, match="a ping was not answered within 3 s"):
                await gateway.open(Listener())
            assert asyncio.get_running_loop().time() - began == pytest.approx(3)
            assert server.peers[0].close_frame == (1000, "session terminated")
            await gateway.close()

    in_virtual_time(scenario)


def test_a_half_open_session_is_noticed_within_15_s():
    async def scenario() -> None:
        async with WireServer(port=PORT, sessions=deque([half_open])) as server:
            gateway, listener = gateway_to(server), Listener()
            await gateway.open(listener)
            began = asyncio.get_running_loop().time()
            await gateway.submit(request("go silent"))
            lost = await listener.until("lost", within_s=15)
            assert lost.code == 1006
            assert lost.reason == "no answer to a keep-alive ping within 5 s"
            assert asyncio.get_running_loop().time() - began < 15
            await gateway.close()

    in_virtual_time(scenario)


async def mute(peer: Peer) -> None:
    """Read one request and then nothing, not even the farewell."""
    await peer.next_text()
    transport = peer.writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    await asyncio.Event().wait()


def test_close_is_bounded_when_the_server_does_not_answer():
    async def scenario() -> None:
        async with WireServer(port=PORT, sessions=deque([mute])) as server:
            gateway, listener = gateway_to(server), Listener()
            await gateway.open(listener)
            await gateway.submit(request("go mute"))
            began = asyncio.get_running_loop().time()
            await gateway.close()
            assert asyncio.get_running_loop().time() - began <= 3
            assert listener.all("lost")[-1].ours

    in_virtual_time(scenario)


def test_a_full_buffer_is_not_writable_and_close_is_bounded_all_the_same():
    async def scenario() -> None:
        async with WireServer(port=PORT, sessions=deque([mute])) as server:
            gateway, listener, sends = gateway_to(server), Listener(), []
            await gateway.open(listener)
            await gateway.submit(request("go mute"))
            while gateway.writable():
                sends.append(asyncio.create_task(gateway.submit(request("x" * 500_000))))
                await asyncio.sleep(0)
            assert gateway.generation == 1
            began = asyncio.get_running_loop().time()
            await gateway.close()
            assert asyncio.get_running_loop().time() - began <= 4
            assert listener.all("lost")[-1].ours
            await asyncio.gather(*sends)

    in_virtual_time(scenario)
