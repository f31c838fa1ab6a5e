"""Half characters and odd headers of the platform: read, never a fault of ours."""

from __future__ import annotations

import pytest

from runner.core.errors import GatewayError
from runner.core.transfer.lookup_verdict import PARTICIPANT
from runner.testing.stepped_clock import SteppedClock
from tests.fakes.vendor_server import VendorServer, conversation, participant
from tests.fakes.wire_server import answer
from tests.gateways.genesys_harness import WAITING, gateway_to, staged
from tests.gateways.harness import Listener

HALF = "\ud800"
CHANNELS = "/api/v2/notifications/channels"


@pytest.mark.parametrize(
    "fields",
    [
        {"queueId": HALF},
        {"queueId": "q", HALF: HALF},
        {"queueId": "q", "address": HALF},
        {"queueId": "q", "queue": {"id": HALF}},
    ],
)
async def test_a_conversation_with_half_characters_can_be_looked_up_and_moved(
    fields: dict[str, str],
):
    async with staged() as stage:
        stage.server.conversations["c-1"] = conversation(
            "c-1", participant("acd", HALF, **fields), recentTransfers=[]
        )
        seen = await stage.gateway.look_up("c-1")
        assert seen.handles == {PARTICIPANT: "\ufffd"}
        await stage.submit()
        await stage.clock.through(stage.server.until(lambda: len(stage.posts) == 1))


@pytest.mark.parametrize(
    "channel",
    [
        {"id": HALF, "connectUri": "ws://127.0.0.1:1/x"},
        {"id": "ch", "connectUri": f"ws://127.0.0.1:1/{HALF}"},
        {"id": "ch", "connectUri": f"ws://{HALF}/"},
    ],
)
async def test_a_channel_with_half_characters_is_a_clear_error(channel: dict[str, str]):
    async with VendorServer() as server:
        server.standing[f"POST {CHANNELS}"] = answer(200, channel)
        server.standing["POST /api/v2/notifications/channels/"] = answer(200, {})
        clock = SteppedClock()
        gateway = gateway_to(server, clock)
        with pytest.raises(GatewayError):
            await clock.through(gateway.open(Listener()))
        await clock.through(gateway.close())


async def test_a_refusal_with_half_characters_is_told_in_whole_ones():
    async with staged() as stage:
        body = {"code": HALF, "message": HALF, "messageParams": {HALF: HALF}}
        stage.server.script("POST /api/v2/conversations/", answer(400, body, Via="Zürich"))
        await stage.submit()
        await stage.clock.through(stage.server.until(lambda: bool(stage.listener.all("replied"))))
        [reply] = stage.listener.all("replied")
        assert reply.status == "transfer_rejected"
        assert "\ufffd" in str(reply.reason)


async def test_an_event_with_half_characters_ends_no_session():
    async with staged() as stage:
        await stage.submit()
        await stage.tell({**WAITING, "id": HALF, HALF: [HALF]})
        await stage.tell({**WAITING, "participants": [participant("acd", HALF, queueId=HALF)]})
        await stage.say(HALF)
        await stage.clock.through(stage.server.until(lambda: bool(stage.listener.all("noted"))))
        assert stage.gateway.generation == 1
