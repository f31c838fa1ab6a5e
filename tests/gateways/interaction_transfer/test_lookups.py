"""Look-ups against literal answers."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import httpx
import pytest

from runner.core.errors import GatewayError, LookUpFailed, LookUpForbidden, LookUpUnanswered
from runner.core.manifest.model import Limits
from runner.core.transfer.lookup_verdict import Interaction
from tests.fakes.wire_server import Reaction, WireServer, answer
from tests.gateways.harness import Listener, QuickClock, gateway_to

DATE = "Tue, 01 Dec 2026 21:00:00 GMT"
DATE_S = 1796158800.0


async def looked_up(
    *answers: Reaction, clock: QuickClock | None = None, **options: Any
) -> Interaction:
    async with WireServer(look_up_answers=deque(answers)) as server:
        gateway = gateway_to(server, clock, **options)
        try:
            return await gateway.look_up("i-1")
        finally:
            await gateway.close()


async def test_all_fields_are_read_and_unknown_ones_ignored():
    body = {
        "id": "i-1",
        "state": "queued",
        "destination_uri": "genesys://queue/a",
        "last_transfer_id": "m-0",
        "extra": [1],
    }
    assert await looked_up(answer(200, body, Date=DATE)) == Interaction(
        "i-1",
        found=True,
        state="queued",
        destination_uri="genesys://queue/a",
        last_transfer_id="m-0",
        date_s=DATE_S,
    )


OURS = "0e0f9c1c-6f0e-4b7e-9a51-3a5d3b9e2b11"


async def test_a_uuid_is_the_same_in_capitals():
    """The gateway's own spelling, both of the interaction and of our message."""
    body = {"id": OURS, "state": "active", "last_transfer_id": OURS.upper()}
    async with WireServer(look_up_answers=deque([answer(200, body)])) as server:
        gateway = gateway_to(server)
        seen = await gateway.look_up(OURS.upper())
        await gateway.close()
        assert server.asked("/api")[0].path.endswith(OURS.upper())  # as the manifest spells it
        assert (seen.interaction_id, seen.last_transfer_id) == (OURS.upper(), OURS)


async def test_404_is_an_answer():
    seen = await looked_up(answer(404, Date=DATE))
    assert seen == Interaction("i-1", found=False, date_s=DATE_S)


async def test_a_malformed_date_is_none():
    assert (await looked_up(answer(404, Date="yesterday"))).date_s is None


@pytest.mark.parametrize(
    "body",
    [
        {"id": "i-2", "state": "active"},
        {"state": "active"},
        {"id": "i-1"},
        {"id": "i-1", "state": 7},
        {"id": "i-1", "state": "active", "destination_uri": 7},
        {"id": "i-1", "state": "active", "last_transfer_id": ["m"]},
        b"[]",
        b"<html>",
        b"\xff",
        b"[" * 100_000,
    ],
)
async def test_an_answer_about_something_else_is_asked_again_and_then_a_failure(body: Any):
    good = answer(200, {"id": "i-1", "state": "active"})
    assert (await looked_up(answer(200, body), good)).found
    clock = QuickClock()
    with pytest.raises(LookUpFailed, match="no look-up in 4 attempts: the answer does not"):
        await looked_up(*[answer(200, body)] * 4, clock=clock)
    assert clock.slept == [1.5, 2.5, 4.5]


async def test_foreign_text_is_made_harmless():
    state = "\x1b[31m" + "x" * 600
    seen = await looked_up(answer(200, {"id": "i-1", "state": state}))
    assert seen.state is not None
    assert seen.state.startswith("\\x1b[31mxxx")
    assert len(seen.state) < 520


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_passing_trouble_is_retried_and_then_an_outage(status: int):
    told = f"no look-up in 4 attempts: .* answers {status}"
    with pytest.raises(LookUpUnanswered, match=told) as caught:
        await looked_up(*[answer(status)] * 4)
    assert caught.value.tries == 4


@pytest.mark.parametrize(
    "last",
    [b"", answer(200, b"<html>down for maintenance</html>"), answer(200, {"id": "other"})],
    ids=["hung up", "no JSON", "about another"],
)
async def test_one_try_that_meets_an_outage_makes_the_look_up_an_outage(last: bytes):
    """What the others met may be the row's own; nobody knows before the outage is over."""
    with pytest.raises(LookUpUnanswered, match="no look-up in 4 attempts"):
        await looked_up(answer(503), b"", answer(502), last)


async def test_a_row_that_is_described_wrongly_is_no_outage():
    with pytest.raises(LookUpFailed) as caught:
        await looked_up(*[answer(200, {"id": "other"})] * 4)
    assert not isinstance(caught.value, LookUpUnanswered)


async def test_a_look_up_that_has_no_token_for_now_is_an_outage():
    async with WireServer(token_answers=deque([answer(503)] * 4)) as server:
        gateway = gateway_to(server)
        with pytest.raises(LookUpUnanswered, match="no token after 4 attempts"):
            await gateway.look_up("i-1")
        await gateway.close()


async def test_a_cut_connection_is_retried():
    async def cut(writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    half = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"
    assert (await looked_up(cut, half, b"")).found


async def test_other_refusals_concern_the_interaction_and_are_not_retried():
    clock = QuickClock()
    with pytest.raises(LookUpFailed, match="answers 400"):
        await looked_up(answer(400), clock=clock)
    assert clock.slept == []


async def test_403_names_the_scope_and_is_told_apart():
    """It may be about the client, or about this interaction alone."""
    with pytest.raises(LookUpForbidden, match="lacks the scope interaction:view") as caught:
        await looked_up(answer(403, Date=DATE))
    assert caught.value.date_s == DATE_S
    assert not isinstance(caught.value, LookUpFailed)


async def test_a_second_401_ends_the_run():
    with pytest.raises(GatewayError, match="refuses a new token") as caught:
        await looked_up(answer(401), answer(401))
    assert not isinstance(caught.value, LookUpFailed)


REDIRECT = answer(307, Location="https://u:p@other.example/x?y")
GOOD = answer(200, {"id": "i-1", "state": "active"})


async def test_one_redirected_answer_is_asked_again():
    assert (await looked_up(REDIRECT, answer(304), GOOD)).found


async def test_an_address_that_only_redirects_ends_the_run_and_names_the_endpoint():
    with pytest.raises(
        GatewayError, match=r"redirects to https://other\.example/x, which"
    ) as caught:
        await looked_up(*[REDIRECT] * 4)
    assert not isinstance(caught.value, LookUpFailed)
    assert "endpoints.api_url" in caught.value.check


@pytest.mark.parametrize("status", [300, 302, 304, 307, 399])
async def test_a_redirect_by_a_gateway_that_has_answered_is_an_outage(status: int):
    """What stands before the gateway answers: that says nothing about one interaction."""
    redirected = answer(status, Location="/elsewhere?secret=1")
    async with WireServer(look_up_answers=deque([GOOD, *[redirected] * 4])) as server:
        gateway = gateway_to(server)
        await gateway.look_up("i-1")
        with pytest.raises(LookUpUnanswered, match="no look-up in 4 attempts") as caught:
            await gateway.look_up("i-1")
        await gateway.close()
        assert caught.value.tries == 4
        assert "secret" not in str(caught.value)
        assert server.asked("/elsewhere") == []


async def test_retry_after_pauses_every_look_up_and_is_reported():
    async with WireServer(look_up_answers=deque([answer(429, Retry_After="60")])) as server:
        clock, listener = QuickClock(), Listener()
        gateway = gateway_to(server, clock)
        await gateway.open(listener)
        began = clock.now()
        first = asyncio.create_task(gateway.look_up("i-1"))
        await listener.until("paused")
        asked = len(server.asked("/api/v2/interactions"))
        assert (await gateway.look_up("i-2")).found
        assert clock.now() - began == 60.0
        assert (asked, (await first).found) == (1, True)
        assert listener.all("paused") == [
            (60.0, "the gateway's REST side asked for it (Retry-After)")
        ]
        await gateway.close()


class GatedClock(QuickClock):
    """Sleeps until the test opens the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait for the gate."""
        await self.gate.wait()
        await super().sleep(seconds)


@pytest.mark.parametrize("headers", [{"Retry-After": "60"}, {}])
async def test_while_a_429_is_waited_out_no_other_look_up_asks(headers: dict[str, str]):
    asked: list[str] = []
    was_asked = asyncio.Event()

    def serve(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(200, json={"access_token": "abc", "expires_in": 3600})
        asked.append(request.url.path)
        was_asked.set()
        if len(asked) == 1:
            return httpx.Response(429, headers=headers)
        interaction_id = request.url.path.rsplit("/", 1)[1]
        return httpx.Response(200, json={"id": interaction_id, "state": "active"})

    clock = GatedClock()
    gateway = gateway_to(WireServer(port=1), clock, transport=httpx.MockTransport(serve))
    first = asyncio.create_task(gateway.look_up("i-1"))
    await asyncio.wait_for(was_asked.wait(), 60)
    second = asyncio.create_task(gateway.look_up("i-2"))
    for _ in range(100):  # turns of a loop without sockets: plenty to ask, were it allowed
        await asyncio.sleep(0)
    assert len(asked) == 1
    clock.gate.set()
    assert (await first).found
    assert (await second).found
    await gateway.close()


async def test_retry_after_as_a_date_is_measured_by_the_servers_clock():
    clock = QuickClock()
    refusal = answer(503, Date=DATE, Retry_After="Tue, 01 Dec 2026 21:01:30 GMT")
    assert (await looked_up(refusal, clock=clock)).found
    assert clock.slept == [90.0]


async def test_a_retry_after_in_the_past_counts_as_absent():
    clock = QuickClock()
    refusal = answer(503, Date=DATE, Retry_After="Tue, 01 Dec 2026 20:59:00 GMT")
    assert (await looked_up(refusal, clock=clock)).found
    assert clock.slept == [1.5]


async def test_a_retry_after_beyond_180_s_ends_the_run():
    with pytest.raises(GatewayError, match="asks to wait 86400 s") as caught:
        await looked_up(answer(429, Retry_After="86400"))
    assert not isinstance(caught.value, LookUpFailed)


async def test_the_rate_is_kept_over_all_look_ups_and_their_retries():
    """Ten requests at 300 a minute: every gap is a fifth of a second."""
    async with WireServer(look_up_answers=deque([answer(401)])) as server:
        clock = QuickClock()
        gateway = gateway_to(server, clock, limits=Limits(http_rate_per_s=5.0))
        began = clock.now()
        await asyncio.gather(*(gateway.look_up(f"i-{n}") for n in range(9)))
        assert len(server.asked("/api/v2/interactions")) == 10
        assert clock.now() - began >= 10 * 0.2 - 0.11  # half an interval may be made up
        await gateway.close()
