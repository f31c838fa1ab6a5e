"""The seams for simulations: a dial and a transport of one's own, no socket anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
import pytest

from runner.core.errors import GatewayError
from runner.core.manifest.model import Endpoints, RetryPolicy
from runner.gateways.interaction_transfer.driver import InteractionWebSocket
from runner.gateways.websocket.transport import Transport, TransportClosed
from tests.fakes.wire_server import WireServer
from tests.gateways.harness import Listener, QuickClock, environment_of, request


class FakeWire:
    """A socket in memory: frames put in `inbox` are read, a close ends it."""

    is_open = True

    def __init__(self, tls: str | None) -> None:
        self.tls = tls
        self.inbox: asyncio.Queue[str | TransportClosed] = asyncio.Queue()
        self.sent: list[str] = []

    def writable(self) -> bool:
        """Tell whether it is open."""
        return self.is_open

    async def send(self, text: str) -> None:
        """Keep the text."""
        self.sent.append(text)

    async def receive(self) -> str | bytes:
        """Return what lies in the inbox."""
        frame = await self.inbox.get()
        if isinstance(frame, TransportClosed):
            self.is_open = False
            raise frame
        return frame

    async def ping(self) -> None:
        """Answer at once."""

    async def close(self, code: int, reason: str) -> None:
        """End it."""
        self.inbox.put_nowait(TransportClosed(code, reason))


def simulated(wires: list[FakeWire], clock: QuickClock) -> InteractionWebSocket:
    """Return a gateway whose dials yield the wires in turn."""

    async def dial(url: str, headers: Mapping[str, str]) -> Transport:
        assert url.startswith("wss://")
        assert headers["Authorization"] == "Bearer abc"
        return wires.pop(0)

    def serve(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return next(tokens, httpx.Response(503))
        return httpx.Response(200, json={"id": "i-1", "state": "active"})

    token = {"access_token": "abc", "expires_in": 3600}
    tokens = iter([httpx.Response(200, json=token)])
    endpoints = Endpoints(
        token_url="https://gateway.example/token",
        api_url="https://gateway.example",
        websocket_url="wss://gateway.example/ws",
    )
    return InteractionWebSocket(
        environment_of(WireServer(port=8443), endpoints=endpoints),
        RetryPolicy(attempts=2),
        clock,
        lambda: 0.0,
        give_up_s=20.0,
        dial=dial,
        transport=httpx.MockTransport(serve),
    )


async def test_frames_and_look_ups_pass_through_the_seams():
    wire, listener = FakeWire("TLSv1.3"), Listener()
    gateway = simulated([wire], QuickClock())
    await gateway.open(listener)
    await gateway.submit(request("a"))
    wire.inbox.put_nowait('{"id": "a", "status": "s"}')
    assert (await listener.until("replied")).message_id == "a"
    assert wire.sent == ["a"]
    assert (await gateway.look_up("i-1")).found
    await gateway.close()


@pytest.mark.parametrize("tls", ["TLSv1.1", None])
async def test_a_secure_address_without_safe_tls_is_refused(tls: str | None):
    wire = FakeWire(tls)
    gateway = simulated([wire], QuickClock())
    with pytest.raises(GatewayError, match=f"runs over {tls or 'no TLS'}"):
        await gateway.open(Listener())
    assert not wire.is_open
    await gateway.close()


async def test_a_token_that_cannot_be_renewed_keeps_the_dials_going_until_give_up():
    wire, clock, listener = FakeWire("TLSv1.3"), QuickClock(), Listener()
    gateway = simulated([wire], clock)
    await gateway.open(listener)
    clock.time_s += 3600
    wire.inbox.put_nowait(TransportClosed(4401, "token expired"))
    error = await listener.until("gave_up")
    assert "no session for 20 s, given up: no token after 2 attempts" in str(error)
    assert "/token" in error.url
    await gateway.close()


async def test_the_reconnection_is_a_new_generation():
    first, second, listener = FakeWire("TLSv1.3"), FakeWire("TLSv1.2"), Listener()
    gateway = simulated([first, second], QuickClock())
    await gateway.open(listener)
    first.inbox.put_nowait(TransportClosed(1012, "restart"))
    assert await listener.until("opened", 2)
    assert [(o.generation, o.tls) for o in listener.all("opened")] == [
        (1, "TLSv1.3"),
        (2, "TLSv1.2"),
    ]
    await gateway.close()
