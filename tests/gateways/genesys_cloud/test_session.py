"""The session with the platform: channels, subscriptions, signs of life, hand-overs."""

from __future__ import annotations

import json
from uuid import NAMESPACE_URL, uuid5

import pytest

from runner.core.errors import GatewayError
from runner.ports import Observed
from runner.testing.stepped_clock import SteppedClock
from tests.fakes.vendor_server import VendorServer, event, metadata, silent
from tests.fakes.wire_server import Peer, Reaction, answer
from tests.gateways.genesys_harness import (
    MOVED,
    SOURCE,
    TARGET,
    TO_QUEUE,
    TO_USER,
    USER,
    WAITING,
    gateway_to,
    staged,
)
from tests.gateways.harness import Listener

CHANNELS = "/api/v2/notifications/channels"
TOPIC = f"v2.routing.queues.{TARGET}.conversations"


def dials(server: VendorServer) -> list[dict[str, str]]:
    return [request.headers for request in server.asked("/channels/")]


async def test_a_channel_is_made_subscribed_to_the_destinations_and_dialled_without_the_token():
    async with staged([TO_QUEUE, TO_USER, "tel:+31205550100"]) as stage:
        assert stage.gateway.generation == 1
        assert stage.gateway.writable()
        made = [r for r in stage.server.asked(CHANNELS) if r.path == CHANNELS]
        assert [(r.method, r.body) for r in made] == [("GET", b""), ("POST", b"")]
        assert stage.subscribed() == [[TOPIC, f"v2.users.{USER}.conversations"]]
        (dialled,) = dials(stage.server)
        assert "authorization" not in dialled
        assert stage.listener.all("opened")[0].tls is None


async def test_a_batch_of_many_destinations_gets_more_channels():
    many = [f"genesys://queue/{uuid5(NAMESPACE_URL, str(n))}" for n in range(2500)]
    async with staged(many) as stage:
        assert [len(topics) for topics in stage.subscribed()] == [1000, 1000, 500]
        assert len(dials(stage.server)) == 3


async def test_sources_are_subscribed_to_as_look_ups_meet_them_once_and_together():
    other = "44444444-4444-4444-8444-444444444444"
    async with staged() as stage:
        theirs = {**WAITING, "id": "c-2"}
        theirs["participants"] = [{**WAITING["participants"][1], "queueId": other}]
        stage.server.conversations["c-2"] = theirs
        for conversation_id in ("c-1", "c-2", "c-1"):
            await stage.gateway.look_up(conversation_id)
        assert len(stage.subscribed()) == 1
        await stage.clock.until(lambda: len(stage.subscribed()) == 2)
        topics = [f"v2.routing.queues.{each}.conversations" for each in (SOURCE, other)]
        assert stage.subscribed()[1] == topics
        await stage.gateway.look_up("c-1")
        await stage.clock.advance(5)
        assert len(stage.subscribed()) == 2


async def test_a_topic_that_is_refused_costs_only_itself():
    good = [f"genesys://queue/{uuid5(NAMESPACE_URL, str(n))}" for n in range(3)]
    refusal = answer(400, {"code": "notification.invalid.topic"})
    async with VendorServer() as server:
        # The four, then the first two, are refused; of these the second.
        start = f"POST {CHANNELS}/ch-1/subscriptions"
        server.script(start, refusal, refusal, answer(200, {}), refusal)
        clock, listener = SteppedClock(), Listener()
        gateway = gateway_to(server, clock, [good[0], TO_QUEUE, *good[1:]])
        await clock.through(gateway.open(listener))
        asked = [r for r in server.requests if r.path.endswith("/subscriptions")]
        assert [len(json.loads(r.body)) for r in asked] == [4, 2, 1, 1, 2]
        assert [stray.why for stray in listener.all("noted")] == [f"no topic {TOPIC}"]
        await clock.through(gateway.close())


async def test_a_missing_permission_ends_the_opening_and_is_named():
    body = {"code": "missing.permissions", "message": "You are missing: [routing:queue:view]"}
    async with VendorServer() as server:
        server.script(f"POST {CHANNELS}", answer(403, body))
        clock = SteppedClock()
        gateway = gateway_to(server, clock)
        with pytest.raises(GatewayError, match="roles lack routing:queue:view"):
            await clock.through(gateway.open(Listener()))
        await clock.through(gateway.close())


@pytest.mark.parametrize(
    "uri",
    ["ws://203.0.113.7/channel?secret=canary", "http://127.0.0.1/x?secret=canary", "", "wss:"],
)
async def test_an_address_that_is_not_encrypted_is_not_dialled_nor_shown(uri: str):
    async with VendorServer() as server:
        server.script(f"POST {CHANNELS}", answer(200, {"id": "ch-9", "connectUri": uri}))
        clock = SteppedClock()
        gateway = gateway_to(server, clock)
        with pytest.raises(GatewayError, match="not encrypted") as caught:
            await clock.through(gateway.open(Listener()))
        assert "canary" not in str(caught.value)
        await clock.through(gateway.close())


async def test_a_refused_socket_is_told_without_its_query():
    async with VendorServer() as server:
        server.handshake_answers.append(answer(403))
        clock = SteppedClock()
        gateway = gateway_to(server, clock)
        with pytest.raises(GatewayError, match=r"refuses the channel's socket \(403\)") as caught:
            await clock.through(gateway.open(Listener()))
        assert "canary" not in str(caught.value)
        await clock.through(gateway.close())


async def test_a_socket_about_to_close_is_replaced_before_it_is_dropped():
    async with staged() as stage:
        first = stage.server.peers[0]
        closed_by_then = []

        async def second(peer: Peer) -> None:
            closed_by_then.append(first.close_frame)
            await first.send_text(event(TARGET, MOVED))  # what comes there still counts
            await silent(peer)

        stage.server.sessions.append(second)
        await stage.submit()
        await stage.say("v2.system.socket_closing")
        reply = await stage.clock.through(stage.listener.until("replied"), step_s=0.1)
        assert reply.status == "transfer_initiated"
        assert closed_by_then == [None]
        await stage.clock.until(lambda: first.close_frame is not None)
        assert stage.gateway.generation == 1
        assert TOPIC in stage.subscribed()[-1]
        assert stage.listener.all("lost") == []


async def test_what_was_observed_is_not_known_after_a_hand_over_until_it_is_asked_for_again():
    group = {"queueId": TARGET, "mediaType": "voice"}
    data = [{"metric": "oWaiting", "stats": {"count": 3}}]
    async with VendorServer() as server:
        query = "POST /api/v2/analytics/queues/observations/query"
        server.standing[query] = answer(200, {"results": [{"group": group, "data": data}]})
        clock, told = SteppedClock(), list[Observed]()
        gateway = gateway_to(server, clock, [TO_QUEUE])
        gateway.observe([TO_QUEUE], told.append)
        await clock.through(gateway.open(Listener()))
        assert [each.figures is None for each in told] == [False]
        await server.peers[0].send_text(
            metadata("closing") | {"topicName": "v2.system.socket_closing"}
        )
        await clock.until(lambda: len(told) == 3)
        assert [each.figures is None for each in told[1:]] == [True, False]
        assert told[2].at > told[0].at
        await clock.through(gateway.close())


@pytest.mark.parametrize("kind", ["no_longer_subscribed", "token_revoked"])
async def test_a_channel_that_is_taken_away_gets_a_successor_of_the_same_topics(kind: str):
    async with staged() as stage:
        await stage.say(f"v2.system.{kind}.ch-1")
        stage.server.peers[0].cut()
        await stage.clock.until(lambda: len(stage.server.peers) == 2)
        await stage.submit()
        await stage.tell(MOVED)
        reply = await stage.clock.through(stage.listener.until("replied"), step_s=0.1)
        assert reply.status == "transfer_initiated"
        assert stage.gateway.generation == 1
        assert stage.subscribed()[1] == [TOPIC]
        assert stage.gateway.token_renewals == (1 if kind == "token_revoked" else 0)
        assert stage.listener.all("lost") == []


async def test_a_lost_socket_loses_the_session_and_the_next_one_is_another():
    async with staged() as stage:
        stage.server.peers[0].cut()
        lost = await stage.listener.until("lost")
        assert (lost.generation, lost.code, lost.ours) == (1, 1006, False)
        assert stage.gateway.generation is None
        before = stage.clock.now()
        opened = await stage.clock.through(stage.listener.until("opened", 2))
        assert opened.generation == stage.gateway.generation == 2
        assert stage.clock.now() - before >= 2
        assert stage.subscribed() == [[TOPIC], [TOPIC]]


async def test_no_session_for_as_long_as_is_waited_ends_the_run():
    async with staged() as stage:
        stage.server.standing[f"POST {CHANNELS}"] = answer(503)
        stage.server.peers[0].cut()
        error = await stage.clock.through(stage.listener.until("gave_up"), step_s=10)
        assert "no session for 300 s, given up: no channel in 4 attempts" in str(error)


async def test_a_socket_that_is_silent_is_asked_and_then_dead():
    async def deaf(peer: Peer) -> None:
        while (text := await peer.next_text()) is not None:
            heard.append(text)

    heard: list[str] = []
    async with VendorServer(usual_session=deaf) as server:
        clock, listener = SteppedClock(), Listener()
        gateway = gateway_to(server, clock)
        await clock.through(gateway.open(listener))
        await clock.advance(29)
        assert heard == []
        lost = await clock.through(listener.until("lost"))
        assert heard == ['{"message":"ping"}']
        assert "silent for 35 s" in lost.reason
        await clock.through(gateway.close())


async def test_heartbeats_and_pongs_keep_a_session():
    async with staged() as stage:
        for _ in range(4):
            await stage.clock.advance(33)  # a ping is sent and answered
            await stage.server.peers[0].send_text(metadata("WebSocket Heartbeat"))
        assert stage.listener.all("lost") == []
        assert stage.gateway.generation == 1


async def test_what_is_no_event_is_noted():
    async with staged() as stage:
        await stage.server.peers[0].send_text("nonsense")
        assert (await stage.listener.until("noted")).why == "not JSON"


async def test_closing_ends_the_session_as_ours():
    async with staged() as stage:
        await stage.gateway.close()
        await stage.gateway.close()
        lost = await stage.listener.until("lost")
        assert (lost.code, lost.reason, lost.ours) == (1000, "session terminated", True)
        assert stage.server.peers[0].close_frame == (1000, "session terminated")


# Channels that are used again


async def opened_and_closed(server: VendorServer) -> None:
    clock = SteppedClock()
    gateway = gateway_to(server, clock)
    await clock.through(gateway.open(Listener()))
    await clock.through(gateway.close())


def made(server: VendorServer) -> int:
    return len([r for r in server.of("POST", CHANNELS) if r.path == CHANNELS])


def listed(server: VendorServer, name: str) -> dict[str, str]:
    uri = server.url("ws", f"/channels/{name}?secret=canary-query")
    return {"id": name, "connectUri": uri, "expires": "2026-12-02T21:00:00.000Z"}


async def test_a_command_leaves_its_channel_free_and_the_next_takes_it():
    async with VendorServer() as server:
        server.channels = [listed(server, "ch-1")]
        for _ in range(3):
            await opened_and_closed(server)
            assert server.followed["ch-1"] == []
        assert made(server) == 0
        assert len(dials(server)) == 3


async def test_a_channel_that_follows_something_is_somebody_elses():
    async with VendorServer() as server:
        server.channels = [listed(server, "theirs")]
        server.followed["theirs"] = [{"id": "v2.users.x.conversations"}]
        await opened_and_closed(server)
        assert made(server) == 1
        assert server.followed["theirs"] == [{"id": "v2.users.x.conversations"}]


@pytest.mark.parametrize("listing", [answer(403), answer(404), answer(200, {"entities": 7})])
async def test_where_channels_cannot_be_listed_one_is_made(listing: Reaction):
    async with VendorServer() as server:
        server.standing[f"GET {CHANNELS}"] = listing
        clock = SteppedClock()
        gateway = gateway_to(server, clock)
        await clock.through(gateway.open(Listener()))
        assert made(server) == 1
        await clock.through(gateway.close())


async def test_after_a_lost_session_its_own_channel_is_used_again_though_it_follows_something():
    async with staged() as stage:
        stage.server.channels = [listed(stage.server, "ch-1")]
        stage.server.peers[0].cut()
        await stage.clock.through(stage.listener.until("opened", 2))
        assert made(stage.server) == 1
        assert [topic["id"] for topic in stage.server.followed["ch-1"]] == [TOPIC]
        assert stage.gateway.generation == 2
