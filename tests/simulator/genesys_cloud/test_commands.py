"""The effect of commands on conversations of the platform, and what is refused."""

import pytest

from runner.simulator.genesys_cloud.actions import Record
from runner.simulator.genesys_cloud.routes import PERMISSIONS
from tests.simulator.genesys_shell import (
    CONVERSATION,
    NOW,
    OTHER_QUEUE,
    QUEUE,
    USER,
    GenesysShell,
    genesys_shell,
)

NOT_CONNECTED = "conversations.error.transfer.not.connected"


def conversation_of(shell: GenesysShell, media: str) -> str:
    """Return a conversation of that medium."""
    for number in range(100):
        conversation_id = f"00000000-0000-4000-8000-{number:012}"
        if shell.model.organisation.conversations.get(conversation_id).media == media:
            return conversation_id
    raise AssertionError(f"there is no {media}")


def test_any_uuid_is_a_conversation_that_waits_in_a_queue():
    shell = genesys_shell()

    seen = shell.look()

    assert seen["id"] == CONVERSATION
    assert seen["recentTransfers"] == []
    customer, *others = seen["participants"]
    assert customer["purpose"] == "customer"
    assert shell.holder()["purpose"] == "acd"
    assert shell.holder()["queueName"] == "origin"
    assert others[-1]["connectedTime"] < "2026-12-01T21:00:00.250Z"


def test_the_same_seed_shows_the_same_conversation_and_another_seed_others():
    ids = [f"00000000-0000-4000-8000-{number:012}" for number in range(20)]
    once, again, other = genesys_shell(), genesys_shell(), genesys_shell(seed=8)

    assert [once.look(one) for one in ids] == [again.look(one) for one in ids]
    assert [once.look(one) for one in ids] != [other.look(one) for one in ids]


def test_conversations_are_of_four_media():
    shell = genesys_shell()
    media = {
        shell.model.organisation.conversations.get(f"00000000-0000-4000-8000-{number:012}").media
        for number in range(50)
    }
    assert media == {"call", "message", "email", "callback"}


def test_a_move_to_a_queue_is_pending_first_and_complete_after_the_latency():
    shell = genesys_shell(latency_s=1.0)
    held = shell.holder()

    answered = shell.replace(queueId=QUEUE, participant_id=held["id"], wait=False)
    shell.run(1.5)
    pending = shell.model.organisation.view(
        shell.model.organisation.conversations.get(CONVERSATION), shell.now
    )
    shell.run()

    assert (answered.status, answered.body) == (202, None)
    assert [one["state"] for one in pending["recentTransfers"]] == ["Pending"]
    assert len(pending["participants"]) == len(shell.look()["participants"]) - 1
    (entry,) = shell.look()["recentTransfers"]
    assert (entry["state"], entry["destination"]) == ("Complete", {})
    assert entry["transferType"] == "Unattended"
    assert (shell.holder()["purpose"], shell.holder()["queueId"]) == ("acd", QUEUE)
    before = next(one for one in shell.look()["participants"] if one["id"] == held["id"])
    assert before["endTime"] == shell.holder()["connectedTime"]
    assert shell.records == [Record(entry["id"], CONVERSATION, f"genesys://queue/{QUEUE}")]


def test_a_move_to_a_user_alerts_then_connects():
    shell = genesys_shell(latency_s=1.0)

    shell.replace("replace/agent", userId=USER, wait=False)
    shell.run(2.6)
    alerted = shell.model.organisation.conversations.get(CONVERSATION).holders()[0]
    state = alerted.state
    shell.run()

    assert (state, alerted.purpose) == ("alerting", "agent")
    assert shell.holder()["userId"] == USER
    assert shell.holder()["connectedTime"]
    assert shell.look()["recentTransfers"][0]["destination"] == {"userId": USER}
    assert shell.records[0].destination_uri == f"genesys://user/{USER}"


@pytest.mark.parametrize(
    ("address", "uri"),
    [
        ("+441234567890", "tel:+441234567890"),
        ("tel:+441234567890", "tel:+441234567890"),
        ("sip:desk@example.net", "sip:desk@example.net"),
    ],
)
def test_a_transfer_leads_to_an_address(address: str, uri: str):
    shell = genesys_shell()
    call = conversation_of(shell, "call")

    assert shell.replace("transfer", conversation_id=call, address=address).status == 202

    assert shell.holder(call)["purpose"] == "external"
    assert shell.look(call)["recentTransfers"][0]["destination"] == {"address": address}
    assert shell.records[0].destination_uri == uri


def test_a_callback_goes_to_no_address():
    shell = genesys_shell()
    callback = conversation_of(shell, "callback")

    refused = shell.replace("transfer", conversation_id=callback, address="+441234567890")

    assert (refused.status, refused.code) == (400, "bad.request")
    assert not shell.moves


def test_a_participant_that_has_left_cannot_be_replaced_again():
    shell = genesys_shell()
    held = shell.holder()["id"]
    shell.replace(queueId=QUEUE, participant_id=held)

    refused = shell.replace(queueId=OTHER_QUEUE, participant_id=held)

    assert (refused.status, refused.code) == (400, NOT_CONNECTED)
    assert shell.moves == {CONVERSATION: 1}


def test_two_commands_accepted_before_the_first_is_carried_out_move_twice():
    shell = genesys_shell(latency_s=1.0)
    held = shell.holder()["id"]
    shell.replace(queueId=QUEUE, participant_id=held, wait=False)
    shell.replace(queueId=QUEUE, participant_id=held, wait=False)
    shell.run()

    assert shell.moves == {CONVERSATION: 2}
    assert len(shell.look()["recentTransfers"]) == 2


def test_only_the_last_twenty_commands_are_shown():
    shell = genesys_shell()
    for number in range(22):
        assert shell.replace(queueId=(QUEUE, OTHER_QUEUE)[number % 2]).status == 202

    shown = [one["id"] for one in shell.look()["recentTransfers"]]

    assert shown == [one.message_id for one in shell.records[2:]]


def test_refusals_say_what_is_wrong():
    shell = genesys_shell()
    held = shell.holder()
    customer = shell.look()["participants"][0]["id"]

    refusals = {
        "same.party": shell.replace(queueId=held["queueId"]),
        "destination.required": shell.replace(),
        "queue.not.found": shell.replace(queueId="00000404-0000-4000-8000-000000000001"),
        "user": shell.replace("replace/agent", userId="00000404-0000-4000-8000-000000000001"),
        "division": shell.replace(queueId="00000403-0000-4000-8000-000000000001"),
        "nobody": shell.replace(queueId=QUEUE, participant_id=QUEUE),
        "customer": shell.replace(queueId=QUEUE, participant_id=customer),
        "choice": shell.replace(queueId=QUEUE, transferType="Blind"),
        "no id": shell.replace(queueId="billing"),
    }

    assert {name: (one.status, one.code) for name, one in refusals.items()} == {
        "same.party": (400, "conversations.error.transfer.same.party"),
        "destination.required": (400, "conversations.error.transfer.destination.required"),
        "queue.not.found": (400, "conversations.error.queue.not.found"),
        "user": (404, "not.found"),
        "division": (403, "not.authorized"),
        "nobody": (404, "not.found"),
        "customer": (400, "bad.request"),
        "choice": (400, "invalid.value"),
        "no id": (400, "conversations.error.queue.not.found"),
    }
    assert refusals["choice"].body["message"] == (
        "Value [Blind] is not valid for field type [transferType]. "
        "Allowable values are: Attended, Unattended"
    )
    assert not shell.moves


def test_names_lead_to_queues_and_users_too():
    shell = genesys_shell(queues=("Billing EU",), users=("Ada Lovelace",))

    assert shell.replace(queueName="billing eu").status == 202
    assert shell.holder()["queueName"] == "Billing EU"
    assert shell.replace("replace/agent", userDisplayName="Ada Lovelace").status == 202
    assert shell.holder()["name"] == "Ada Lovelace"
    assert shell.replace(queueName="Billing US").code == "conversations.error.queue.not.found"
    assert shell.replace("replace/agent", userDisplayName="Bob").code == "not.found"


def test_what_has_ended_cannot_be_moved():
    shell = genesys_shell(ended_share=1.0)
    seen = shell.look()
    acd = seen["participants"][-1]["id"]

    assert seen["endTime"] == "2026-12-01T21:00:00.250Z"
    assert all("endTime" in one for one in seen["participants"])
    assert shell.replace(queueId=QUEUE, participant_id=acd).code == NOT_CONNECTED


def test_missing_permissions_are_named():
    blind = "conversation:communication:blindTransfer"
    lacking = PERMISSIONS - {blind, f"{blind}Queue", f"{blind}Agent"}
    shell = genesys_shell(permissions=lacking)
    narrow = genesys_shell(permissions=lacking | {f"{blind}Queue"})

    queue, address = shell.replace(queueId=QUEUE), shell.replace("transfer", address="+441")

    assert (queue.status, queue.code) == (403, "missing.any.permissions")
    assert queue.body["message"].endswith(
        "[conversation:communication:blindTransfer, conversation:communication:blindTransferQueue]"
    )
    assert (address.status, address.code) == (403, "missing.permissions")
    assert address.body["messageParams"] == {
        "permissions": "[conversation:communication:blindTransfer]"
    }
    assert narrow.replace(queueId=QUEUE).status == 202


def test_a_ledger_s_moves_are_there_again():
    shell = genesys_shell()
    for number, uri in enumerate((f"genesys://queue/{QUEUE}", f"genesys://user/{USER}")):
        shell.model.restore(Record(f"command-{number}", CONVERSATION, uri), NOW - 10 + number)
    shell.model.restore(Record("message-1", "interaction-of-the-other-face", "tel:+44"), NOW)

    assert [one["id"] for one in shell.look()["recentTransfers"]] == ["command-0", "command-1"]
    assert shell.holder()["userId"] == USER
    assert shell.holder()["connectedTime"] == "2026-12-01T20:59:51.250Z"
