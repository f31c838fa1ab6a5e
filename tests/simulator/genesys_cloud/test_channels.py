"""Notification channels of the platform: topics, events, and what closes a channel."""

import json

import pytest

from runner.simulator.genesys_cloud.actions import Hangup
from runner.simulator.genesys_cloud.channels import HEARTBEAT
from runner.simulator.genesys_cloud.entities import make_id
from runner.simulator.genesys_cloud.model import GenesysModel
from runner.simulator.genesys_cloud.routes import PERMISSIONS
from tests.simulator.genesys_shell import (
    CONVERSATION,
    OTHER_QUEUE,
    QUEUE,
    USER,
    GenesysShell,
    genesys_shell,
    queue_topic,
    user_topic,
)

CHANNELS = "/api/v2/notifications/channels"
ORIGIN = make_id("queue", "origin")
DAY_S = 86_400


def subscriptions(channel: str) -> str:
    return f"{CHANNELS}/{channel}/subscriptions"


def topics_of(shell: GenesysShell, channel: str) -> list[str]:
    return [one["id"] for one in shell.get(subscriptions(channel)).body["entities"]]


def test_a_channel_says_where_to_connect_and_until_when():
    shell = genesys_shell()
    shell.model.organisation.channels.streaming_url = "ws://127.0.0.1:8443"

    created = shell.ask("POST", CHANNELS).body

    assert created == {
        "id": created["id"],
        "connectUri": f"ws://127.0.0.1:8443/channels/{created['id']}",
        "expires": "2026-12-02T21:00:00.250Z",
    }
    assert shell.get(CHANNELS).body == {"entities": [created]}
    assert shell.ask("HEAD", f"{CHANNELS}/{created['id']}").status == 200
    assert shell.ask("HEAD", f"{CHANNELS}/{QUEUE}").status == 404


def test_topics_are_replaced_by_put_and_added_by_post():
    shell = genesys_shell()
    channel = shell.follow(queue_topic(QUEUE))

    added = shell.ask("POST", subscriptions(channel), [{"id": user_topic(USER)}])
    both = topics_of(shell, channel)
    shell.ask("PUT", subscriptions(channel), [{"id": queue_topic(OTHER_QUEUE)}])
    replaced = topics_of(shell, channel)
    shell.ask("DELETE", subscriptions(channel))

    assert added.body == {"entities": [{"id": user_topic(USER), "state": "Permitted"}]}
    assert both == [queue_topic(QUEUE), user_topic(USER)]
    assert replaced == [queue_topic(OTHER_QUEUE)]
    assert topics_of(shell, channel) == []


def test_a_channel_takes_a_thousand_topics():
    shell = genesys_shell()
    channel = shell.follow()
    topics = [{"id": queue_topic(make_id("a queue", number))} for number in range(1001)]

    assert shell.ask("PUT", subscriptions(channel), topics[:1000]).status == 200
    over = shell.ask("POST", subscriptions(channel), topics[1000:])

    assert (over.status, over.code) == (400, "notification.subscription.too.many.subscriptions")
    assert len(topics_of(shell, channel)) == 1000


@pytest.mark.parametrize(
    "topic",
    [
        "v2.routing.queues.billing.conversations",
        f"v2.routing.queues.{QUEUE}.users",
        queue_topic("00000404-0000-4000-8000-000000000001"),
        "",
    ],
)
def test_a_topic_that_does_not_exist_is_refused(topic: str):
    shell = genesys_shell()
    channel = shell.follow()

    refused = shell.ask("PUT", subscriptions(channel), [{"id": topic}])

    assert (refused.status, refused.code) == (400, "notification.invalid.topic")


def test_a_topic_that_is_not_permitted_is_refused_or_told_of():
    shell = genesys_shell(permissions=PERMISSIONS - {"directory:user:view"})
    channel = shell.follow()
    foreign = queue_topic("00000403-0000-4000-8000-000000000001")

    refused = shell.ask("PUT", subscriptions(channel), [{"id": user_topic(USER)}])
    lenient = shell.ask(
        "PUT",
        subscriptions(channel),
        [{"id": user_topic(USER)}, {"id": foreign}, {"id": queue_topic(QUEUE)}],
        query={"ignoreErrors": ["true"]},
    )

    assert (refused.status, refused.code) == (403, "missing.permissions")
    assert lenient.body["entities"] == [
        {
            "id": user_topic(USER),
            "state": "Rejected",
            "rejectionReason": "missing.permissions",
            "missingPermissions": ["directory:user:view"],
        },
        {
            "id": foreign,
            "state": "Rejected",
            "rejectionReason": "not.authorized",
            "missingPermissions": [],
        },
        {"id": queue_topic(QUEUE), "state": "Permitted"},
    ]
    assert topics_of(shell, channel) == [queue_topic(QUEUE)]


def test_a_move_is_told_where_it_leaves_and_where_it_arrives():
    shell = genesys_shell()
    channel = shell.follow(queue_topic(ORIGIN), queue_topic(QUEUE), queue_topic(OTHER_QUEUE))

    shell.replace(queueId=QUEUE)

    told = [
        (frame["topicName"], frame["eventBody"]["recentTransfers"][0]["state"])
        for _, frame in shell.frames
    ]
    assert told == [
        (queue_topic(ORIGIN), "pending"),
        (queue_topic(ORIGIN), "complete"),
        (queue_topic(QUEUE), "complete"),
    ]
    assert {told_to for told_to, _ in shell.frames} == {channel}
    frame = shell.frames[-1][1]
    assert (frame["version"], set(frame)) == (
        "2",
        {"topicName", "version", "eventBody", "metadata"},
    )
    assert frame["eventBody"]["id"] == CONVERSATION
    assert frame["eventBody"]["participants"][-1]["queueId"] == QUEUE
    assert frame["eventBody"]["recentTransfers"][0]["transferType"] == "unattended"
    assert frame["metadata"]["CorrelationId"]


def test_a_move_to_a_user_is_told_when_it_alerts_and_when_it_connects():
    shell = genesys_shell()
    shell.follow(user_topic(USER))

    shell.replace("replace/agent", userId=USER)

    alerting, connected = (frame["eventBody"]["participants"][-1] for _, frame in shell.frames)
    assert "connectedTime" not in alerting
    assert connected["connectedTime"]
    live = [one for name in ("calls", "messages", "emails", "callbacks") for one in alerting[name]]
    assert [one["state"] for one in live] == ["alerting"]


def test_whoever_is_not_connected_is_told_nothing():
    shell = genesys_shell()
    channel = shell.follow(queue_topic(ORIGIN))
    shell.model.organisation.channels.disconnect(channel, 1)

    shell.replace(queueId=QUEUE)

    assert shell.frames == []


def test_a_socket_that_was_replaced_does_not_disconnect_the_one_after_it():
    shell = genesys_shell()
    channel = shell.follow(queue_topic(ORIGIN))
    assert shell.model.organisation.channels.connect(channel, shell.now) == 2
    shell.model.organisation.channels.disconnect(channel, 1)

    shell.replace(queueId=QUEUE)

    assert len(shell.frames) == 2


def test_the_twenty_first_channel_costs_the_one_that_was_not_used_for_longest():
    shell = genesys_shell()
    connected = shell.follow()
    idle = []
    for _ in range(19):
        shell.now += 1
        idle.append(shell.ask("POST", CHANNELS).body["id"])
    shell.now += 1
    shell.get(subscriptions(idle[0]))

    shell.ask("POST", CHANNELS)

    assert shell.get(subscriptions(idle[1])).status == 404
    assert [shell.get(subscriptions(one)).status for one in (connected, idle[0])] == [200, 200]
    ((told_to, frame),) = shell.frames
    assert told_to == idle[1]
    assert frame["topicName"] == f"v2.system.no_longer_subscribed.{idle[1]}"
    assert frame["eventBody"]["reason"] == "another_channel_subscribed"


def test_a_channel_lives_for_a_day_and_for_another_when_it_is_subscribed_anew():
    shell = genesys_shell()
    kept, gone = shell.follow(), shell.follow()
    shell.now += DAY_S - 1
    shell.renew()
    shell.ask("PUT", subscriptions(kept), [])
    shell.now += 2
    shell.put(shell.model.organisation.channels.beat(shell.now))
    shell.run()

    assert shell.frames == [(kept, json.loads(HEARTBEAT))]
    assert [(one.channel_id, one.code) for one in shell.hangups] == [(gone, 1001)]
    assert shell.model.organisation.channels.connect(gone, shell.now) is None


def test_a_ping_is_answered_and_nothing_else_is():
    assert json.loads(GenesysModel.hear('{"message":"ping"}') or "") == {
        "topicName": "channel.metadata",
        "eventBody": {"message": "pong"},
    }
    assert [
        GenesysModel.hear(one) for one in ('{"message":"hello"}', "ping", "[]", "[" * 9999)
    ] == [
        *(None, None, None, None),
    ]


def test_events_are_lost_late_or_doubled_by_fault():
    def told(fault: str) -> list[tuple[float, str]]:
        shell = genesys_shell(faults={fault: 1.0}, latency_s=0.1)
        shell.follow(queue_topic(QUEUE))
        began = shell.now
        shell.replace(queueId=QUEUE)
        shell.run()
        return [(shell.now - began, frame["topicName"]) for _, frame in shell.frames]

    assert told("event_lost") == []
    assert [topic for _, topic in told("event_doubled")] == [queue_topic(QUEUE)] * 2
    ((late_s, _),) = told("event_late")
    assert late_s > 1.9


def test_a_command_may_evict_the_channels_of_the_client():
    shell = genesys_shell(faults={"channel_evicted": 1.0})
    channel = shell.follow(queue_topic(ORIGIN))

    assert shell.replace(queueId=QUEUE).status == 202

    assert shell.frames[-1][1]["topicName"] == f"v2.system.no_longer_subscribed.{channel}"
    assert shell.hangups == [Hangup(channel, 1001, "no longer subscribed")]
    assert shell.get(subscriptions(channel)).status == 404


def test_a_closing_socket_is_announced_a_minute_before_and_spares_the_next_one():
    shell = genesys_shell(faults={"socket_closing": 1.0})
    channel = shell.follow(queue_topic(ORIGIN))
    shell.replace(queueId=QUEUE, wait=False)
    shell.run(0.0)

    announced = [frame["topicName"] for _, frame in shell.frames]
    early = list(shell.hangups)
    shell.run(60.0)

    assert announced.count("v2.system.socket_closing") == 1
    assert early == []
    assert shell.hangups == [Hangup(channel, 1001, "the socket is closing", connection=1)]
