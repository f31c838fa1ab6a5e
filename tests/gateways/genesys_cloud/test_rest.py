"""The vendor's HTTP side against literal answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from runner.core.errors import GatewayError, LookUpFailed
from runner.core.manifest.model import Limits, RetryPolicy
from runner.gateways.genesys_cloud.rest import GenesysRest, NoAnswer, NotSent
from runner.gateways.http.retrying_client import IdempotentRequest
from tests.fakes.vendor_server import VendorServer
from tests.fakes.virtual import VirtualLoop
from tests.fakes.wire_server import Reaction, answer
from tests.gateways.harness import SECRET, QuickClock, environment_of

PATH = "/api/v2/conversations/c-1/participants/p-1/replace/queue"
COMMAND = '{"queueId": "q-1"}'


@asynccontextmanager
async def rest_to(
    server: VendorServer,
    clock: QuickClock | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    leaves_within_s: float = 60.0,  # of real time: the machine may stand still for a second
    **changes: Any,
) -> AsyncIterator[GenesysRest]:
    policy = RetryPolicy(attempts=4, base_s=1.0, cap_s=30.0)
    rest = GenesysRest(
        environment_of(server, **changes),
        policy,
        clock or QuickClock(),
        lambda: 0.5,
        lambda _wait_s, _why: None,
        leaves_within_s=leaves_within_s,
        transport=transport,
    )
    try:
        yield rest
    finally:
        await rest.close()


async def commanded(
    rest: GenesysRest, clock: QuickClock, *, age_s: float = 0.0
) -> tuple[int, str | None]:
    rest.rate_limiter.take()
    _, told = await rest.command(PATH, COMMAND, clock.now() - age_s)
    return told.status, told.headers.get("ININ-Correlation-Id")


async def test_the_token_is_asked_for_with_the_grant_type_alone():
    async with VendorServer() as server, rest_to(server) as rest:
        await rest.query("/api/v2/notifications/channels", {}, "channel")
    assert server.asked("/oauth/token")[0].body == b"grant_type=client_credentials"


async def test_a_query_is_posted_as_json_under_the_token():
    async with VendorServer() as server, rest_to(server) as rest:
        made = await rest.query("/api/v2/notifications/channels", {}, "channel")
    assert made["id"] == "ch-1"
    request = server.of("POST", "/api/")[0]
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == "Bearer token-number-1"
    assert request.body == b"{}"


async def test_a_command_is_posted_once_and_its_answer_given_back():
    clock = QuickClock()
    async with VendorServer() as server, rest_to(server, clock) as rest:
        assert await commanded(rest, clock) == (202, "corr-1")
    request = server.of("POST")[0]
    assert (request.path, request.body) == (PATH, COMMAND.encode())
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503, 504])
async def test_a_command_is_never_posted_again_whatever_is_answered(status: int):
    clock = QuickClock()
    async with VendorServer() as server, rest_to(server, clock) as rest:
        server.script(f"POST {PATH}", answer(status, Retry_After="1"))
        assert await commanded(rest, clock) == (status, None)
    assert len(server.of("POST")) == 1


async def test_a_command_whose_turn_was_more_than_a_second_ago_does_not_leave():
    clock = QuickClock()
    async with VendorServer() as server, rest_to(server, clock) as rest:
        with pytest.raises(NotSent, match="its turn was more than 1 s ago"):
            await commanded(rest, clock, age_s=1.01)
        assert await commanded(rest, clock, age_s=0.99) == (202, "corr-1")
    assert len(server.of("POST")) == 1


async def test_a_kept_connection_does_not_let_a_stale_command_out_either():
    clock = QuickClock()
    async with VendorServer() as server, rest_to(server, clock) as rest:
        alive = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
        server.script(f"POST {PATH}", alive)
        await commanded(rest, clock)
        with pytest.raises(NotSent):
            await commanded(rest, clock, age_s=2)
    assert len(server.of("POST")) == 1


async def test_a_command_that_may_not_leave_any_more_when_it_has_its_connection_does_not():
    """The window closed, or the run was held, while the connection was made."""
    clock, asked = QuickClock(), list[int]()

    def may_leave() -> bool:
        asked.append(len(server.of("POST")))
        return False

    async with VendorServer() as server, rest_to(server, clock) as rest:
        await rest.tokens.current()
        rest.rate_limiter.take()
        with pytest.raises(NotSent, match="it was not to leave any more"):
            await rest.command(PATH, COMMAND, clock.now(), may_leave)
    assert asked == [0]
    assert not server.of("POST")


async def test_where_nothing_listens_nothing_was_sent():
    clock = QuickClock()
    async with VendorServer() as server, rest_to(server, clock) as rest:
        await rest.tokens.current()
        server.stop_listening()
        with pytest.raises(NotSent, match="nothing listens there"):
            await commanded(rest, clock)


class Hanging(httpx.AsyncBaseTransport):
    """A network whose connections are never made, or (`writes`) never answered."""

    def __init__(self, *, writes: bool) -> None:
        self.steps = ["connection.connect_tcp.started"]
        if writes:
            self.steps.append("http11.send_request_headers.started")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Issue a token, or get as far as told."""
        if request.url.path == "/oauth/token":
            return httpx.Response(200, json={"access_token": "token", "expires_in": 3600})
        for step in self.steps:
            await request.extensions["trace"](step, {})
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize(("writes", "outcome"), [(False, NotSent), (True, NoAnswer)])
def test_a_connection_that_hangs_is_given_up_for_certain_before_the_first_byte_alone(
    writes: bool,  # noqa: FBT001 - a case
    outcome: type[Exception],
):
    async def scenario() -> None:
        clock, nowhere = QuickClock(), VendorServer(port=8443)
        async with rest_to(nowhere, clock, Hanging(writes=writes), leaves_within_s=1.0) as rest:
            with pytest.raises(outcome):
                await commanded(rest, clock)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(scenario())


async def test_without_a_token_nothing_was_sent():
    clock = QuickClock()
    async with VendorServer() as server, rest_to(server, clock) as rest:
        server.script("POST /oauth", answer(400, {"error": "invalid_client"}))
        with pytest.raises(NotSent, match="invalid_client") as caught:
            await commanded(rest, clock)
    assert isinstance(caught.value.error, GatewayError)
    assert server.of("POST") == []


async def cut(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@pytest.mark.parametrize("way", [cut, b"", b"HTTP/1.1 2", b"\x00nonsense\r\n\r\n"])
async def test_a_command_that_may_have_arrived_is_unknown(way: Reaction):
    clock = QuickClock()
    async with VendorServer() as server, rest_to(server, clock) as rest:
        server.script(f"POST {PATH}", way)
        with pytest.raises(NoAnswer) as caught:
            await commanded(rest, clock)
    assert len(server.of("POST")) == 1
    assert "127.0.0.1" not in str(caught.value)


async def test_a_redirect_of_a_command_is_an_answer_and_not_followed():
    clock = QuickClock()
    async with VendorServer() as server, rest_to(server, clock) as rest:
        server.script(f"POST {PATH}", answer(307, Location="/elsewhere"))
        assert await commanded(rest, clock) == (307, None)
    assert server.asked("/elsewhere") == []


async def test_a_refused_query_says_the_code_and_what_to_do():
    body = {
        "code": "missing.any.permissions",
        "message": "You must have at least one of the following: routing:queue:view.",
    }
    async with VendorServer() as server, rest_to(server) as rest:
        server.script("GET /api/v2/routing/queues", answer(403, body))
        with pytest.raises(GatewayError) as caught:
            await rest.get("/api/v2/routing/queues?name=a", "list of queues")
    text = str(caught.value)
    assert "no list of queues: missing.any.permissions (403)" in text
    assert "roles lack routing:queue:view: add it to a role" in text
    assert "name=a" not in text


async def test_a_refusal_that_concerns_one_thing_is_of_its_own_kind():
    async with VendorServer() as server, rest_to(server) as rest:
        server.script("GET /api/v2/x", answer(400, {"code": "bad.request"}))
        with pytest.raises(LookUpFailed, match="no look-up: bad"):
            await rest.ask(IdempotentRequest("/api/v2/x"))
    assert len(server.of("GET")) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_question_is_put_again_after_passing_trouble(status: int):
    async with VendorServer() as server, rest_to(server) as rest:
        server.script("GET /api/v2/x", answer(status), answer(200, {"is": "there"}))
        assert await rest.get("/api/v2/x", "thing") == {"is": "there"}


async def test_an_answer_that_is_no_object_is_a_failure_in_the_end():
    async with VendorServer() as server, rest_to(server) as rest:
        server.script("GET /api/v2/x", *[answer(200, b"[]")] * 4)
        with pytest.raises(
            GatewayError, match="no thing in 4 attempts: the answer does not contain"
        ):
            await rest.get("/api/v2/x", "thing")


async def test_a_retry_after_is_obeyed_and_holds_for_commands_too():
    clock = QuickClock()
    async with VendorServer() as server, rest_to(server, clock) as rest:
        server.script("GET /api/v2/x", *[answer(429, Retry_After="9")] * 4)
        with pytest.raises(GatewayError, match="answers 429"):
            await rest.get("/api/v2/x", "thing")
        rest.rate_limiter.shut(9)
        assert rest.rate_limiter.due_in(0) == 9
    assert [round(slept, 1) for slept in clock.slept if slept > 1] == [9, 9, 9]


async def test_the_pace_is_300_a_minute_unless_the_manifest_says_otherwise():
    async with VendorServer() as server:
        async with rest_to(server) as rest:
            assert rest.rate_limiter.rate_per_s == 5.0
        async with rest_to(server, limits=Limits(http_rate_per_s=1.5)) as rest:
            assert rest.rate_limiter.rate_per_s == 1.5


async def test_the_headers_of_every_answer_lower_the_pace():
    allowance = {
        "inin_ratelimit_allowed": "300",
        "inin_ratelimit_count": "200",
        "inin_ratelimit_reset": "50",
    }
    clock = QuickClock()
    async with VendorServer() as server, rest_to(server, clock) as rest:
        server.script(f"POST {PATH}", answer(202, b"", **allowance))
        await commanded(rest, clock)
        assert rest.rate_limiter.rate_per_s == 2.0


async def test_no_secret_is_in_an_error():
    async with VendorServer() as server, rest_to(server) as rest:
        quoted = {"code": f"bad {SECRET}", "message": "Bearer token-number-1"}
        server.script("GET /api/v2/x", answer(400, quoted))
        with pytest.raises(GatewayError) as caught:
            await rest.get("/api/v2/x", "thing")
    assert SECRET not in str(caught.value)
    assert "token-number-1" not in str(caught.value)
