"""The session from both ends of a loopback socket, with literal frames."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import pytest

from runner.core.errors import GatewayError
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.message import Reply
from runner.gateways.interaction_transfer.driver import InteractionWebSocket
from runner.gateways.websocket.transport import TransportClosed, dialler
from runner.ports import SessionLost, SessionOpened
from tests.fakes.wire_server import (
    BINARY,
    CLOSE,
    TEXT,
    Peer,
    Script,
    WireServer,
    frame,
    obliging,
)
from tests.gateways.harness import SECRET, Listener, QuickClock, gateway_to, request


async def test_happy_path_from_token_to_farewell():
    """Token, session, look-up, a transfer and its reply, and a clean close."""
    listener = Listener()
    async with WireServer() as server:
        gateway = gateway_to(server)
        await gateway.open(listener)
        assert listener.all("opened") == [SessionOpened(1, None)]
        assert gateway.generation == 1
        assert gateway.writable()

        bare = Interaction("i 1/2", found=True, state="active", shows_effects=False)
        assert await gateway.look_up("i 1/2") == bare
        await gateway.submit(request(json.dumps({"id": "m-1"})))
        reply = await listener.until("replied")
        assert (reply.message_id, reply.status) == ("m-1", "transfer_initiated")

        await gateway.close()
        await gateway.close()
        assert server.peers[0].close_frame == (1000, "session terminated")
        assert listener.all("lost") == [SessionLost(1, 1000, "session terminated", ours=True)]
        assert gateway.generation is None
        assert not gateway.writable()
        assert gateway.token_renewals == 0

    token, session, look_up = server.requests
    pair = base64.b64encode(f"client-17:{SECRET}".encode()).decode()
    assert (token.method, token.headers["authorization"]) == ("POST", f"Basic {pair}")
    assert parse_qs(token.body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["interaction:transfer websocket:use interaction:view"],
    }
    assert token.headers["content-type"] == "application/x-www-form-urlencoded"
    assert session.path == "/api/v2/websocket"
    assert session.headers["authorization"] == "Bearer token-number-1"
    assert session.headers["accept"] == "application/json"
    assert "sec-websocket-extensions" not in session.headers
    assert look_up.path == "/api/v2/interactions/i%201%2F2"
    assert look_up.headers["authorization"] == "Bearer token-number-1"
    assert look_up.headers["cache-control"] == "no-cache"
    assert look_up.headers["accept-encoding"] == "identity"


@contextlib.asynccontextmanager
async def opened(*scripts: Script, **options: Any) -> AsyncIterator[Opened]:
    """Open a gateway whose sessions follow the scripts, and close it again."""
    async with WireServer(sessions=deque(scripts)) as server:
        listener, clock = Listener(), QuickClock()
        gateway = gateway_to(server, clock, **options)
        try:
            await gateway.open(listener)
            yield Opened(server, listener, clock, gateway)
        finally:
            await gateway.close()


@dataclass
class Opened:
    server: WireServer
    listener: Listener
    clock: QuickClock
    gateway: InteractionWebSocket


def saying(*frames: bytes) -> Script:
    """Return a script that sends frames to the first request, then obliges."""

    async def script(peer: Peer) -> None:
        await peer.next_text()
        for raw in frames:
            await peer.send(raw)
        await obliging(peer)

    return script


def closing(code: int, reason: str = "") -> Script:
    """Return a script that closes upon the first request."""

    async def script(peer: Peer) -> None:
        await peer.next_text()
        await peer.close(code, reason)

    return script


async def cutting(peer: Peer) -> None:
    """Answer the first request with half a frame and cut the connection."""
    await peer.next_text()
    await peer.send(frame(TEXT, b'{"id": "m-1", "status": "transfer_initiated"}')[:20])
    peer.cut()


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (frame(TEXT, b"<html>"), "not JSON"),
        (frame(TEXT, b"[1]"), "not a JSON object"),
        (frame(TEXT, b'{"status": "pending"}'), "no id"),
        (frame(TEXT, b'{"id": "m-1"}'), "neither status nor code"),
        (frame(BINARY, b"\x00\x01"), "a binary frame"),
        (frame(TEXT, b"[" * 100_000), "not JSON"),
    ],
)
async def test_frames_that_answer_nothing_are_strays_and_the_session_lives_on(raw: bytes, why: str):
    async with opened(saying(raw)) as it:
        await it.gateway.submit(request("first"))
        assert (await it.listener.until("noted")).why == why
        await it.gateway.submit(request('{"id": "m-2"}'))
        assert (await it.listener.until("replied")).message_id == "m-2"
        assert it.listener.all("lost") == []


async def test_replies_pass_in_the_order_they_come_unknown_and_doubled_ones_too():
    spelled = [b'{"id": "b", "status": "s"}', b'{"id": "a", "code": 429, "retry_after": 2}']
    frames = [frame(TEXT, text) for text in (*spelled, spelled[0])]
    async with opened(saying(*frames)) as it:
        await it.gateway.submit(request("a"))
        await it.listener.until("replied", 3)
        assert [reply.message_id for reply in it.listener.all("replied")] == ["b", "a", "b"]
        assert it.listener.all("replied")[1].retry_after_s == 2.0


async def test_a_message_in_fragments_is_one_reply():
    parts = frame(TEXT, b'{"id": "m-1", ', fin=False) + frame(0, b'"status": "x"}')
    async with opened(saying(parts)) as it:
        await it.gateway.submit(request("a"))
        assert (await it.listener.until("replied")).message_id == "m-1"


async def test_a_frame_over_one_mebibyte_closes_the_session():
    async with opened(saying(frame(TEXT, b"x" * (2**20 + 1)))) as it:
        await it.gateway.submit(request("a"))
        lost = await it.listener.until("lost")
        assert (lost.generation, lost.code, lost.ours) == (1, 1009, False)
        assert (await it.listener.until("opened", 2)).generation == 2


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"\xc1\x00", 1002),  # a reserved bit
        (b"\x83\x00", 1002),  # an unknown opcode
        (frame(TEXT, b"\xff\xfe"), 1007),
        (b"\x81\x80\x00\x00\x00\x00", 1002),  # a masked frame
    ],
)
async def test_broken_frames_close_the_session(raw: bytes, code: int):
    async with opened(saying(raw)) as it:
        await it.gateway.submit(request("a"))
        assert (await it.listener.until("lost")).code == code
        await it.listener.until("opened", 2)


async def test_a_cut_in_the_middle_of_a_frame_loses_the_session():
    async with opened(cutting) as it:
        await it.gateway.submit(request("a"))
        lost = await it.listener.until("lost")
        assert (lost.code, lost.reason) == (1006, "the connection was lost without a close frame")
        assert it.gateway.generation is None
        assert it.listener.all("replied") == []
        await it.listener.until("opened", 2)
        assert it.gateway.generation == 2


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1011, 1012, 3999, 4999])
async def test_every_other_close_the_normal_one_too_is_told_and_dialled_with_backoff(code: int):
    script = closing(code, "bye") if code != 1005 else saying(frame(CLOSE, b""))
    async with opened(script) as it:
        await it.gateway.submit(request("a"))
        assert (await it.listener.until("lost")).code == code
        await it.listener.until("opened", 2)
        assert it.clock.slept == [1.5]  # base 1 s, full jitter to 2 s, at 0.5
        assert it.server.tokens_issued == 1
        assert it.listener.all("slowed") == []


@pytest.mark.parametrize(("code", "reason"), [(4401, ""), (1008, "Token expired")])
async def test_a_close_that_speaks_of_the_token_renews_it_and_dials_at_once(code: int, reason: str):
    async with opened(closing(code, reason)) as it:
        await it.gateway.submit(request("a"))
        await it.listener.until("opened", 2)
        handshakes = it.server.asked("/api/v2/websocket")
        assert handshakes[1].headers["authorization"] == "Bearer token-number-2"
        assert it.gateway.token_renewals == 1
        assert it.clock.slept == []


@pytest.mark.parametrize(
    ("code", "reason"), [(1008, "slow down"), (1013, ""), (1008, "token bucket empty")]
)
async def test_a_close_for_pace_slows_down_and_backs_off(code: int, reason: str):
    async with opened(closing(code, reason)) as it:
        await it.gateway.submit(request("a"))
        await it.listener.until("opened", 2)
        assert it.listener.all("slowed") == [f"session closed with {code} {reason}".strip()]
        assert it.clock.slept == [1.5]
        assert it.server.tokens_issued == 1


async def test_close_4403_is_an_error_for_good():
    async with opened(closing(4403, "no")) as it:
        await it.gateway.submit(request("a"))
        error = await it.listener.until("gave_up")
        assert isinstance(error, GatewayError)
        assert "4403 no" in str(error)
        assert "role" in error.check
        with pytest.raises(GatewayError, match="no session is open"):
            await it.gateway.submit(request("b"))


async def test_a_close_reason_is_made_harmless_and_never_quotes_our_secrets():
    reason = f"\x1b[31m{SECRET} token-number-1"
    async with opened(closing(1011, reason)) as it:
        await it.gateway.submit(request("a"))
        lost = await it.listener.until("lost")
        assert lost.reason == "\\x1b[31m[secret] [secret]"


async def test_submit_writes_before_its_first_suspension():
    """Driven one step by hand, with the loop standing still, the frame is in the kernel."""
    read = asyncio.get_running_loop().create_future()

    async def script(peer: Peer) -> None:
        read.set_result(await peer.next_text())
        await obliging(peer)

    async with opened(script) as it:
        assert it.gateway.writable()
        step = it.gateway.submit(request("exactly this"))
        with pytest.raises(StopIteration):  # it never suspended at all
            step.send(None)
        assert await asyncio.wait_for(read, 60) == "exactly this"


async def test_a_socket_that_is_being_closed_takes_no_frame():
    async with WireServer() as server:
        wire = await dialler(None, time.time)(server.url("ws"), {})
        await wire.close(1000, "enough")
        with pytest.raises(TransportClosed, match="1006 connection is closed"):
            await wire.send("late")


async def test_an_outage_of_sessions_that_die_at_once_is_no_hot_loop():
    """Backoff grows over sessions that open and die; one that carried a reply ends the outage."""

    async def dying(peer: Peer) -> None:
        await peer.next_text()
        peer.cut()

    async with opened(dying, dying, dying, saying(frame(TEXT, b'{"id":"m","code":1}'))) as it:
        for generation in (1, 2, 3):
            await it.listener.until("opened", generation)
            await it.gateway.submit(request("a"))
            await it.listener.until("lost", generation)
        await it.listener.until("opened", 4)
        assert it.clock.slept == [1.5, 2.5, 4.5]
        await it.gateway.submit(request("a", "m"))
        await it.listener.until("replied")
        it.server.peers[-1].cut()
        await it.listener.until("opened", 5)
        assert it.clock.slept == [1.5, 2.5, 4.5, 1.5]


async def test_a_fault_of_the_listener_ends_the_session_loudly():
    class Faulty(Listener):
        def replied(self, reply: Reply) -> None:
            """Fail as a bug would."""
            raise LookupError(reply.message_id)

    async with WireServer() as server:
        listener, gateway = Faulty(), gateway_to(server)
        await gateway.open(listener)
        await gateway.submit(request('{"id": "m-1"}'))
        assert isinstance(await listener.until("gave_up"), LookupError)
        assert listener.all("lost")[0].generation == 1
        assert not gateway.writable()
        await gateway.close()
