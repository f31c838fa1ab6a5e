"""The vendor's SDK, logged in."""

from __future__ import annotations

import json
from typing import Any

import PureCloudPlatformClientV2 as sdk

INTERVAL = "2026-01-01T00:00:00.000Z/2036-01-01T00:00:00.000Z"


class Vendor:
    """One client, and the SDK's APIs over it."""

    def __init__(self, client: sdk.ApiClient) -> None:
        self.client = client
        self.conversations = sdk.ConversationsApi(client)
        self.notifications = sdk.NotificationsApi(client)
        self.analytics = sdk.AnalyticsApi(client)
        self.routing = sdk.RoutingApi(client)
        self.users = sdk.UsersApi(client)

    @property
    def answer(self) -> Any:
        """The JSON of the last answer, as it came."""
        return json.loads(self.client.last_response.data)

    def queue(self, name: str) -> str:
        """Return the id of the queue of that name."""
        return self.routing.get_routing_queues(name=name).entities[0].id

    def waiting(self, queue_id: str) -> list[Any]:
        """Return who waits in a queue, as the SDK's own query objects ask for it."""
        query = sdk.ConversationActivityQuery()
        metric = sdk.ConversationActivityQueryMetric()
        metric.metric, metric.details = "oWaiting", True
        query.metrics = [metric]
        predicate = sdk.ConversationActivityQueryPredicate()
        predicate.dimension, predicate.value = "queueId", queue_id
        query.filter = sdk.ConversationActivityQueryFilter()
        query.filter.type, query.filter.predicates = "and", [predicate]
        found = self.analytics.post_analytics_conversations_activity_query(
            query, page_size=100, page_number=1
        )
        return found.results[0].entities

    def first_waiting(self, queue_name: str, *, callback: bool | None = None) -> sdk.Conversation:
        """Return the conversation that waits longest; a callback or not one, where that is said."""
        row = next(
            one
            for one in self.waiting(self.queue(queue_name))
            if callback in {None, one.media_type == "callback"}
        )
        return self.conversations.get_conversation(row.conversation_id)

    def arrived(self, conversation_id: str) -> sdk.Conversation | None:
        """Return the conversation once its last command is complete."""
        conversation = self.conversations.get_conversation(conversation_id)
        return conversation if conversation.recent_transfers[0].state == "Complete" else None

    def replace_with_queue(self, conversation: sdk.Conversation, queue_id: str | None) -> None:
        """Move whoever holds the conversation to a queue."""
        body = sdk.TransferToQueueRequest()
        body.queue_id = queue_id
        self.conversations.post_conversation_participant_replace_queue(
            conversation.id, holder(conversation).id, body
        )


def holder(conversation: sdk.Conversation) -> sdk.Participant:
    """Return the participant that holds the conversation."""
    (found,) = (
        one
        for one in conversation.participants
        if one.purpose in {"acd", "agent"}
        and (one.calls + one.emails + one.messages + one.callbacks)[0].state == "connected"
    )
    return found
