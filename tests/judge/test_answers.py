"""The SDK logs in, looks, moves and listens; every answer is held against its own models."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import PureCloudPlatformClientV2 as sdk
import pytest
import websocket
from models import find_faults
from PureCloudPlatformClientV2.rest import ApiException
from vendor import INTERVAL, Vendor, holder


def error(problem: pytest.ExceptionInfo[ApiException]) -> Any:
    body = json.loads(problem.value.body)
    assert find_faults(body, "ErrorBody") == []
    return body


def wait_for(condition: Callable[[], Any]) -> Any:
    for _ in range(100):
        if (met := condition()) is not None:
            return met
        time.sleep(0.05)
    pytest.fail("it did not come about")


def test_a_wrong_secret_and_an_unknown_client_are_told_apart(simulator: dict[str, str]):
    client = sdk.ApiClient(host=simulator["api_url"])

    with pytest.raises(ApiException) as wrong:
        client.get_client_credentials_token(simulator["client_id"], "guessed")
    with pytest.raises(ApiException) as unknown:
        client.get_client_credentials_token("nobody", "guessed")

    assert (wrong.value.status, unknown.value.status) == (401, 400)
    assert json.loads(unknown.value.body)["error"] == "invalid_client"


def test_the_token_and_what_it_permits_are_told(vendor: Vendor):
    sdk.TokensApi(vendor.client).get_tokens_me()
    assert find_faults(vendor.answer, "TokenInfo") == []

    subject = sdk.AuthorizationApi(vendor.client).get_authorization_subjects_me(
        include_full_roles=True
    )

    assert find_faults(vendor.answer, "AuthzSubject") == []
    policies = subject.grants[0].role.policies
    assert ("conversation", "communication", ["view"]) in [
        (one.domain, one.entity_name, one.actions) for one in policies
    ]


def test_conversations_of_each_medium_are_whole(vendor: Vendor):
    rows = vendor.waiting(vendor.queue("Billing Old"))
    assert find_faults(vendor.answer, "ConversationActivityResponse") == []
    by_medium = {row.media_type: row.conversation_id for row in rows}
    assert sorted(by_medium) == ["callback", "email", "message", "voice"]

    for conversation_id in by_medium.values():
        conversation = vendor.conversations.get_conversation(conversation_id)
        assert find_faults(vendor.answer, "Conversation") == []
        assert conversation.id == conversation_id
        assert holder(conversation).queue_name == "Billing Old"


def test_a_move_to_a_queue_shows_there(vendor: Vendor, ledger: Path):
    target = vendor.queue("Billing New")
    conversation = vendor.first_waiting("Billing Old")

    vendor.replace_with_queue(conversation, target)

    assert (vendor.client.last_response.status, vendor.client.last_response.data) == (202, "")
    moved = wait_for(lambda: vendor.arrived(conversation.id))
    assert find_faults(vendor.answer, "Conversation") == []
    assert (holder(moved).purpose, holder(moved).queue_id) == ("acd", target)
    last = json.loads(ledger.read_text().splitlines()[-1])
    assert last["message_id"] == moved.recent_transfers[0].id
    assert last["destination_uri"] == f"genesys://queue/{target}"


def test_a_move_to_a_user_alerts_and_connects(vendor: Vendor):
    search = sdk.UserSearchRequest()
    criterion = sdk.UserSearchCriteria()
    criterion.type, criterion.fields, criterion.value = "EXACT", ["name"], "Ada Lovelace"
    search.query = [criterion]
    (user,) = vendor.users.post_users_search(search).results
    assert find_faults(vendor.answer, "UsersSearchResponse") == []
    conversation = vendor.first_waiting("Billing Old")
    body = sdk.TransferToAgentRequest()
    body.user_id = user.id

    vendor.conversations.post_conversation_participant_replace_agent(
        conversation.id, holder(conversation).id, body
    )

    def connected() -> sdk.Participant | None:
        moved = vendor.conversations.get_conversation(conversation.id)
        agents = [one for one in moved.participants if one.purpose == "agent"]
        return agents[0] if agents and agents[0].connected_time else None

    assert wait_for(connected).user_id == user.id
    assert find_faults(vendor.answer, "Conversation") == []


def test_a_transfer_leads_to_an_address_but_a_callback_does_not(vendor: Vendor):
    source = vendor.queue("Billing Old")
    conversation = vendor.first_waiting("Billing Old", callback=False)
    body = sdk.TransferToAddressRequest()
    body.address = "+441234567890"

    vendor.conversations.post_conversation_participant_transfer(
        conversation.id, holder(conversation).id, body
    )

    moved = wait_for(lambda: vendor.arrived(conversation.id))
    assert moved.recent_transfers[0].destination.address == "+441234567890"
    callback = next(one for one in vendor.waiting(source) if one.media_type == "callback")
    conversation = vendor.conversations.get_conversation(callback.conversation_id)
    with pytest.raises(ApiException) as refused:
        vendor.conversations.post_conversation_participant_transfer(
            conversation.id, holder(conversation).id, body
        )
    assert error(refused)["code"] == "bad.request"


def test_refusals_bear_the_platform_s_error_body(vendor: Vendor):
    source = vendor.queue("Billing Old")
    conversation = vendor.first_waiting("Billing Old")
    with pytest.raises(ApiException) as same:
        vendor.replace_with_queue(conversation, source)
    with pytest.raises(ApiException) as nowhere:
        vendor.replace_with_queue(conversation, None)
    with pytest.raises(ApiException) as missing:
        vendor.conversations.get_conversation("00000404-0000-4000-8000-000000000001")

    assert [error(one)["code"] for one in (same, nowhere, missing)] == [
        "conversations.error.transfer.same.party",
        "conversations.error.transfer.destination.required",
        "not.found",
    ]
    assert missing.value.headers["ININ-Correlation-Id"] == error(missing)["contextId"]


def test_a_channel_tells_of_a_move(vendor: Vendor):
    source, target = vendor.queue("Support"), str(uuid4())
    channel = vendor.notifications.post_notifications_channels()
    assert find_faults(vendor.answer, "Channel") == []
    topics = [sdk.ChannelTopic(), sdk.ChannelTopic()]
    for topic, queue_id in zip(topics, (source, target), strict=True):
        topic.id = f"v2.routing.queues.{queue_id}.conversations"
    vendor.notifications.put_notifications_channel_subscriptions(channel.id, topics[:1])
    vendor.notifications.post_notifications_channel_subscriptions(channel.id, topics[1:])
    assert find_faults(vendor.answer, "ChannelTopicEntityListing") == []
    followed = vendor.notifications.get_notifications_channel_subscriptions(channel.id)
    assert [one.id for one in followed.entities] == [one.id for one in topics]
    vendor.notifications.get_notifications_channels()
    assert find_faults(vendor.answer, "ChannelEntityListing") == []
    vendor.notifications.head_notifications_channel(channel.id)

    socket = websocket.create_connection(channel.connect_uri, timeout=10)
    conversation = vendor.first_waiting("Support")
    vendor.replace_with_queue(conversation, target)
    pending, *complete = (json.loads(socket.recv()) for _ in range(3))
    socket.close()

    assert (pending["topicName"], pending["version"]) == (topics[0].id, "2")
    assert {one["topicName"] for one in complete} == {one.id for one in topics}
    for event in (pending, *complete):
        told = event["eventBody"]
        assert find_faults(told, "QueueConversationEventTopicConversation") == []
        assert told["id"] == conversation.id
        assert event["metadata"]["CorrelationId"]
    assert [one["eventBody"]["recentTransfers"][0]["state"] for one in (pending, *complete)] == [
        *("pending", "complete", "complete"),
    ]


def shown(vendor: Vendor, conversation_id: str) -> sdk.Conversation | None:
    """Return a conversation as a look-up shows it; None if it lies in another division."""
    try:
        conversation = vendor.conversations.get_conversation(conversation_id)
    except ApiException as refused:
        body = json.loads(refused.body)
        assert find_faults(body, "ErrorBody") == []
        assert body["code"] == "not.authorized"
        return None
    assert find_faults(vendor.answer, "Conversation") == []
    return conversation


def test_what_people_did_is_told_as_the_models_have_it(busy: Vendor):
    rows = busy.waiting(busy.queue("Billing Old"))
    assert find_faults(busy.answer, "ConversationActivityResponse") == []
    assert (busy.answer["results"][0]["truncated"], len(rows)) == (True, 40)
    seen = list(filter(None, (shown(busy, row.conversation_id) for row in rows)))
    assert len(seen) < len(rows)
    participants = [one for conversation in seen for one in conversation.participants]
    assert {one.purpose for one in participants if one.consult_participant_id} == {
        "agent",
        "acd",
        "external",
    }
    transfers = [one for conversation in seen for one in conversation.recent_transfers]
    assert transfers
    assert all(one.initiator.user_id for one in transfers)


def test_former_users_are_told_with_their_state(busy: Vendor):
    search = sdk.UserSearchRequest()
    criterion = sdk.UserSearchCriteria()
    criterion.type, criterion.fields, criterion.value = "EXACT", ["name"], "Ada Lovelace"
    search.query = [criterion]
    found = busy.users.post_users_search(search).results
    assert find_faults(busy.answer, "UsersSearchResponse") == []
    assert sorted(one.state for one in found) == ["active", "deleted"]


def test_queues_are_found_by_name(vendor: Vendor):
    twins = vendor.routing.get_routing_queues(name="twins")
    assert find_faults(vendor.answer, "QueueEntityListing") == []
    assert [one.name for one in twins.entities] == ["Twins", "Twins"]
    assert len(vendor.routing.get_routing_queues(name="*illing*").entities) == 2

    vendor.routing.get_routing_queue(twins.entities[1].id)

    assert find_faults(vendor.answer, "Queue") == []
    vendor.users.get_users(page_size=1)
    assert find_faults(vendor.answer, "UserEntityListing") == []


def test_details_of_who_waits_come_in_pages(vendor: Vendor):
    query = sdk.ConversationQuery()
    query.interval = INTERVAL
    segment, conversation = sdk.SegmentDetailQueryFilter(), sdk.ConversationDetailQueryFilter()
    here, open_still = sdk.SegmentDetailQueryPredicate(), sdk.SegmentDetailQueryPredicate()
    here.dimension, here.value = "queueId", vendor.queue("Billing Old")
    open_still.dimension, open_still.operator = "segmentEnd", "notExists"
    segment.type, segment.predicates = "and", [here, open_still]
    not_ended = sdk.ConversationDetailQueryPredicate()
    not_ended.dimension, not_ended.operator = "conversationEnd", "notExists"
    conversation.type, conversation.predicates = "and", [not_ended]
    query.segment_filters, query.conversation_filters = [segment], [conversation]
    query.paging = sdk.PagingSpec()
    query.paging.page_size = 20
    seen = []
    for number in (1, 2, 3, 4):
        query.paging.page_number = number
        page = vendor.analytics.post_analytics_conversations_details_query(query)
        assert find_faults(vendor.answer, "AnalyticsConversationQueryResponse") == []
        seen += [one.conversation_id for one in page.conversations or []]

    assert len(seen) == len(set(seen)) == page.total_hits
    assert sorted(seen) == sorted(one.conversation_id for one in vendor.waiting(here.value))
