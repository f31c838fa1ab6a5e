"""The commands that move a conversation: refused, or accepted and carried out later.

An accepted command is in the ledger before it is answered, and is `Pending`; one latency later it
is carried out. A second one accepted meanwhile is carried out too: it moves the customer twice.
"""

from __future__ import annotations

from runner.simulator.genesys_cloud.actions import Decisions, Pick, Record, Settle
from runner.simulator.genesys_cloud.conversations import (
    Command,
    Conversation,
    Destination,
    Participant,
)
from runner.simulator.genesys_cloud.errors import Refused
from runner.simulator.genesys_cloud.faults import draw_end, draw_rejection
from runner.simulator.genesys_cloud.organisation import Organisation, Outcome, queue_of, topics_of
from runner.simulator.genesys_cloud.routes import Call
from runner.simulator.genesys_cloud.simulated_people import act_before_command, check_division

_ACCEPTED = 202
_NO_DESTINATION = "conversations.error.transfer.destination.required"
_NOT_CONNECTED = "conversations.error.transfer.not.connected"
_SAME_PARTY = "conversations.error.transfer.same.party"


def accept(organisation: Organisation, call: Call) -> Outcome:
    """Accept a command, or raise `Refused`."""
    check_division(organisation, call.params["conversationId"])
    conversation = organisation.conversations.get(call.params["conversationId"])
    destination = _read_destination(organisation, call)
    forestalled = act_before_command(
        organisation, conversation, destination, call.subject, call.now
    )
    try:
        participant = _replaceable(conversation, call.params["participantId"])
    except Refused as refused:
        refused.decisions = forestalled
        raise
    if destination.address is not None and conversation.media == "callback":
        raise Refused("bad.request", entity_id=conversation.id, field="address")
    if _holds(participant, destination):
        raise Refused(_SAME_PARTY, entity_id=participant.id)
    if organisation.chance.strikes("rejected", call.subject):
        raise draw_rejection(organisation.chance, call.subject)
    transfer_type = call.body.get("transferType") or "Unattended"
    end = draw_end(organisation.chance, call.subject)
    command = Command(
        organisation.new_id(),
        destination,
        call.now,
        transfer_type,
        end=end,
        replaced=participant.id,
    )
    organisation.touch(conversation, call.now)
    conversation.commands.append(command)
    decisions: Decisions = (
        *organisation.notify(conversation, topics_of(conversation)),
        (organisation.latency_s(command.id), Settle(conversation.id, command.id)),
    )
    if end == "Complete":
        record = Record(command.id, conversation.id, destination.uri)
        decisions = ((0.0, record), *decisions)
    return Outcome(_ACCEPTED, None, decisions)


def settle(organisation: Organisation, step: Settle, now: float) -> Decisions:
    """Carry an accepted command out, or let it fail as drawn."""
    conversation = organisation.conversations.get(step.conversation_id)
    command = conversation.find_command(step.command_id)
    if command is None:
        return ()  # twenty later ones have replaced it
    organisation.touch(conversation, now)
    before = topics_of(conversation)
    command.state = command.end
    if command.end != "Complete":
        return organisation.notify(conversation, before)
    left = queue_of(conversation)
    joined = conversation.move(command.destination, now, command.replaced)
    events = (
        *organisation.notify(conversation, before | topics_of(conversation)),
        *organisation.queues.move(
            conversation.id, conversation.media, left, queue_of(conversation), now
        ),
    )
    if joined.state != "alerting":
        return events
    late_s = organisation.slow_s if organisation.chance.strikes("answer_late", joined.id) else 0.0
    return (*events, (late_s + organisation.latency_s(joined.id), Pick(conversation.id, joined.id)))


def pick(organisation: Organisation, step: Pick, now: float) -> Decisions:
    """Let the alerted user answer the conversation, unless it has moved on."""
    conversation = organisation.conversations.get(step.conversation_id)
    participant = conversation.find(step.participant_id)
    if participant is None or participant.state != "alerting":
        return ()
    organisation.touch(conversation, now)
    participant.join(now)
    return organisation.notify(conversation, topics_of(conversation))


def restore(organisation: Organisation, record: Record, at: float) -> None:
    """Restore a move of a ledger, as done at `at`; ids of other platforms are ignored."""
    try:
        conversation = organisation.conversations.get(record.interaction_id)
    except Refused:
        return
    destination = Destination.of(record.destination_uri)
    command = Command(record.message_id, destination, at, state="Complete")
    organisation.conversations.keep(conversation)
    conversation.commands.append(command)
    left = queue_of(conversation)
    joined = conversation.move(destination, at)
    if joined.state == "alerting":
        joined.join(at)
    organisation.queues.move(conversation.id, conversation.media, left, queue_of(conversation), at)


def _replaceable(conversation: Conversation, participant_id: str) -> Participant:
    participant = conversation.find(participant_id)
    if participant is None:
        raise Refused("not.found", entity_id=participant_id)
    if conversation.ended_at is not None or not participant.is_active:
        raise Refused(_NOT_CONNECTED, entity_id=participant.id)
    if participant.purpose == "customer":
        raise Refused("bad.request", entity_id=participant.id)
    return participant


def _read_destination(organisation: Organisation, call: Call) -> Destination:
    match call.route.name:
        case "replace_queue":
            return Destination(queue_id=_read_queue(organisation, call))
        case "replace_agent":
            return Destination(user_id=_read_user(organisation, call))
        case _:
            return Destination(address=_read_text(call, "address"))


def _read_queue(organisation: Organisation, call: Call) -> str:
    if queue_id := call.body.get("queueId"):
        return organisation.conversations.require_queue(queue_id)
    name = _read_text(call, "queueName")
    found = next(organisation.conversations.queues.matching(name.replace("*", "")), None)
    if found is None:
        raise Refused("conversations.error.queue.not.found", field="queueName")
    return found.id


def _read_user(organisation: Organisation, call: Call) -> str:
    if user_id := call.body.get("userId"):
        return organisation.conversations.users.find(user_id).id
    name = _read_text(call, "userDisplayName")
    found = next(organisation.conversations.users.matching(name.replace("*", "")), None)
    if found is None:
        raise Refused("not.found", field="userDisplayName")
    return found.id


def _read_text(call: Call, field: str) -> str:
    text = str(call.body.get(field) or "").strip()
    if not text:
        raise Refused(_NO_DESTINATION, field=field)
    return text


def _holds(participant: Participant, destination: Destination) -> bool:
    queue_id = participant.queue_id if participant.purpose == "acd" else None
    return (queue_id, participant.user_id, participant.address) == (
        destination.queue_id,
        destination.user_id,
        destination.address,
    )
