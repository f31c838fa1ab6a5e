"""The state of the organisation, which the operations read and change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID

from runner.core.frozen import frozen
from runner.core.manifest.model import SimulatorOptions
from runner.simulator.faults import Chance
from runner.simulator.genesys_cloud.actions import Decisions, Send
from runner.simulator.genesys_cloud.channels import Channels
from runner.simulator.genesys_cloud.conversation_store import ConversationStore
from runner.simulator.genesys_cloud.conversations import Conversation
from runner.simulator.genesys_cloud.queues import Queues
from runner.simulator.genesys_cloud.views import encode, view_conversation, view_event
from runner.simulator.tokens import Tokens

_SLOW_FACTOR = 20
_LEAST_SLOW_S = 0.05  # without latency a slow answer takes 20 times this


@frozen
class Outcome:
    """The answer of an operation, and the decisions to perform before it is sent."""

    status: int
    body: Any = None
    decisions: Decisions = ()


@dataclass(slots=True)
class Organisation:
    """An organisation: conversations, channels and clients. Times are seconds since the epoch."""

    options: SimulatorOptions
    tokens: Tokens
    chance: Chance
    conversations: ConversationStore
    permissions: frozenset[str]
    visible_s: float = 0.0  # how long look-ups lag behind
    closing_s: float = 60.0  # how long a closing socket stays open
    channels: Channels = field(default_factory=Channels)
    looked_up: set[str] = field(default_factory=set)  # conversations that were looked up
    event_counts: dict[str, int] = field(default_factory=dict)  # conversation -> events so far
    queues: Queues = field(init=False)

    def __post_init__(self) -> None:
        self.queues = Queues(self.options, self.chance, self.conversations, self.channels)

    @property
    def random(self) -> Random:
        """The source of ids; seeded in a simulation."""
        return self.tokens.random

    def new_id(self) -> str:
        """Return a new id."""
        return str(UUID(int=self.random.getrandbits(128), version=4))

    @property
    def slow_s(self) -> float:
        """The delay of a slow answer or event, in seconds."""
        return (_SLOW_FACTOR - 1) * max(self.options.latency_s, _LEAST_SLOW_S)

    def latency_s(self, subject: str) -> float:
        """Return the latency in seconds, ±10 %."""
        return self.options.latency_s * (0.9 + 0.2 * self.chance.draw("latency", subject))

    def view(self, conversation: Conversation, now: float) -> Any:
        """Return the body of a look-up at `now`."""
        if now < conversation.hidden_until:
            return conversation.earlier_view
        return view_conversation(conversation, self.conversations.queues, self.conversations.users)

    def touch(self, conversation: Conversation, now: float) -> None:
        """Keep `conversation`, which is about to change, and what look-ups show meanwhile."""
        if self.visible_s:
            conversation.earlier_view = self.view(conversation, now)
            conversation.hidden_until = now + self.visible_s
        self.conversations.keep(conversation)

    def notify(self, conversation: Conversation, topics: Iterable[str]) -> Decisions:
        """Return the events about a conversation for the channels subscribed to one of `topics`."""
        number = self.event_counts[conversation.id] = self.event_counts.get(conversation.id, 0) + 1
        decisions: list[tuple[float, Send]] = []
        users = self.conversations.users
        for channel, topic in self.channels.following(topics):
            text = encode(view_event(topic, conversation, users, self.new_id()))
            subject = f"{conversation.id}!{number}"
            if self.chance.strikes("event_lost", subject):
                continue
            late_s = self.slow_s if self.chance.strikes("event_late", subject) else 0.0
            copies = 2 if self.chance.strikes("event_doubled", subject) else 1
            decisions += [(late_s, Send(channel.id, text))] * copies
        return tuple(decisions)


def queue_of(conversation: Conversation) -> str | None:
    """Return the queue that a conversation waits in; None: it does not wait."""
    holders = conversation.holders()
    return next((one.queue_id for one in holders if one.purpose == "acd"), None)


def topics_of(conversation: Conversation) -> frozenset[str]:
    """Return the topics of the queues and users that hold the conversation."""
    queues = {one.queue_id for one in conversation.holders() if one.queue_id is not None}
    users = {one.user_id for one in conversation.holders() if one.user_id is not None}
    return frozenset(
        {f"v2.routing.queues.{queue_id}.conversations" for queue_id in queues}
        | {f"v2.users.{user_id}.conversations" for user_id in users}
    )
