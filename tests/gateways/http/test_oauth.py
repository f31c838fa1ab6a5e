"""The token server's every answer."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections import deque
from typing import Any

import pytest

from runner.core.errors import GatewayError
from runner.core.manifest.model import Endpoints
from tests.fakes.wire_server import WireServer, answer
from tests.gateways.harness import SECRET, Listener, QuickClock, gateway_to


async def refused(*answers: Any, clock: QuickClock | None = None, **options: Any) -> GatewayError:
    """Look something up with a token server that gives these answers; return the error."""
    async with WireServer(token_answers=deque(answers)) as server:
        gateway = gateway_to(server, clock, **options)
        try:
            with pytest.raises(GatewayError) as caught:
                await gateway.look_up("i-1")
        finally:
            await gateway.close()
        assert server.asked("/api") == []
        assert SECRET not in str(caught.value)
        assert "/oauth/token" in caught.value.url
        return caught.value


def token(**fields: Any) -> bytes:
    """Spell a good token answer with other fields."""
    good = {"access_token": "abc", "token_type": "Bearer", "expires_in": 3600}
    return answer(200, {**good, **fields})


@pytest.mark.parametrize("status", [400, 401])
async def test_refusals_are_final_and_name_the_servers_code(status: int):
    error = await refused(answer(status, {"error": "invalid_client", "error_description": SECRET}))
    assert f"{status} invalid_client" in error.what
    assert "client_secret" in error.check


async def test_an_address_where_no_tokens_are_is_told_as_such():
    error = await refused(answer(404, b"not here", "text/plain"))
    assert error.what == "the token server refuses: 404 without error code"
    assert error.check == "check `endpoints.token_url`, its path included, and the region"


async def test_an_error_code_that_quotes_the_secret_is_not_shown():
    assert "without error code" in (await refused(answer(400, {"error": SECRET}))).what
    assert "without error code" in (await refused(answer(400, {"error": "\x1b[31m"}))).what


@pytest.mark.parametrize(
    ("reply", "what"),
    [
        (answer(200, b"<html>log in</html>", "text/html"), "JSON object (text/html)"),
        (answer(200, b"[" * 100_000, "application/json"), "JSON object"),
        (answer(200, b"[]", "application/json"), "JSON object"),
        (token(expires_in=-1), "expires_in"),
        (token(expires_in=True), "expires_in"),
        (token(expires_in="soon"), "expires_in"),
        (answer(200, {"access_token": "abc"}), "expires_in"),
        (answer(200, b'{"access_token": "abc", "expires_in": NaN}'), "expires_in"),
        (answer(200, b'{"access_token": "abc", "expires_in": 1e999}'), "expires_in"),
        (token(access_token=""), "access_token"),
        (token(access_token="a\r\nX-Evil: 1"), "access_token"),
        (token(access_token=7), "access_token"),
        (token(token_type="mac"), "token_type"),
        (token(scope="interaction:transfer interaction:view"), "lacks the scope websocket:use"),
        (answer(302, Location="https://u:pw@evil.example/x?y=z"), "redirects to https://evil.e"),
        (answer(404), "404"),
        (answer(200, gzip.compress(b"{}"), Content_Encoding="gzip"), "a compressed body"),
        (answer(200, b"{" + b" " * 1_000_001), "a body over 1 MB"),
    ],
)
async def test_a_malformed_answer_is_an_error_at_once(reply: bytes, what: str):
    clock = QuickClock()
    error = await refused(reply, clock=clock)
    assert what in error.what
    assert "pw" not in str(error)
    assert clock.slept == []


async def test_a_gzip_bomb_is_not_unpacked():
    bomb = gzip.compress(gzip.compress(b"\0" * 50_000_000))
    error = await refused(answer(200, bomb, Content_Encoding="gzip, gzip"))
    assert "a compressed body" in error.what


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_passing_trouble_is_retried_with_backoff(status: int):
    clock = QuickClock()
    error = await refused(*[answer(status)] * 4, clock=clock)
    assert f"no token after 4 attempts: the token server answers {status}" in error.what
    assert clock.slept == [1.5, 2.5, 4.5]


async def test_retry_after_is_obeyed_up_to_180_s():
    async with WireServer(token_answers=deque([answer(429, Retry_After="180")])) as server:
        clock, listener = QuickClock(), Listener()
        gateway = gateway_to(server, clock)
        await gateway.open(listener)
        assert clock.slept == [180.0]
        assert listener.all("paused") == [(180.0, "the token server asked for it (Retry-After)")]
        await gateway.close()


async def test_a_longer_retry_after_ends_it_with_the_time_named():
    error = await refused(answer(503, Retry_After="31536000"))
    assert "asks to wait 31536000 s" in error.what
    assert "31536000 s" in error.check


async def test_retry_after_zero_is_no_hot_loop():
    clock = QuickClock()
    await refused(*[answer(503, Retry_After="0")] * 4, clock=clock)
    assert clock.slept == [1.0, 1.0, 1.0]


async def test_many_callers_share_one_request():
    async with WireServer() as server:
        gateway = gateway_to(server)
        await asyncio.gather(*(gateway.look_up(f"i-{n}") for n in range(30)))
        assert server.tokens_issued == 1
        await gateway.close()


async def test_many_callers_refused_with_401_share_one_renewal():
    async with WireServer(look_up_answers=deque([answer(401)] * 30)) as server:
        gateway = gateway_to(server)
        seen = await asyncio.gather(*(gateway.look_up(f"i-{n}") for n in range(30)))
        assert all(interaction.found for interaction in seen)
        assert (server.tokens_issued, gateway.token_renewals) == (2, 1)
        await gateway.close()


async def test_many_callers_share_one_failure():
    async with WireServer(token_answers=deque([answer(400)] * 30)) as server:
        gateway = gateway_to(server)
        asked = (gateway.look_up(f"i-{n}") for n in range(30))
        errors = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(error, GatewayError) for error in errors)
        assert len(server.asked("/oauth/token")) == 1
        await gateway.close()


async def test_a_cancelled_caller_does_not_end_the_others_renewal():
    async with WireServer() as server:
        gateway = gateway_to(server)
        first = asyncio.create_task(gateway.look_up("i-1"))
        second = asyncio.create_task(gateway.look_up("i-2"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).found
        assert server.tokens_issued == 1
        await gateway.close()


@pytest.mark.parametrize(
    ("expires_in", "kept_s", "renewed_s"),
    [
        (3600, 3299, 3301),  # five minutes remain
        (1000, 799, 801),  # a fifth of the life remains
        (0, 23, 25),  # clamped to 30 s
        (10**400, 24 * 3600 - 301, 24 * 3600 - 299),  # clamped to a day
    ],
)
async def test_a_token_is_renewed_before_it_ends(expires_in: int, kept_s: int, renewed_s: int):
    async with WireServer(expires_in=expires_in) as server:
        clock = QuickClock()
        gateway = gateway_to(server, clock)
        await gateway.look_up("i-1")
        clock.time_s += kept_s
        await gateway.look_up("i-1")
        assert gateway.token_renewals == 0
        clock.time_s += renewed_s - kept_s
        await gateway.look_up("i-1")
        assert gateway.token_renewals == 1
        await gateway.close()


async def test_a_renewal_that_fails_leaves_the_old_token_in_use_while_it_lives():
    async with WireServer(expires_in=1000) as server:
        clock = QuickClock()
        gateway = gateway_to(server, clock)
        await gateway.look_up("i-1")
        server.token_answers.extend([answer(502)] * 4)
        clock.time_s += 801
        assert (await gateway.look_up("i-2")).found
        assert len(server.asked("/oauth/token")) == 5
        assert (await gateway.look_up("i-3")).found  # held off: no further try
        assert len(server.asked("/oauth/token")) == 5
        await gateway.close()


@pytest.mark.parametrize(("life_left_s", "paused"), [(199, []), (-1, [60.0])])
async def test_a_renewals_wait_holds_frames_only_if_no_token_serves(
    life_left_s: int, paused: list[float]
):
    async with WireServer(expires_in=1000) as server:
        clock, listener = QuickClock(), Listener()
        gateway = gateway_to(server, clock)
        await gateway.open(listener)
        server.token_answers.append(answer(503, Retry_After="60"))
        clock.time_s += 1000 - life_left_s
        await gateway.look_up("i-1")
        assert clock.slept == [60.0]
        assert [wait_s for wait_s, _ in listener.all("paused")] == paused
        await gateway.close()


async def test_no_secret_reaches_a_log_or_an_error(caplog: pytest.LogCaptureFixture):
    """With every logger at DEBUG, addresses with user info and query included."""
    caplog.set_level(logging.DEBUG)
    async with WireServer(handshake_answers=deque([answer(403)])) as server:
        base = server.url("http").replace("//", "//user:canary-pw@")
        endpoints = Endpoints(
            f"{base}/oauth/token?key=canary-query",
            base,
            f"{base.replace('http', 'ws')}/api/v2/websocket?key=canary-query",
        )
        gateway = gateway_to(server, endpoints=endpoints)
        caplog.set_level(logging.DEBUG, "websockets.client")  # would show the handshake's headers
        await gateway.look_up("i-1")
        with pytest.raises(GatewayError) as caught:
            await gateway.open(Listener())
        await gateway.close()
        told = caplog.text + str(caught.value) + repr(caught.value) + json.dumps(caught.value.url)
        for canary in (SECRET, "canary-pw", "canary-query", "token-number-1"):
            assert canary not in told
        assert [request.headers["authorization"][:6] for request in server.requests] == [
            "Basic ",
            "Bearer",
            "Bearer",
        ]
