"""What the tests of the driver `genesys-cloud` share."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

from runner.core.manifest.media import Audio, MediaMatrix
from runner.core.manifest.model import Limits, Policy, RetryPolicy
from runner.core.pacing.circuit_breaker import BreakerPolicy
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.message import Draft, Request
from runner.gateways.genesys_cloud.driver import GenesysCloud
from runner.gateways.genesys_cloud.protocol.command import build_command
from runner.testing.stepped_clock import SteppedClock
from tests.fakes.vendor_server import VendorServer, conversation, event, participant
from tests.gateways.harness import Listener, environment_of

SOURCE = "11111111-1111-4111-8111-111111111111"
TARGET = "22222222-2222-4222-8222-222222222222"
USER = "33333333-3333-4333-8333-333333333333"
TO_QUEUE = f"genesys://queue/{TARGET}"
TO_USER = f"genesys://user/{USER}"
MEDIA = MediaMatrix(Audio("opus", 64, 16))
AT = "2026-12-01T21:00:00.000000Z"

WAITING = conversation("c-1", participant("acd", "p-1", queueId=SOURCE))
MOVED = conversation(
    "c-1",
    participant("acd", "p-1", queueId=SOURCE, state="disconnected", endTime=AT),
    participant("acd", "p-2", queueId=TARGET),
    recentTransfers=[{"id": "t-1", "state": "Complete", "destination": {}, "initiator": {}}],
)


def failed(state: str = "Failed", **fields: Any) -> Any:
    """Return the conversation with a transfer that came to nothing."""
    transfer = {"id": "t-1", "state": state, "destination": {}, "initiator": {}, **fields}
    return {**WAITING, "recentTransfers": [transfer]}


def command(
    seen: Interaction, to: str = TO_QUEUE, message_id: str = "m-1", interaction_id: str = "c-1"
) -> Request:
    """Return a command as the engine would have it."""
    draft = Draft(message_id, interaction_id, to, MEDIA, AT, seen)
    return Request(message_id, build_command(draft))


class Stage:
    """A gateway that is open, before a platform of literal bytes, on a clock of the test's."""

    def __init__(
        self, server: VendorServer, gateway: GenesysCloud, listener: Listener, clock: SteppedClock
    ) -> None:
        self.server = server
        self.gateway = gateway
        self.listener = listener
        self.clock = clock

    async def submit(self, to: str = TO_QUEUE, message_id: str = "m-1") -> None:
        """Look the conversation up and hand a command over."""
        await self.hand_over(await self.gateway.look_up("c-1"), to, message_id)

    async def hand_over(
        self, seen: Interaction, to: str = TO_QUEUE, message_id: str = "m-1"
    ) -> None:
        """Hand a command over that rests on an earlier look-up."""
        await self.gateway.submit(command(seen, to, message_id))

    async def tell(self, body: Any, peer: int = -1) -> None:
        """Let the platform tell of a change on the newest socket."""
        await self.server.peers[peer].send_text(event(TARGET, body))

    async def show(self, body: Any) -> None:
        """Let the platform show a change, by an event and by look-ups; return once it was heard."""
        self.server.conversations["c-1"] = body
        heard = len(self.listener.all("noted"))
        await self.tell(body)
        await self.server.peers[-1].send_text({"topicName": "v2.marker"})  # frames keep their order
        await self.listener.until("noted", heard + 1)

    async def say(self, topic: str, peer: int = -1) -> None:
        """Let the platform say something of the channel itself."""
        await self.server.peers[peer].send_text({"topicName": topic, "eventBody": {}})

    @property
    def posts(self) -> list[Any]:
        """The commands that arrived, in order."""
        return self.server.of("POST", "/api/v2/conversations/")

    def subscribed(self) -> list[list[str]]:
        """Return the topics of each request to subscribe."""
        posted = self.server.of("POST")
        asked = [r for r in posted if r.path.endswith("/subscriptions")]
        return [[topic["id"] for topic in json.loads(request.body)] for request in asked]


def gateway_to(
    server: VendorServer,
    clock: SteppedClock,
    destinations: Collection[str] = (TO_QUEUE,),
    **changes: Any,
) -> GenesysCloud:
    policy = Policy(
        retry=RetryPolicy(attempts=4, base_s=1.0, cap_s=30.0),
        circuit_breaker=BreakerPolicy(give_up_s=300.0),
        negotiation_timeout_s=10.0,
    )
    changes.setdefault("limits", Limits(http_rate_per_s=1e6))
    environment = environment_of(server, **changes)
    return GenesysCloud(environment, policy, clock, lambda: 0.5, destinations=destinations)


@asynccontextmanager
async def staged(
    destinations: Collection[str] = (TO_QUEUE,), **changes: Any
) -> AsyncIterator[Stage]:
    async with VendorServer() as server:
        server.conversations["c-1"] = WAITING
        clock, listener = SteppedClock(), Listener()
        gateway = gateway_to(server, clock, destinations, **changes)
        try:
            await clock.through(gateway.open(listener))
            yield Stage(server, gateway, listener, clock)
        finally:
            await clock.through(gateway.close())
