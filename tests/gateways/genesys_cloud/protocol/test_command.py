"""What is said to the platform to move a conversation."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.manifest.media import Audio, MediaMatrix
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.message import Draft, Message, Unfit
from runner.gateways.genesys_cloud.protocol.command import (
    build_command,
    command_of,
    find_command_fault,
    queue_uri,
    topic_of,
    user_uri,
)

MEDIA = MediaMatrix(Audio("opus", 64, 16))
AT = "2026-12-01T21:00:00.000000Z"
QUEUE_ID = "22222222-2222-4222-8222-222222222222"


def draft(to: str, handles: dict[str, str] | None, interaction_id: str = "c-1") -> Draft:
    seen = Interaction(interaction_id, found=True, state="queued", handles=handles)
    return Draft("m-1", interaction_id, to, MEDIA, AT, seen)


@pytest.mark.parametrize(
    ("to", "end", "body"),
    [
        ("genesys://queue/q%201", "replace/queue", {"queueId": "q 1"}),
        ("genesys://user/u-1", "replace/agent", {"userId": "u-1"}),
        ("tel:+31205550100", "transfer", {"address": "tel:+31205550100"}),
        ("sip:desk@example.org", "transfer", {"address": "sip:desk@example.org"}),
    ],
)
def test_each_kind_of_destination_has_its_command(to: str, end: str, body: dict[str, str]):
    message = build_command(draft(to, {"participant_id": "p 1/2"}))
    assert json.loads(message.text) == {
        "id": "m-1",
        "interaction_id": "c-1",
        "destination_uri": to,
        "method": "POST",
        "path": f"/api/v2/conversations/c-1/participants/p%201%2F2/{end}",
        "body": {**body, "transferType": "Unattended"},
        "timestamp": AT,
        "media_matrix": {"audio": {"codec": "opus", "bandwidth_kbps": 64, "bit_depth": 16}},
    }
    command = command_of(message)
    assert command.path == json.loads(message.text)["path"]
    assert json.loads(command.content) == json.loads(message.text)["body"]
    assert find_command_fault(message, MEDIA) is None


def test_a_message_of_a_journal_holds_no_command_that_could_be_posted_again():
    message = build_command(draft("genesys://queue/q-1", {"participant_id": "p-1"}))
    with pytest.raises(TypeError):
        command_of(Message(message.text))


def test_a_callback_goes_to_queues_and_users_and_to_no_outside_number():
    handles = {"participant_id": "p-1", "callback": "yes"}
    build_command(draft("genesys://queue/q-1", handles))
    build_command(draft("genesys://user/u-1", handles))
    for to in ("tel:+31205550100", "sip:desk@example.org"):
        with pytest.raises(Unfit, match="a callback cannot go to an outside number"):
            build_command(draft(to, handles))


@pytest.mark.parametrize("handles", [None, {}, {"callback": "yes"}])
def test_where_nobody_can_be_replaced_there_is_no_command(handles: dict[str, str] | None):
    with pytest.raises(Unfit, match="no participant can be replaced"):
        build_command(draft("genesys://queue/q-1", handles))
    with pytest.raises(Unfit):
        build_command(Draft("m-1", "c-1", "genesys://queue/q-1", MEDIA, AT))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"path": "/api/v2/conversations/c/disconnect"}, "is not the path of a transfer"),
        (
            {"path": "/api/v2/conversations/c/participants/p/replace"},
            "is not the path of a transfer",
        ),
        ({"body": {"userId": "u", "transferType": "Unattended"}}, "takes queueId and transferType"),
        ({"body": {"queueId": "", "transferType": "Unattended"}}, "takes queueId and transferType"),
    ],
)
def test_a_command_that_would_say_something_else_is_found_out(change: dict[str, Any], fault: str):
    message = build_command(draft("genesys://queue/q-1", {"participant_id": "p-1"}))
    changed = message._replace(command=replace(command_of(message), **change))
    assert fault in str(find_command_fault(changed, MEDIA))


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_whatever_the_ids_a_command_is_read_as_it_was_built(
    conversation: str, participant: str, entity: str
):
    encodable = conversation + participant + entity
    if any(0xD800 <= ord(c) < 0xE000 for c in encodable):
        return
    uri = queue_uri(entity)
    command = command_of(build_command(draft(uri, {"participant_id": participant}, conversation)))
    assert (command.message_id, command.conversation_id) == ("m-1", conversation)
    assert command.destination_uri == uri
    assert command.path.count("/") == 8
    assert json.loads(command.content)["queueId"] == entity


@pytest.mark.parametrize(("kind", "field"), [("queue", "queueId"), ("user", "userId")])
def test_ids_go_out_in_lower_case_and_the_record_keeps_them_as_written(kind: str, field: str):
    conversation, place = "3F2504E0-4F89-41D3-9A0C-0305E82C3301", QUEUE_ID.replace("2", "A")
    message = build_command(
        draft(f"genesys://{kind}/{place}", {"participant_id": "p-1"}, conversation)
    )
    command = command_of(message)
    assert command.path.startswith(f"/api/v2/conversations/{conversation.lower()}/participants/")
    assert command.body[field] == place.lower()
    assert command.conversation_id == conversation.lower()
    record = json.loads(message.text)
    assert record["interaction_id"] == conversation
    assert record["destination_uri"] == command.destination_uri == f"genesys://{kind}/{place}"


def test_a_topic_names_its_queue_in_lower_case():
    shouted = QUEUE_ID.replace("2", "A")
    assert topic_of(queue_uri(shouted)) == f"v2.routing.queues.{shouted.lower()}.conversations"


def test_queues_and_users_have_topics():
    assert topic_of(queue_uri(QUEUE_ID)) == f"v2.routing.queues.{QUEUE_ID}.conversations"
    assert topic_of(user_uri(QUEUE_ID)) == f"v2.users.{QUEUE_ID}.conversations"
    for other in ("genesys://queue/billing", "tel:+31205550100", "sip:a@example.org", ""):
        assert topic_of(other) is None
