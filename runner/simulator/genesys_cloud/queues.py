"""The figures of queues: who waits, who is on queue, and the events about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.core.manifest.model import SimulatorOptions
from runner.simulator.faults import Chance
from runner.simulator.genesys_cloud.actions import Decisions, Publish, Send
from runner.simulator.genesys_cloud.channels import Channels
from runner.simulator.genesys_cloud.conversation_store import ConversationStore
from runner.simulator.genesys_cloud.entities import make_id
from runner.simulator.genesys_cloud.views import encode, spell_time
from runner.simulator.worked_queue import WorkedQueue, filled

MEDIA = {"call": "voice", "message": "message", "email": "email", "callback": "callback"}
"""What analytics call each media type."""

EVERY_S = 1.0
"""The least time between two events about a queue."""


@dataclass(slots=True)
class _Followed:
    """A queue with what was last published of it."""

    queue: WorkedQueue
    published: Mapping[str, int] = field(default_factory=dict)
    published_at: float = 0.0
    is_due: bool = False  # a `Publish` is on its way
    touched: set[str] = field(default_factory=set)  # media types to be published


@dataclass(slots=True)
class Queues:
    """The queues of an organisation, by id, made when they are first named."""

    options: SimulatorOptions
    chance: Chance
    conversations: ConversationStore
    channels: Channels
    _by_id: dict[str, _Followed] = field(default_factory=dict)

    def find(self, queue_id: str, now: float) -> WorkedQueue:
        """Return a queue as it is now."""
        followed = self._of(queue_id)
        followed.queue.advance(now)
        return followed.queue

    def move(
        self, conversation_id: str, media: str, before: str | None, after: str | None, now: float
    ) -> Decisions:
        """Move a conversation from one queue to another; None: from or to elsewhere."""
        decisions: Decisions = ()
        if before is not None:
            self._of(before).queue.leave(conversation_id, now)
            self._of(before).touched.add(media)
            decisions = self.follow(before, now)
        if after is not None:
            self._of(after).queue.arrive(conversation_id, media, now)
            self._of(after).touched.add(media)
            decisions = (*decisions, *self.follow(after, now))
        return decisions

    def follow(self, queue_id: str, now: float) -> Decisions:
        """Return the next event about a queue, when something will have changed."""
        followed = self._of(queue_id)
        followed.queue.advance(now)
        if followed.is_due:
            return ()
        at = followed.queue.next_at()
        if followed.touched or followed.queue.waiting_by_kind() != followed.published:
            at = now
        if at is None:
            return ()
        followed.is_due = True
        return ((max(0.0, at - now, followed.published_at + EVERY_S - now), Publish(queue_id)),)

    def publish(self, queue_id: str, now: float, correlation_id: str) -> Decisions:
        """Tell the subscribers of a queue how many wait, by media type, where that has changed."""
        followed = self._of(queue_id)
        followed.queue.advance(now)
        followed.is_due = False
        counts = followed.queue.waiting_by_kind()
        changed = {
            kind: counts[kind]
            for kind in (*counts, *followed.published, *followed.touched)
            if kind in followed.touched or counts[kind] != followed.published.get(kind, 0)
        }
        followed.touched.clear()
        followed.published, followed.published_at = counts, now
        events = tuple(
            (
                0.0,
                Send(
                    channel.id,
                    encode(_event(queue_id, kind, count, now=now, correlation_id=correlation_id)),
                ),
            )
            for channel, _ in self.channels.following([_topic(queue_id)])
            for kind, count in changed.items()
        )
        return (*events, *self.follow(queue_id, now))

    def _of(self, queue_id: str) -> _Followed:
        if queue_id not in self._by_id:
            names = {make_id("queue", name): count for name, count in self.options.agents.items()}
            began = self.conversations.started_at
            queue = WorkedQueue(names.get(queue_id, 0), self._handle_s, began)
            waiting = self.conversations.waiting_in(queue_id)
            followed = _Followed(filled(queue, waiting, began))
            followed.published = followed.queue.waiting_by_kind()
            self._by_id[queue_id] = followed
        return self._by_id[queue_id]

    def _handle_s(self, conversation_id: str) -> float:
        return self.options.handle_time_s * (0.5 + self.chance.draw("handle", conversation_id))


def _topic(queue_id: str) -> str:
    return f"v2.analytics.queues.{queue_id}.observations"


def _event(
    queue_id: str, kind: str, count: int, *, now: float, correlation_id: str
) -> dict[str, Any]:
    metrics = [{"metric": "oWaiting", "stats": {"count": count}}]
    body = {
        "group": {"queueId": queue_id, "mediaType": MEDIA[kind]},
        "data": [{"interval": f"{spell_time(now)}/{spell_time(now)}", "metrics": metrics}],
    }
    metadata = {"CorrelationId": correlation_id}
    topic = _topic(queue_id)
    return {"topicName": topic, "version": "2", "eventBody": body, "metadata": metadata}
