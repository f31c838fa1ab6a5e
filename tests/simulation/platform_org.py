"""One organisation on the platform: conversations, their legs, what people do, what commands do.

Written from the vendor's documents alone: it shares no code with the runner or its embedded
platform. What the documents leave open (when a transfer counts as complete, which legs of a
consultation are marked) is drawn from the seed, so that the driver relies on none of it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from tests.simulation.simulation import EPOCH_S, Simulation

ENDED = "disconnected"


def entity(name: str) -> str:
    """Return the id of a queue, a user or a division, the same for the same name."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


WAITING_ROOM, HERE, THERE, ELSEWHERE = (
    entity(f"queue {name}") for name in ("waiting room", "here", "there", "elsewhere")
)
AGENTS = tuple(entity(f"user {n}") for n in range(6))
COLLEAGUE, EXPERT = AGENTS[:2]
OUTSIDE = "tel:+31205550199"


@dataclass(frozen=True, slots=True)
class Customs:
    """How this organisation's platform behaves where the documents do not say."""

    completes_early: bool = False  # a transfer to a user is Complete once it rings
    lists_queue_moves: bool = True  # `recentTransfers` has moves to queues
    names_queue: bool = False  # … with the queue's id as the address
    marks: str = "consulted"  # which legs bear consultParticipantId: "consulted" or "both"
    marks_whom: str = "customer"  # whose id it is: "customer" or "agent"
    keeps_marks: bool = False  # also after the consultation
    visible_s: float = 0.0  # how long look-ups lag behind at most
    rings_s: tuple[float, float] = (0.5, 3.0)  # how long a user takes to answer
    hears_out: float = 0.0  # the share of rings that no one answers
    fails: float = 0.0  # the share of our commands that come to nothing


@dataclass(slots=True)
class Leg:
    """One participant. Times are the world's seconds."""

    id: str
    purpose: str
    began_at: float
    state: str = "connected"
    queue_id: str | None = None
    user_id: str | None = None
    address: str | None = None
    connected_at: float | None = None
    ended_at: float | None = None
    consults: str | None = None  # the leg that consults this one, while it does
    mark: str | None = None  # consultParticipantId

    @property
    def is_live(self) -> bool:
        """Whether it is in the conversation."""
        return self.state != ENDED

    @property
    def place(self) -> str | None:
        """Where a conversation is that is with this leg, as a manifest writes it."""
        if self.user_id is not None:
            return f"genesys://user/{self.user_id}"
        return f"genesys://queue/{self.queue_id}" if self.queue_id is not None else self.address


@dataclass(slots=True)
class Move:
    """One transfer command that the platform took: ours, or a person's (`by`)."""

    id: str
    at: float
    destination_uri: str
    replaced: str  # the leg
    by: str | None = None  # the user who gave it; None: a client
    post: int | None = None  # which of our posts, by its number
    state: str = "Pending"
    ended_at: float | None = None
    gone: bool = False  # a person ended the conversation before it was carried out


@dataclass(slots=True)
class Conversation:
    """One conversation, and every state in which look-ups may still show it."""

    id: str
    media: str
    began_at: float
    is_hidden: bool = False  # in a division that the client may not see
    legs: list[Leg] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    ended_at: float | None = None
    changes: int = 0

    def find(self, leg_id: str) -> Leg | None:
        """Return the leg of that id."""
        return next((leg for leg in self.legs if leg.id == leg_id), None)

    def live(self, *purposes: str) -> list[Leg]:
        """Return the live legs of some purposes; of any but the customer's without."""
        return [
            leg
            for leg in self.legs
            if leg.is_live and (leg.purpose in purposes if purposes else leg.purpose != "customer")
        ]

    def is_consulted(self, leg: Leg) -> bool:
        """Tell whether a leg is only asked for advice: whoever asks still holds the customer."""
        asking = self.find(leg.consults) if leg.consults is not None else None
        return asking is not None and asking.is_live

    def holder(self) -> Leg | None:
        """Return the leg that has the customer."""
        held = [leg for leg in self.live() if not self.is_consulted(leg)]
        settled = [leg for leg in held if leg.state == "connected"]
        found = settled or held
        return found[-1] if found else None


class Organisation:
    """Every conversation; `changed` is told of each change, with the topics that it concerns."""

    def __init__(self, simulation: Simulation, customs: Customs) -> None:
        self.simulation = simulation
        self.customs = customs
        self.conversations: dict[str, Conversation] = {}
        self.touched: set[str] = set()  # a person ended or moved them, or they cannot be moved
        self.changed: Callable[[Conversation, frozenset[str]], None] = lambda _one, _topics: None
        self._chance = simulation.chance("organisation")
        self._conferences = simulation.chance("conferences")
        self._remains = simulation.chance("remains of commands")
        self._ids = simulation.chance("ids")

    @property
    def now(self) -> float:
        """The world's seconds."""
        return self.simulation.now

    def wall(self) -> float:
        """Seconds since the epoch, by the platform's clock."""
        return EPOCH_S + self.simulation.now

    def new_id(self) -> str:
        """Return an id that never was."""
        return str(uuid.UUID(int=self._ids.getrandbits(128), version=4))

    # How it begins

    def add(
        self, conversation_id: str, media: str, *, queue: str | None, user: str | None
    ) -> Conversation:
        """Let a conversation wait in a queue, or be held by a user."""
        one = Conversation(conversation_id, media, self.now - 600)
        self._join(one, "customer", address="tel:+31205550123")
        if queue is not None:
            self._join(one, "acd", queue_id=queue)
        else:
            self._join(one, "agent", user_id=user)
        self.conversations[conversation_id] = one
        return one

    # What people do

    def answer(self, one: Conversation) -> None:
        """Let an agent answer what waits."""
        waiting = [leg for leg in one.live("acd") if not one.is_consulted(leg)]
        if not waiting or one.ended_at is not None:
            return
        self._note(one, "an agent answers")
        before = self._topics(one)
        self._leave(waiting[-1])
        self._join(one, "agent", user_id=COLLEAGUE, queue_id=waiting[-1].queue_id)
        self._tell(one, before)

    def move_by_hand(self, one: Conversation, destination_uri: str) -> None:
        """Let a colleague move it, by a command of the same kind as ours."""
        holder = one.holder()
        if holder is None or one.ended_at is not None or holder.place == destination_uri:
            return
        self._note(one, f"moved by a colleague to {destination_uri[:24]}")
        self.take(one, holder, destination_uri, by=EXPERT)

    def hang_up(self, one: Conversation) -> None:
        """Let the customer leave."""
        if one.ended_at is not None:
            return
        self._note(one, "the customer hangs up")
        before = self._topics(one)
        for leg in one.legs:
            self._leave(leg)
        one.ended_at = self.now
        for move in one.moves:
            if move.ended_at is None:
                move.gone = True
        self._tell(one, before)

    def consult(self, one: Conversation, kind: str) -> None:
        """Let the agent who holds the customer ask a colleague, a queue or someone outside."""
        holder = one.holder()
        if holder is None or holder.purpose != "agent" or holder.state != "connected":
            return
        if any(one.is_consulted(leg) for leg in one.live()):
            return
        self._note(one, f"consults a {kind}")
        match kind:
            case "colleague":
                asked = self._join(one, "agent", user_id=EXPERT)
            case "queue":
                asked = self._join(one, "acd", queue_id=self._chance.choice((HERE, THERE)))
            case _:
                asked = self._join(one, "external", address=OUTSIDE)
        asked.consults = holder.id
        whom = one.legs[0].id if self.customs.marks_whom == "customer" else holder.id
        asked.mark = whom
        if self.customs.marks == "both":
            holder.mark = one.legs[0].id
        self._tell(one)
        self.simulation.after(
            self._chance.uniform(2, 40), partial(self._end_consultation, one, asked, holder)
        )

    def _end_consultation(self, one: Conversation, asked: Leg, asking: Leg) -> None:
        if one.ended_at is not None or not (asked.is_live and asking.is_live):
            return
        before = self._topics(one)
        if self._chance.random() < 0.4:
            self._note(one, "the consultation becomes a transfer")
            self._leave(asking)
        else:
            self._note(one, "the consultation ends")
            self._leave(asked)
        asked.consults = None
        if not self.customs.keeps_marks:
            asked.mark = asking.mark = None
        self._tell(one, before)

    def confer(self, one: Conversation, uri: str, *, may_keep: bool) -> None:
        """Let the agent who holds the customer call in a queue or a user, and stay.

        Nothing marks whoever is called in. `may_keep`: they may be left with the customer; never at
        the destination of a batch, where nobody could tell that from a command. An agent whose own leg
        bears a consultation's mark calls nobody in: of the two, the mark would point at the wrong one.
        """
        holder = one.holder()
        if holder is None or holder.purpose != "agent" or holder.state != "connected":
            return
        if holder.mark is not None or any(one.is_consulted(leg) for leg in one.live()):
            return
        if any(leg.place == uri for leg in one.live()):
            return
        kind, _, place = uri.removeprefix("genesys://").partition("/")
        self._note(one, f"calls a {kind} in")
        if kind == "queue":
            called = self._join(one, "acd", queue_id=place)
        else:
            called = self._join(one, "agent", user_id=place)
        self._tell(one)
        keeps = may_keep and self._conferences.random() < 0.4
        leaves = holder if keeps else called
        wait_s = self._conferences.uniform(2, 40)
        self.simulation.after(wait_s, partial(self._end_conference, one, leaves))

    def _end_conference(self, one: Conversation, leaves: Leg) -> None:
        if one.ended_at is not None or not leaves.is_live or len(one.live()) == 1:
            return
        self._note(one, "the conference ends")
        before = self._topics(one)
        self._leave(leaves)
        self._tell(one, before)

    # What commands do

    def take(
        self,
        one: Conversation,
        leg: Leg,
        destination_uri: str,
        *,
        by: str | None = None,
        post: int | None = None,
    ) -> Move:
        """Take a command; it is carried out a while later."""
        move = Move(self.new_id(), self.now, destination_uri, leg.id, by, post)
        one.moves.append(move)
        self._tell(one)
        self.simulation.after(
            self._chance.choice((0.02, 0.2, 1.5)), partial(self._carry_out, one, move)
        )
        return move

    def _carry_out(self, one: Conversation, move: Move) -> None:
        leg = one.find(move.replaced)
        if one.ended_at is not None or leg is None or not leg.is_live:
            self._end_move(one, move, "Canceled")
            return
        if move.by is None and self._chance.random() < self.customs.fails:
            self._fail(one, move, self._chance.choice(("Failed", "Timeout")))
            return
        if not move.destination_uri.startswith("genesys://user/"):
            self._put(one, move)
            self._end_move(one, move, "Complete")
            return
        self._ring(one, move)

    def _fail(self, one: Conversation, move: Move, state: str) -> None:
        """Let a command come to nothing; at a queue it may leave a leg that died at once."""
        place = move.destination_uri.removeprefix("genesys://queue/")
        if place == move.destination_uri or self._remains.random() < 0.2:
            self._end_move(one, move, state)
            return
        self.simulation.note("a leg dies at once", one.id)
        self._join(one, "acd", ENDED, queue_id=place).ended_at = self.now
        self._tell(one)
        wait_s = self._remains.choice((0.0, 0.5, 5.0))
        self.simulation.after(wait_s, partial(self._end_move, one, move, state))

    def _ring(self, one: Conversation, move: Move) -> None:
        before = self._topics(one)
        user_id = move.destination_uri.rpartition("/")[2]
        rung = self._join(one, "agent", state="alerting", user_id=user_id)
        if self.customs.completes_early:
            self._replace(one, rung)
            self._end_move(one, move, "Complete", before)
        else:
            move.state = "Active"
            self._tell(one, before)
        if self._chance.random() < self.customs.hears_out and not self.customs.completes_early:
            self.simulation.after(45.0, partial(self._unanswered, one, move, rung))
        else:
            wait_s = self._chance.uniform(*self.customs.rings_s)
            self.simulation.after(wait_s, partial(self._picked_up, one, move, rung))

    def _picked_up(self, one: Conversation, move: Move, rung: Leg) -> None:
        if one.ended_at is not None or not rung.is_live:
            self._end_move(one, move, "Canceled")
            return
        before = self._topics(one)
        rung.state, rung.connected_at = "connected", self.now
        if move.ended_at is None:
            self._replace(one, rung)
            self._end_move(one, move, "Complete", before)
        else:
            self._tell(one, before)

    def _unanswered(self, one: Conversation, move: Move, rung: Leg) -> None:
        before = self._topics(one)
        self._leave(rung)
        self._end_move(one, move, "Timeout", before)

    def _put(self, one: Conversation, move: Move) -> None:
        kind, _, place = move.destination_uri.removeprefix("genesys://").partition("/")
        before = self._topics(one)
        if kind == "queue":
            joined = self._join(one, "acd", queue_id=place)
        else:
            joined = self._join(one, "external", address=move.destination_uri)
        self._replace(one, joined)
        self._tell(one, before)

    def _replace(self, one: Conversation, by: Leg) -> None:
        for leg in one.live():
            if leg is not by:
                self._leave(leg)

    def _end_move(
        self, one: Conversation, move: Move, state: str, before: Iterable[str] = ()
    ) -> None:
        if move.ended_at is not None:
            return
        move.state, move.ended_at = state, self.now
        whose = "theirs" if move.by is not None else "ours"
        self.simulation.note(f"move {state}", one.id, whose, move.destination_uri[-12:])
        self._tell(one, before)

    # The rest

    def _join(
        self, one: Conversation, purpose: str, state: str = "connected", **more: str | None
    ) -> Leg:
        leg = Leg(self.new_id(), purpose, self.now, state, **more)  # type: ignore[arg-type]
        if state == "connected":
            leg.connected_at = self.now
        one.legs.append(leg)
        return leg

    def _leave(self, leg: Leg) -> None:
        if leg.is_live:
            leg.state, leg.ended_at = ENDED, self.now

    def _note(self, one: Conversation, what: str) -> None:
        self.touched.add(one.id)
        self.simulation.note(what.partition(" to genesys")[0].partition(" to tel")[0], one.id)

    def _topics(self, one: Conversation) -> frozenset[str]:
        return frozenset(topics_of(one))

    def _tell(self, one: Conversation, before: Iterable[str] = ()) -> None:
        one.changes += 1
        self.changed(one, frozenset(before) | self._topics(one))


def topics_of(one: Conversation) -> Iterable[str]:
    """Yield the topics under which a conversation is followed now."""
    for leg in one.live():
        if leg.queue_id is not None:
            yield f"v2.routing.queues.{leg.queue_id}.conversations"
        if leg.user_id is not None:
            yield f"v2.users.{leg.user_id}.conversations"
