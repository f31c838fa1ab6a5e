"""The organisation's conversations before any move; the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from runner.core.manifest.model import SimulatorOptions
from runner.simulator.faults import Chance
from runner.simulator.genesys_cloud.conversations import MEDIA, Conversation, Participant
from runner.simulator.genesys_cloud.entities import ORIGIN, EntityList, is_foreign, make_id, require
from runner.simulator.genesys_cloud.errors import Refused

_LONGEST_WAIT_S = 6 * 3600.0
_IVR_S = 20.0  # how long a call was in the menu before it waited


@dataclass(slots=True)
class ConversationStore:
    """Creates conversations when they are requested, and keeps those that were listed or changed.

    Any UUID is a conversation that waits in the queue `origin`; `options.waiting` adds conversations
    to named queues, where ended ones are still listed. Ages count back from `started_at`, seconds
    since the epoch.
    """

    options: SimulatorOptions
    chance: Chance
    started_at: float
    queues: EntityList = field(init=False)
    users: EntityList = field(init=False)
    skills: EntityList = field(init=False)
    languages: EntityList = field(init=False)
    _kept: dict[str, Conversation] = field(default_factory=dict)
    # The queues of the conversations that wait, or came through one and are being served.
    _queue_ids: dict[str, str] = field(default_factory=dict)
    _served: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        waiting = dict(self.options.waiting)
        listed = [*self.options.queues]
        served = dict(self.options.served)
        named = [name for name in (ORIGIN, *waiting, *served) if name not in listed]
        self.queues = EntityList.of("queue", [*listed, *dict.fromkeys(named)])
        self.users = EntityList.of("user", self.options.users, self.options.former_users)
        self.skills = EntityList.of("skill", self.options.skills)
        self.languages = EntityList.of("language", self.options.languages)
        for name, count in waiting.items():
            queue_id = make_id("queue", name)
            self._queue_ids |= {waiting_id(name, number): queue_id for number in range(count)}
        for name, count in served.items():
            ids = [make_id("conversation", name, "served", number) for number in range(count)]
            self._served |= set(ids)
            self._queue_ids |= dict.fromkeys(ids, make_id("queue", name))

    def get(self, conversation_id: str) -> Conversation:
        """Return the conversation of that id.

        Raises `Refused`: `not.found`, `not.authorized`, `bad.request`.
        """
        conversation_id = require(conversation_id)
        found = self._kept.get(conversation_id)
        return found or self._make(conversation_id)

    def keep(self, conversation: Conversation) -> None:
        """Keep a conversation that is about to change."""
        self._kept[conversation.id] = conversation

    def known(self) -> Iterator[Conversation]:
        """Yield the conversations of lists: those of `waiting`, and those that were changed."""
        for conversation_id in self._queue_ids:
            if conversation_id not in self._kept:
                self.keep(self._make(conversation_id))
        yield from self._kept.values()

    def waiting_in(self, queue_id: str) -> list[tuple[str, str]]:
        """Return the conversations that wait in a queue at first, each with its media type."""
        ids = [each for each, queue in self._queue_ids.items() if queue == queue_id]
        made = (
            self._kept.get(each) or self._make(each) for each in ids if each not in self._served
        )
        return [(each.id, each.media) for each in made if each.ended_at is None]

    def last_seen(self, conversation: Conversation) -> list[Participant]:
        """Return the queue's participant in an ended conversation of `waiting`."""
        listed = conversation.id in self._queue_ids and conversation.ended_at is not None
        return [one for one in conversation.participants if listed and one.purpose == "acd"]

    def require_queue(self, queue_id: str) -> str:
        """Return the id of a queue for a command. Raises `Refused`."""
        try:
            return self.queues.find(queue_id).id
        except Refused as error:
            if is_foreign(queue_id):
                raise
            raise Refused("conversations.error.queue.not.found", entity_id=queue_id) from error

    def _make(self, conversation_id: str) -> Conversation:
        waited_s = _LONGEST_WAIT_S * self.chance.draw("age", conversation_id)
        began = self.started_at - waited_s - _IVR_S
        media = MEDIA[int(self.chance.draw("media", conversation_id) * len(MEDIA))]
        conversation = Conversation(conversation_id, media, began)
        self._ask_for(conversation)
        conversation.add("customer", began, connected_at=began)
        queued_at = began
        if media == "call":
            menu = conversation.add("ivr", began, connected_at=began)
            queued_at = began + _IVR_S
            menu.leave(queued_at)
        queue_id = self._queue_ids.get(conversation_id) or make_id("queue", ORIGIN)
        conversation.add("acd", queued_at, queue_id=queue_id, connected_at=queued_at)
        if conversation_id in self._served:
            conversation.participants[-1].leave(queued_at)
            agent = {"user_id": make_id("user", "an agent"), "queue_id": queue_id}
            conversation.add("agent", queued_at, connected_at=queued_at, **agent)
        if self._is_ended(conversation_id):
            conversation.end(self.started_at)
        return conversation

    def _ask_for(self, conversation: Conversation) -> None:
        """Say where a conversation came from, and what it asks for."""
        number = int(self.chance.draw("address", conversation.id) * 1_000_000)
        is_mail = conversation.media == "email"
        conversation.address_from = (
            f"customer-{number:06}@example.net" if is_mail else f"tel:+4420{number:08}"
        )
        conversation.address_to = "support@example.net" if is_mail else "tel:+442079460000"
        conversation.skill_id = self._one_of(self.skills, conversation.id)
        conversation.language_id = self._one_of(self.languages, conversation.id)
        conversation.priority = int(self.chance.draw("priority", conversation.id) * 10)

    def _one_of(self, entities: EntityList, conversation_id: str) -> str | None:
        """Return the id of one of `entities`, or None, which is as likely."""
        draw = self.chance.draw(entities.kind, conversation_id)
        number = int(draw * (len(entities.entries) + 1))
        return entities.entries[number].id if number < len(entities.entries) else None

    def _is_ended(self, conversation_id: str) -> bool:
        share = self.options.ended_share
        return share > 0 and self.chance.draw("ended", conversation_id) < share


def waiting_id(queue_name: str, number: int) -> str:
    """Return the id of conversation `number` (from 0) of those `waiting` in a queue."""
    return make_id("conversation", queue_name, number)
