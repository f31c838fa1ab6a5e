"""A probe that goes wrong after the customer was moved says where the customer is."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from runner.core.exit_code import ExitCode
from runner.core.manifest.model import Limits, RetryPolicy
from runner.gateways.genesys_cloud.protocol.probe_findings import End, Findings
from runner.gateways.genesys_cloud.rest import BODY_LIMIT, GenesysRest
from runner.gateways.genesys_cloud.round_trip import RoundTrip
from runner.gateways.websocket.transport import dialler
from runner.testing.stepped_clock import SteppedClock
from tests.fakes.vendor_server import VendorServer
from tests.fakes.wire_server import Request, answer
from tests.gateways.genesys_harness import MEDIA, MOVED, TO_QUEUE, WAITING
from tests.gateways.harness import environment_of

LOOK_UP = "GET /api/v2/conversations/"


@dataclass
class Probe:
    """A probe of conversation c-1, its platform and what it found."""

    server: VendorServer
    clock: SteppedClock
    trip: RoundTrip
    findings: Findings
    said: list[str] = field(default_factory=list)
    shut: list[str] = field(default_factory=list)  # why nothing may be moved now

    async def run(self, conversation_id: str = "c-1", to: str = TO_QUEUE) -> None:
        """Run it to its end."""
        await self.clock.through(self.trip.run(conversation_id, to))


@asynccontextmanager
async def probe() -> AsyncIterator[Probe]:
    clock, findings, said, shut = SteppedClock(), Findings({}), list[str](), list[str]()
    numbers = itertools.count(1)
    async with VendorServer() as server:
        server.conversations["c-1"] = WAITING
        rest = GenesysRest(
            environment_of(server, limits=Limits(http_rate_per_s=1e6)),
            RetryPolicy(attempts=4, base_s=1.0, cap_s=30.0),
            clock,
            lambda: 0.5,
            lambda _wait_s, _why: None,
        )
        trip = RoundTrip(
            rest,
            dialler(None, clock.wall, rest.tokens.hide, frame_limit=BODY_LIMIT),
            findings,
            media=MEDIA,
            new_id=lambda: f"m-{next(numbers)}",
            keep=lambda: None,
            say=said.append,
            why_shut=lambda: next(iter(shut), None),
        )
        try:
            yield Probe(server, clock, trip, findings, said, shut)
        finally:
            await clock.through(rest.close())


async def test_a_look_up_that_fails_before_the_way_back_leaves_the_findings():
    async with probe() as probed:

        def move(_command: Request) -> None:
            probed.server.conversations["c-1"] = MOVED
            looks = [answer(200, MOVED)] * 2  # it arrives, and is looked at once more
            probed.server.script(LOOK_UP, *looks, *[answer(503, {"code": "x"})] * 4)

        probed.server.posted = move
        await probed.run()
    findings = probed.findings
    assert findings.there is not None
    assert (findings.there.end, findings.back) == (End.ARRIVED, None)
    assert findings.not_back == "it could not be looked up any more"
    assert probed.said[-1] == (
        "a look-up failed: no conversation in 4 attempts: the gateway answers 503"
    )
    assert findings.code is ExitCode.FAILURES


async def test_a_probe_that_is_cancelled_once_it_arrived_says_that_it_is_not_back():
    async with probe() as probed:
        probed.server.posted = lambda _: probed.server.conversations.update({"c-1": MOVED})
        running = asyncio.create_task(probed.trip.run("c-1", TO_QUEUE))
        await probed.clock.until(lambda: has_arrived(probed.findings), step_s=0.1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probed.clock.through(running)
    there, back = probed.findings.moves()
    assert there.has_arrived
    assert (back.end, back.text) == (None, "interrupted")
    assert probed.findings.code is ExitCode.FAILURES
    assert len(probed.server.of("POST", "/api/v2/conversations/")) == 1


def has_arrived(findings: Findings) -> bool:
    return findings.there is not None and findings.there.end is End.ARRIVED


async def test_a_conversation_whose_id_is_in_capitals_is_probed():
    shouted = "3F2504E0-4F89-41D3-9A0C-0305E82C3301"
    async with probe() as probed:
        conversations = probed.server.conversations
        conversations[shouted.lower()] = {**WAITING, "id": shouted.lower()}
        moved = {**MOVED, "id": shouted.lower()}
        probed.server.posted = lambda _: conversations.update({shouted.lower(): moved})
        await probed.run(shouted, TO_QUEUE.upper().replace("GENESYS://QUEUE", "genesys://queue"))
    assert has_arrived(probed.findings)


async def test_a_window_that_shuts_before_the_command_leaves_keeps_it():
    async with probe() as probed:
        probed.shut.append("the window is shut")
        await probed.run()
        assert not [each for each in probed.server.requests if "replace" in each.path]
    assert probed.findings.there is not None
    assert probed.findings.there.end is End.NOT_SENT
    assert probed.findings.there.lost == "the window is shut"


async def test_a_window_that_shuts_while_it_is_away_lets_it_come_back():
    async with probe() as probed:

        def move(_command: Request) -> None:
            probed.server.conversations["c-1"] = MOVED
            probed.shut.append("the window is shut")

        probed.server.posted = move
        await probed.run()
    assert probed.findings.there is not None
    assert probed.findings.there.end is End.ARRIVED
    assert probed.findings.back is not None
