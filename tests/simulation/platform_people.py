"""Who is in the organisation of one seed, and what they do while the runner works."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from tests.simulation.platform_org import (
    AGENTS,
    COLLEAGUE,
    ELSEWHERE,
    HERE,
    WAITING_ROOM,
    Conversation,
    Customs,
    Organisation,
)
from tests.simulation.platform_rest import Analytics, PlatformMind
from tests.simulation.simulation import Simulation

QUEUE = f"genesys://queue/{HERE}"
USER = f"genesys://user/{AGENTS[5]}"
NUMBER = "tel:+31205550177"

KINDS = ("colleague", "queue", "number")
"""Whom an agent consults."""

Act = Callable[[], None]


def draw_customs(chance: random.Random) -> Customs:
    """Draw how the platform behaves where its documents leave it open."""
    rings_s = chance.choice(((0.5, 3.0), (0.5, 3.0), (8.0, 16.0), (14.0, 25.0), (30.0, 45.0)))
    return Customs(
        completes_early=chance.random() < 0.3,
        lists_queue_moves=chance.random() < 0.7,
        names_queue=chance.random() < 0.5,
        marks=chance.choice(("consulted", "consulted", "both")),
        marks_whom=chance.choice(("customer", "agent")),
        keeps_marks=chance.random() < 0.3,
        visible_s=chance.choice((0.0, 0.0, 0.5, 2.0)),
        rings_s=rings_s,
        hears_out=chance.choice((0.0, 0.0, 0.3)),
        fails=chance.choice((0.0, 0.0, 0.2)),
    )


def draw_analytics(chance: random.Random) -> Analytics:
    """Draw how much of what waits is listed."""
    return Analytics(most=chance.choice((None, None, 3, 5)), observes=chance.random() < 0.9)


def draw_destination(chance: random.Random) -> str:
    """Draw where everybody is to be moved."""
    return chance.choice((QUEUE, QUEUE, USER, NUMBER))


def populate(
    chance: random.Random, organisation: Organisation, destination: str, *, only_waiting: bool
) -> list[str]:
    """Let there be conversations; return their ids."""
    media = ("call", "call", "message", "email", *(["callback"] if destination != NUMBER else []))
    names = [organisation.new_id() for _ in range(chance.choice((1, 3, 6, 10)))]
    for name in names:
        waits = only_waiting or chance.random() < 0.6
        one = organisation.add(
            name,
            chance.choice(media),
            queue=WAITING_ROOM if waits else None,
            user=None if waits else chance.choice(AGENTS[2:5]),
        )
        one.began_at = -chance.uniform(60, 4000)
    if chance.random() < 0.15:
        organisation.conversations[chance.choice(names)].is_hidden = True
    return names


def let_people_act(
    chance: random.Random, simulation: Simulation, mind: PlatformMind, uri: str
) -> None:
    """Let people move, answer, consult and leave, at random times or just after a look-up."""
    organisation = mind.organisation
    share = chance.choice((0.0, 0.2, 0.5, 0.9))
    for one in organisation.conversations.values():
        if chance.random() >= share:
            continue
        for _ in range(chance.choice((1, 1, 2))):
            act = _drawn(chance, organisation, one, uri)
            when = chance.choice(("at once", "some time", "at a look-up", "at a look-up"))
            if when == "at a look-up":
                mind.ambushes.setdefault(one.id, []).append(act)
            else:
                simulation.after(0.0 if when == "at once" else chance.uniform(0, 40), act)


def let_agents_confer(simulation: Simulation, mind: PlatformMind, uri: str) -> None:
    """Let agents call colleagues and queues in, mostly where the batch moves to, after a look-up."""
    chance, organisation = simulation.chance("calls"), mind.organisation
    places = [f"genesys://queue/{ELSEWHERE}", f"genesys://user/{COLLEAGUE}"]
    if uri.startswith("genesys://"):
        places += [uri, uri, uri]
    share = chance.choice((0.0, 0.3, 0.6))
    for one in organisation.conversations.values():
        if chance.random() < share:
            place = chance.choice(places)
            act = partial(organisation.confer, one, place, may_keep=place != uri)
            mind.calls[one.id] = chance.choice((0.01, 0.2, 1.0, 4.0)), act


def _drawn(chance: random.Random, organisation: Organisation, one: Conversation, uri: str) -> Act:
    hand = [f"genesys://queue/{ELSEWHERE}", f"genesys://user/{COLLEAGUE}"]
    if organisation.customs.lists_queue_moves or not uri.startswith("genesys://queue/"):
        hand += [uri, uri]  # who moved it there is told
    if not one.live("acd") and chance.random() < 0.5:
        return partial(organisation.consult, one, chance.choice(KINDS))
    acts: list[Act] = [
        partial(organisation.answer, one),
        partial(organisation.move_by_hand, one, chance.choice(hand)),
        partial(organisation.hang_up, one),
        partial(organisation.consult, one, chance.choice(KINDS)),
    ]
    return chance.choice(acts)
