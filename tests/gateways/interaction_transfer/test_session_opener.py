"""Handshakes that go wrong, and outages that end or do not."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from runner.core.errors import GatewayError
from runner.core.manifest.model import Endpoints
from tests.fakes.wire_server import Peer, Reaction, WireServer, answer
from tests.gateways.harness import Listener, QuickClock, gateway_to, request


async def failing(server: WireServer, clock: QuickClock | None = None, **options: object) -> str:
    """Open a gateway that cannot be opened, and return what the operator reads."""
    gateway = gateway_to(server, clock, **options)  # type: ignore[arg-type] # test options
    try:
        with pytest.raises(GatewayError) as caught:
            await gateway.open(Listener())
    finally:
        await gateway.close()
    assert caught.value.environment == "production"
    return str(caught.value)


async def test_401_renews_the_token_once_and_dials_again():
    async with WireServer(handshake_answers=deque([answer(401)])) as server:
        gateway, listener = gateway_to(server), Listener()
        await gateway.open(listener)
        sent = [dial.headers["authorization"] for dial in server.asked("/api/v2/websocket")]
        assert sent == ["Bearer token-number-1", "Bearer token-number-2"]
        assert gateway.token_renewals == 1
        await gateway.close()


async def test_a_second_401_names_the_three_things_to_check():
    async with WireServer(handshake_answers=deque([answer(401), answer(401)])) as server:
        text = await failing(server)
        assert len(server.asked("/api/v2/websocket")) == 2
        for word in ("401", "token", "interaction:transfer websocket:use", "region"):
            assert word in text


async def test_403_names_the_missing_scope_and_is_final():
    challenge = 'Bearer error="insufficient_scope", scope="websocket:use"'
    refusal = answer(403, WWW_Authenticate=challenge)
    async with WireServer(handshake_answers=deque([refusal])) as server:
        assert "lacks the scope websocket:use" in await failing(server)
        assert len(server.asked("/api/v2/websocket")) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_refused_and_nothing_goes_to_their_target(status: int):
    async with WireServer() as other:
        target = other.url("ws", "/elsewhere?token=x")
        refusal = answer(status, Location=target)
        async with WireServer(handshake_answers=deque([refusal])) as server:
            text = await failing(server)
        assert "redirects to" in text
        assert "token=x" not in text
        assert other.requests == []


@pytest.mark.parametrize("status", [200, 404, 426])
async def test_what_speaks_no_websocket_is_said_to(status: int):
    refusals = deque[Reaction | None]([answer(status, b"<html>hello</html>", "text/html")] * 4)
    async with WireServer(handshake_answers=refusals) as server:
        text = await failing(server)
        assert f"no WebSocket endpoint: the handshake is answered with {status}" in text
        assert "no session after 4 dials" in text
        assert "websocket_url" in text


async def test_bytes_that_are_no_http_are_no_websocket_endpoint():
    refusals = deque[Reaction | None]([b"220 mail.example.net ESMTP\r\n\r\n"] * 4)
    async with WireServer(handshake_answers=refusals) as server:
        assert "no WebSocket endpoint" in await failing(server)


async def test_a_hang_up_in_the_handshake_is_told_apart():
    async with WireServer(handshake_answers=deque([b""] * 4)) as server:
        assert "hung up without an answer" in await failing(server)


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_obeyed_in_full_and_reported(status: int):
    refusal = answer(status, Retry_After="170")
    async with WireServer(handshake_answers=deque([refusal])) as server:
        clock, listener = QuickClock(), Listener()
        gateway = gateway_to(server, clock)
        await gateway.open(listener)
        assert clock.slept == [170.0]
        assert listener.all("paused") == [(170.0, "the gateway asked for it (Retry-After)")]
        await gateway.close()


async def test_a_longer_retry_after_is_an_error_that_names_the_time():
    async with WireServer(handshake_answers=deque([answer(503, Retry_After="181")])) as server:
        clock = QuickClock()
        assert "asks to wait 181 s" in await failing(server, clock)
        assert clock.slept == []


@pytest.mark.parametrize("malformed", ["-5", "soon", "nan", ""])
async def test_a_malformed_retry_after_counts_as_absent(malformed: str):
    refusal = answer(503, Retry_After=malformed)
    async with WireServer(handshake_answers=deque([refusal])) as server:
        clock, listener = QuickClock(), Listener()
        gateway = gateway_to(server, clock)
        await gateway.open(listener)
        assert clock.slept == [1.5]
        assert listener.all("paused") == []
        await gateway.close()


async def test_at_the_start_attempts_dials_with_growing_backoff_then_an_error():
    async with WireServer(handshake_answers=deque([answer(500)] * 9)) as server:
        clock = QuickClock()
        text = await failing(server, clock, attempts=3)
        assert "no session after 3 dials: the gateway answers the handshake with 500" in text
        assert clock.slept == [1.5, 2.5]
        assert len(server.asked("/api/v2/websocket")) == 3


async def test_a_session_closed_during_its_check_counts_as_a_failed_dial():
    async def full(peer: Peer) -> None:
        await peer.close(1013, "too many sessions")

    async with WireServer(sessions=deque([full])) as server:
        clock, listener = QuickClock(), Listener()
        gateway = gateway_to(server, clock)
        await gateway.open(listener)
        assert [kind for kind, _ in listener.calls] == ["slowed", "opened"]
        assert clock.slept == [1.5]
        await gateway.close()


async def cutting(peer: Peer) -> None:
    """Cut at the first request."""
    await peer.next_text()
    peer.cut()


async def test_mid_run_dials_go_on_until_give_up():
    async with WireServer(sessions=deque([cutting])) as server:
        clock, listener = QuickClock(), Listener()
        gateway = gateway_to(server, clock, give_up_s=100.0)
        await gateway.open(listener)
        server.handshake_answers.extend([answer(502)] * 50)
        await gateway.submit(request("a"))
        error = await listener.until("gave_up")
        assert "no session for 100 s, given up: the gateway answers" in str(error)
        assert sum(clock.slept) == pytest.approx(100.0)
        assert len(clock.slept) > 4  # more than `attempts`
        assert gateway.generation is None
        await gateway.close()


async def test_a_redirect_mid_run_is_an_outage_and_is_never_followed():
    """What stands before the gateway answers, a page for maintenance for instance."""
    async with WireServer() as other, WireServer(sessions=deque([cutting])) as server:
        clock, listener = QuickClock(), Listener()
        gateway = gateway_to(server, clock)
        await gateway.open(listener)
        refusal = answer(302, Location=other.url("ws", "/maintenance"))
        server.handshake_answers.extend([refusal] * 3)
        await gateway.submit(request("a"))
        assert (await listener.until("opened", 2)).generation == 2
        assert clock.slept == [1.5, 2.5, 4.5, 8.5]
        assert other.requests == []
        await gateway.close()


async def test_a_redirect_that_lasts_ends_the_run_in_time():
    async with WireServer(sessions=deque([cutting])) as server:
        listener = Listener()
        gateway = gateway_to(server, give_up_s=100.0)
        await gateway.open(listener)
        server.handshake_answers.extend([answer(302, Location="/maintenance")] * 50)
        await gateway.submit(request("a"))
        error = await listener.until("gave_up")
        assert "no session for 100 s, given up: the WebSocket address redirects" in str(error)
        await gateway.close()


@pytest.mark.parametrize(("code", "tokens"), [(4401, 20), (1011, 1)])
async def test_sessions_that_only_greet_are_an_outage_that_ends(code: int, tokens: int):
    """What a gateway says of its own accord, under an id of its own, answers none of ours."""

    async def greeting(peer: Peer) -> None:
        reading = asyncio.create_task(peer.next_text())  # answers the check's ping
        await listener.until("opened", len(server.peers))
        await peer.send_text({"type": "hello", "id": "session-1", "status": "connected"})
        await peer.close(code, "not here")
        await reading

    async with WireServer(usual_session=greeting) as server:
        clock, listener = QuickClock(), Listener()
        gateway = gateway_to(server, clock, give_up_s=100.0)
        await gateway.open(listener)
        error = await listener.until("gave_up", within_s=5)
        assert "no session for 100 s, given up: the session was closed" in str(error)
        assert len(server.peers) < 20
        assert server.tokens_issued <= tokens
        await gateway.close()


async def test_a_wait_that_is_asked_for_mid_run_is_never_cut_short():
    """Where it does not fit into what is left, nothing is dialled before it is over."""
    async with WireServer(sessions=deque([cutting])) as server:
        clock, listener = QuickClock(), Listener()
        gateway = gateway_to(server, clock, give_up_s=100.0)
        await gateway.open(listener)
        server.handshake_answers.extend([answer(503, Retry_After="60")] * 50)
        await gateway.submit(request("a"))
        error = await listener.until("gave_up")
        assert "the gateway asks to wait 60 s, longer than is waited for a session" in str(error)
        assert clock.slept == [1.5, 60.0]
        assert len(server.asked("/api/v2/websocket")) == 3
        await gateway.close()


async def test_every_dial_bears_a_token_with_life_left():
    async with WireServer(sessions=deque([cutting]), expires_in=1000) as server:
        clock, listener = QuickClock(), Listener()
        gateway = gateway_to(server, clock)
        await gateway.open(listener)
        clock.time_s += 801  # under a fifth of the life remains
        await gateway.submit(request("a"))
        await listener.until("opened", 2)
        second = server.asked("/api/v2/websocket")[1]
        assert second.headers["authorization"] == "Bearer token-number-2"
        await gateway.close()


async def test_a_token_server_that_is_away_mid_run_is_an_outage_not_the_end():
    """Its own attempts are used up, the dials go on."""
    async with WireServer(sessions=deque([cutting]), expires_in=1000) as server:
        clock, listener = QuickClock(), Listener()
        gateway = gateway_to(server, clock)
        await gateway.open(listener)
        clock.time_s += 1001
        server.token_answers.extend([answer(502)] * 5)
        await gateway.submit(request("a"))
        await listener.until("opened", 2)
        assert gateway.token_renewals == 1
        assert listener.all("gave_up") == []
        await gateway.close()


async def test_refused_connections_read_well():
    async with WireServer() as server:
        nowhere = await unused_port()
        endpoints = Endpoints(
            server.url("http", "/oauth/token"), server.url("http"), f"ws://127.0.0.1:{nowhere}/ws"
        )
        text = await failing(server, endpoints=endpoints)
        assert "the connection was refused: nothing listens there" in text
        assert f"(ws://127.0.0.1:{nowhere}/ws)" in text


async def unused_port() -> int:
    """Return a port on which nothing listens any more."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def test_close_during_an_outage_ends_the_dialling():
    async with WireServer(sessions=deque([cutting])) as server:
        entered = asyncio.Event()

        class StuckClock(QuickClock):
            async def sleep(self, seconds: float) -> None:  # noqa: ARG002 - the port's signature
                """Never return."""
                entered.set()
                await asyncio.Event().wait()

        listener = Listener()
        gateway = gateway_to(server, StuckClock())
        await gateway.open(listener)
        await gateway.submit(request("a"))
        await asyncio.wait_for(entered.wait(), 60)
        await gateway.close()
        assert listener.all("gave_up") == []


async def test_a_cancelled_open_leaves_no_session_behind():
    async def deaf(peer: Peer) -> None:
        peer.pongs = False
        dialled.set()
        assert await peer.next_text() is None
        gone.set()

    dialled, gone = asyncio.Event(), asyncio.Event()
    async with WireServer(sessions=deque([deaf])) as server:
        gateway = gateway_to(server)
        opening = asyncio.create_task(gateway.open(Listener()))
        await asyncio.wait_for(dialled.wait(), 60)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await asyncio.wait_for(gone.wait(), 60)
        await gateway.close()


async def test_closing_while_opening_leaves_no_session_behind():
    async def slow(peer: Peer) -> None:
        peer.pongs = False
        dialled.set()
        assert await peer.next_text() is None
        gone.set()

    dialled, gone = asyncio.Event(), asyncio.Event()
    async with WireServer(sessions=deque([slow])) as server:
        gateway, listener = gateway_to(server), Listener()
        opening = asyncio.create_task(gateway.open(listener))
        await asyncio.wait_for(dialled.wait(), 60)
        await gateway.close()
        server.peers[0].cut()
        with pytest.raises(GatewayError, match="closed meanwhile"):
            await opening
        assert listener.all("opened") == []


async def test_closing_during_a_token_request_is_told_to_who_waits():
    async def never(_: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.Event().wait()

    asked = asyncio.Event()
    async with WireServer(token_answers=deque([never])) as server:
        gateway = gateway_to(server)
        waiting = asyncio.create_task(gateway.look_up("i-1"))
        await asyncio.wait_for(asked.wait(), 60)
        await gateway.close()
        with pytest.raises(GatewayError, match="closed meanwhile"):
            await waiting
        with pytest.raises(GatewayError, match="closed meanwhile"):
            await gateway.look_up("i-2")
