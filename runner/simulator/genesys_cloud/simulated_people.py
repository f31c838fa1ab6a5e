"""Simulates people during a batch: agents answer and consult, colleagues move, customers hang up.

The ledger has only the effects of clients' commands, none of these. People act on a conversation at
its first look-up, so a client that listed it as waiting finds it changed when its turn comes.
"""

from __future__ import annotations

from runner.simulator.genesys_cloud.actions import Decisions
from runner.simulator.genesys_cloud.conversations import (
    Command,
    Conversation,
    Destination,
    Participant,
)
from runner.simulator.genesys_cloud.entities import is_foreign, make_id
from runner.simulator.genesys_cloud.errors import Refused
from runner.simulator.genesys_cloud.organisation import Organisation, topics_of

AGENT = make_id("user", "an agent")
COLLEAGUE = make_id("user", "a colleague")
THIRD_QUEUE = make_id("queue", "a third queue")
CONSULTED_NUMBER = "tel:+31205550199"
LONG_TEXT = "x" * 1_500_000
"""Makes the answer longer than a megabyte."""


def check_division(organisation: Organisation, conversation_id: str) -> None:
    """Raise `Refused` (`not.authorized`) for a conversation that the client may not see."""
    if is_foreign(conversation_id) or organisation.chance.strikes("hidden", conversation_id):
        raise Refused("not.authorized", entity_id=conversation_id)


def act_before_look_up(
    organisation: Organisation, conversation: Conversation, now: float
) -> Decisions:
    """Let people act on a waiting conversation before its first look-up; does nothing later."""
    if conversation.id in organisation.looked_up:
        return ()
    organisation.looked_up.add(conversation.id)
    acd = next((one for one in conversation.holders() if one.purpose == "acd"), None)
    strikes = organisation.chance.strikes
    if acd is None or not any(strikes(name, conversation.id) for name in _ACTIONS):
        return ()
    before = topics_of(conversation)
    organisation.touch(conversation, now)
    if strikes("consulting", conversation.id):
        _consult(organisation, conversation, _answer(conversation, acd, now), now)
    elif strikes("answered", conversation.id):
        _answer(conversation, acd, now)
    else:
        _move(organisation, conversation, Destination(queue_id=THIRD_QUEUE), now)
    return organisation.notify(conversation, before | topics_of(conversation))


_ACTIONS = ("consulting", "answered", "moved")


def act_before_command(
    organisation: Organisation,
    conversation: Conversation,
    destination: Destination,
    subject: str,
    now: float,
) -> Decisions:
    """Let the customer hang up, or a colleague move to the same destination, just before a command."""
    hangs_up = organisation.chance.strikes("hung_up", subject)
    if not hangs_up and not organisation.chance.strikes("outrun", subject):
        return ()
    before = topics_of(conversation)
    organisation.touch(conversation, now)
    if hangs_up:
        conversation.end(now)
    else:
        joined = _move(organisation, conversation, destination, now)
        if joined.state == "alerting":
            joined.join(now)
    return organisation.notify(conversation, before | topics_of(conversation))


def _answer(conversation: Conversation, acd: Participant, now: float) -> Participant:
    """Let an agent of the queue answer the conversation."""
    acd.leave(now)
    return conversation.add("agent", now, user_id=AGENT, queue_id=acd.queue_id, connected_at=now)


def _consult(
    organisation: Organisation, conversation: Conversation, agent: Participant, now: float
) -> None:
    """Let an agent consult a colleague, a queue or an outside number."""
    kind = int(organisation.chance.draw("consultation", conversation.id) * 3)
    asked = (
        ("agent", {"user_id": COLLEAGUE}),
        ("acd", {"queue_id": THIRD_QUEUE}),
        ("external", {"address": CONSULTED_NUMBER}),
    )
    purpose, who = asked[kind]
    conversation.add(purpose, now, connected_at=now, consults_for=agent.id, **who)


def _move(
    organisation: Organisation, conversation: Conversation, destination: Destination, now: float
) -> Participant:
    """Let a colleague move the conversation by their own command."""
    command = Command(organisation.new_id(), destination, now, state="Complete", user_id=COLLEAGUE)
    conversation.commands.append(command)
    return conversation.move(destination, now)
