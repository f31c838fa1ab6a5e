"""What people do meanwhile: they answer, hang up, move it themselves, consult, or are slow to answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.core.transfer.lookup_verdict import PARTICIPANT
from tests.fakes.vendor_server import conversation, participant
from tests.fakes.wire_server import answer
from tests.gateways.genesys_harness import (
    AT,
    MOVED,
    SOURCE,
    TARGET,
    TO_QUEUE,
    TO_USER,
    USER,
    WAITING,
    Stage,
    failed,
    staged,
)

REPLACE = "POST /api/v2/conversations/"
LEFT = participant("acd", "p-1", queueId=SOURCE, state="disconnected", endTime=AT)
RUNG = participant("agent", "p-2", userId=USER, state="alerting")
RINGING = conversation("c-1", LEFT, RUNG)
ANSWERED = conversation("c-1", LEFT, participant("agent", "p-2", userId=USER))
BY_A_USER = {"id": "t-9", "state": "Complete", "initiator": {"userId": USER}, "destination": {}}


async def outcome(stage: Stage, number: int = 1) -> Any:
    return await stage.clock.through(stage.listener.until("replied", number), step_s=0.1)


# Slow answers


async def test_a_user_who_is_rung_for_longer_than_the_time_out_is_waited_for():
    async with staged([TO_USER]) as stage:
        await stage.submit(TO_USER)
        await stage.show(RINGING)
        await stage.clock.advance(14)
        assert stage.listener.all("replied") == []
        await stage.show(ANSWERED)
        assert (await outcome(stage)).status == "transfer_initiated"


async def test_a_pending_command_is_waited_for_where_events_are_lost():
    async with staged() as stage:
        await stage.submit()
        await stage.show(failed("Pending"))
        await stage.clock.advance(30)
        assert stage.listener.all("replied") == []
        stage.server.conversations["c-1"] = failed("Timeout")
        reply = await outcome(stage)
        assert (reply.status, reply.reason) == (
            "transfer_rejected",
            "the platform accepted it, and it ended as timeout",
        )


async def test_what_rings_for_ever_is_in_doubt_before_the_outcomes_time_out():
    async with staged([TO_USER]) as stage:
        await stage.submit(TO_USER)
        await stage.show(RINGING)
        began = stage.clock.now()
        reply = await outcome(stage)
        assert reply.status == "unconfirmed"
        assert reply.reason == "the platform accepted it, and it was still under way after 60 s"
        assert stage.clock.now() - began > 58


async def test_a_leg_that_stops_ringing_and_leaves_nothing_is_in_doubt_soon():
    async with staged([TO_USER]) as stage:
        await stage.submit(TO_USER)
        await stage.show(RINGING)
        await stage.clock.advance(14)
        gone = participant("agent", "p-2", userId=USER, state="disconnected", endTime=AT)
        await stage.show(conversation("c-1", LEFT, gone))
        assert (await outcome(stage)).reason == (
            "the platform accepted it, and nothing showed its effect"
        )


# Others


@pytest.mark.parametrize(
    "now",
    [
        conversation("c-1", LEFT, endTime=AT),
        conversation("c-1", LEFT, participant("agent", "p-9", userId=USER)),
        {"id": "c-1", "participants": []},
    ],
    ids=["hung up", "answered", "empty"],
)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "conversations.error.transfer.not.connected"),
        (404, "not.found"),
        (409, "conflict"),
    ],
)
async def test_what_has_changed_just_before_the_command_was_certainly_not_moved(
    now: Any, status: int, code: str
):
    async with staged() as stage:
        stage.server.script(REPLACE, answer(status, {"code": code, "message": "No."}))
        seen = await stage.gateway.look_up("c-1")
        stage.server.conversations["c-1"] = now
        await stage.hand_over(seen)
        reply = await outcome(stage)
        assert (reply.status, reply.unsent) == ("moved_on", True)
        assert reply.reason.startswith(f"{code} ({status})")
        assert len(stage.posts) == 1


@pytest.mark.parametrize(
    ("code", "now"),
    [
        ("conversations.error.transfer.not.connected", WAITING),
        ("conversations.error.transfer.acd.call.unattended", conversation("c-1", endTime=AT)),
    ],
)
async def test_a_refusal_that_nothing_explains_stays_one(code: str, now: Any):
    async with staged() as stage:
        stage.server.script(REPLACE, answer(400, {"code": code}))
        seen = await stage.gateway.look_up("c-1")
        stage.server.conversations["c-1"] = now
        await stage.hand_over(seen)
        assert (await outcome(stage)).status == "transfer_rejected"


async def test_what_a_colleague_moved_to_the_same_place_was_not_moved_by_us():
    async with staged() as stage:
        await stage.submit()
        await stage.show({**MOVED, "recentTransfers": [BY_A_USER]})
        reply = await outcome(stage)
        assert (reply.status, reply.reason) == (
            "unconfirmed",
            "the platform accepted it, and it was moved by somebody else",
        )


async def test_ours_failed_because_a_colleague_came_first():
    both = {
        **MOVED,
        "recentTransfers": [
            BY_A_USER,
            {"id": "t-1", "state": "Failed", "initiator": {}, "destination": {}},
        ],
    }
    async with staged() as stage:
        await stage.submit()
        await stage.show(both)
        assert (await outcome(stage)).status == "transfer_rejected"


async def test_a_failure_that_names_the_queue_by_its_id_is_ours():
    async with staged() as stage:
        await stage.submit()
        await stage.show(failed(destination={"address": TARGET}))
        assert (await outcome(stage)).status == "transfer_rejected"


# Consultations


@pytest.mark.parametrize(
    "consulted",
    [
        participant("agent", "p-c", userId=USER, consultParticipantId="p-a"),
        participant("acd", "p-c", queueId=TARGET, consultParticipantId="p-a"),
        participant("external", "p-c", address="tel:+31205550100", consultParticipantId="p-a"),
    ],
    ids=["colleague", "queue", "number"],
)
@pytest.mark.parametrize("to", [TO_QUEUE, TO_USER])
async def test_a_consultation_at_the_destination_is_neither_replaced_nor_taken_for_an_arrival(
    consulted: Any, to: str
):
    held = conversation("c-1", LEFT, participant("agent", "p-a", userId="u-1"))
    consulting = {**held, "participants": [*held["participants"], consulted]}
    async with staged([TO_QUEUE, TO_USER]) as stage:
        stage.server.conversations["c-1"] = consulting
        seen = await stage.gateway.look_up("c-1")
        assert seen.destination_uri == "genesys://user/u-1"
        assert (seen.handles or {})[PARTICIPANT] == "p-a"
        stage.server.conversations["c-1"] = held
        await stage.submit(to)
        stage.server.conversations["c-1"] = consulting  # it begins after the command
        assert (await outcome(stage)).status == "unconfirmed"
        assert "/participants/p-a/" in stage.posts[0].path


# What is hidden, and what is long


async def test_a_conversation_of_another_division_is_refused_by_itself():
    async with staged() as stage:
        stage.server.script("GET /api/v2/conversations/", answer(403, {"code": "not.authorized"}))
        seen = await stage.gateway.look_up("c-1")
        assert seen.refusal is not None
        assert seen.refusal.startswith("not.authorized (403); the client's roles do not reach")
        assert (await stage.gateway.look_up("c-1")).refusal is None


async def test_a_conversation_of_more_than_a_megabyte_is_read_and_followed():
    texts = [{"id": f"m-{n}", "messageText": "x" * 1000} for n in range(3000)]
    acd: dict[str, Any] = {"id": "p-1", "purpose": "acd", "queueId": SOURCE}
    acd["messages"] = [{"id": "c", "state": "connected", "messages": texts}]
    long = conversation("c-1", acd)
    assert len(json.dumps(long)) > 3_000_000
    async with staged() as stage:
        stage.server.conversations["c-1"] = long
        await stage.submit()
        gone = {**acd, "endTime": AT}
        await stage.tell(conversation("c-1", gone, participant("acd", "p-2", queueId=TARGET)))
        assert (await outcome(stage)).status == "transfer_initiated"
        assert stage.listener.all("lost") == []


# Arrivals that are none


HELD = participant("agent", "p-1", userId=USER)
"""The agent who holds the customer and is replaced."""

OTHER_USER = "44444444-4444-4444-8444-444444444444"
TO_OTHER = f"genesys://user/{OTHER_USER}"


async def test_a_leg_at_the_queue_that_died_while_the_agent_still_holds_is_no_arrival():
    dead = participant("acd", "p-2", queueId=TARGET, state="disconnected", endTime=AT)
    failure = {"id": "t-1", "state": "Failed", "destination": {"address": TARGET}, "initiator": {}}
    async with staged() as stage:
        stage.server.conversations["c-1"] = conversation("c-1", HELD)
        await stage.submit()
        await stage.show(conversation("c-1", HELD, dead, recentTransfers=[failure]))
        assert (await outcome(stage)).reason == ("the platform accepted it, and it ended as failed")


async def test_a_leg_at_the_queue_that_died_is_none_while_the_customer_waits_in_the_first():
    first = participant("acd", "p-1", queueId=SOURCE)
    dead = participant("acd", "p-2", queueId=TARGET, state="disconnected", endTime=AT)
    async with staged() as stage:
        await stage.submit()
        await stage.show(conversation("c-1", first, dead))
        assert (await outcome(stage)).status == "unconfirmed"


LATER = "2026-12-01T21:00:09.000000Z"


@pytest.mark.parametrize(
    "then",
    [
        [participant("agent", "p-3", userId=OTHER_USER)],
        [participant("customer", "p-0", state="disconnected", endTime=LATER)],
    ],
    ids=["moved elsewhere by a colleague", "hung up"],
)
async def test_a_leg_that_died_at_once_is_none_when_whoever_held_has_left_later(then: Any):
    left = participant("agent", "p-1", userId=USER, state="disconnected", endTime=LATER)
    dead = participant("acd", "p-2", queueId=TARGET, state="disconnected", endTime=AT)
    async with staged() as stage:
        stage.server.conversations["c-1"] = conversation("c-1", HELD)
        await stage.submit()
        await stage.show({"id": "c-1", "participants": [left, dead, *then]})
        assert (await outcome(stage)).status == "unconfirmed"


async def test_who_was_called_in_has_not_arrived_when_all_hang_up_together():
    one = participant("agent", "p-1", userId=USER, state="disconnected", endTime=LATER)
    two = participant("agent", "p-2", userId=OTHER_USER, state="disconnected", endTime=LATER)
    for each in (one, two):
        each["messages"][0]["connectedTime"] = AT
    async with staged([TO_OTHER]) as stage:
        stage.server.conversations["c-1"] = conversation("c-1", HELD)
        await stage.submit(TO_OTHER)
        await stage.show(conversation("c-1", one, two, endTime=LATER))
        assert (await outcome(stage)).status == "unconfirmed"


async def test_who_waited_at_the_destination_and_hung_up_has_arrived():
    left = participant("agent", "p-1", userId=USER, state="disconnected", endTime=AT)
    waited = participant("acd", "p-2", queueId=TARGET, state="disconnected", endTime=LATER)
    async with staged() as stage:
        stage.server.conversations["c-1"] = conversation("c-1", HELD)
        await stage.submit()
        await stage.show(conversation("c-1", left, waited, endTime=LATER))
        assert (await outcome(stage)).status == "transfer_initiated"


async def test_a_failure_counts_though_the_replaced_leg_has_gone():
    gone = participant("agent", "p-1", userId=USER, state="disconnected", endTime=AT)
    dead = participant("acd", "p-2", queueId=TARGET, state="disconnected", endTime=AT)
    failure = {"id": "t-1", "state": "Failed", "destination": {"address": TARGET}, "initiator": {}}
    async with staged() as stage:
        stage.server.conversations["c-1"] = conversation("c-1", HELD)
        await stage.submit()
        await stage.show(conversation("c-1", gone, dead, recentTransfers=[failure]))
        assert (await outcome(stage)).status == "transfer_rejected"


async def test_a_colleague_who_is_called_in_is_an_arrival_once_the_first_agent_has_left():
    two = participant("agent", "p-2", userId=OTHER_USER)
    async with staged([TO_OTHER]) as stage:
        stage.server.conversations["c-1"] = conversation("c-1", HELD)
        await stage.submit(TO_OTHER)
        await stage.show(conversation("c-1", HELD, two))
        await stage.clock.advance(14)
        assert stage.listener.all("replied") == []
        gone = participant("agent", "p-1", userId=USER, state="disconnected", endTime=AT)
        await stage.show(conversation("c-1", gone, two))
        assert (await outcome(stage)).status == "transfer_initiated"


async def test_a_leg_that_rings_has_not_answered_though_it_has_joined_the_conversation():
    """A participant's own time of connection is that with the conversation."""
    rung = participant("agent", "p-2", userId=USER, state="alerting", connectedTime=AT)
    async with staged([TO_USER]) as stage:
        await stage.submit(TO_USER)
        await stage.show(conversation("c-1", LEFT, rung))
        await stage.clock.advance(14)
        assert stage.listener.all("replied") == []
        await stage.show(ANSWERED)
        assert (await outcome(stage)).status == "transfer_initiated"
