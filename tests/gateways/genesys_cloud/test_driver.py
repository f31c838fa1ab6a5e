"""The driver `genesys-cloud`: what becomes of a command, and what of it is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from runner.core.errors import GatewayError, LookUpFailed
from runner.core.transfer.lookup_verdict import Arrival, Interaction
from runner.core.transfer.message import Reply
from runner.core.transfer.states import Event
from tests.fakes.turns import until
from tests.fakes.vendor_server import DATE_S, participant
from tests.fakes.wire_server import Reaction, answer
from tests.gateways.genesys_harness import (
    MOVED,
    SOURCE,
    TO_QUEUE,
    TO_USER,
    USER,
    WAITING,
    command,
    failed,
    staged,
)

USER_IN_CAPITALS = USER.replace("3", "A")
REPLACE = "POST /api/v2/conversations/"


async def test_a_look_up_tells_where_it_is_and_who_is_to_be_replaced():
    async with staged() as stage:
        seen = await stage.gateway.look_up("c-1")
    assert seen == Interaction(
        "c-1",
        found=True,
        state="queued",
        destination_uri=f"genesys://queue/{SOURCE}",
        date_s=DATE_S,
        arrivals=(Arrival("p-1", f"genesys://queue/{SOURCE}", is_done=True),),
        handles={"participant_id": "p-1"},
    )


async def test_a_conversation_that_is_not_there_is_an_answer():
    async with staged() as stage:
        assert not (await stage.gateway.look_up("c-2")).found


@pytest.mark.parametrize(
    "body", [{}, {"id": "c-9", "participants": []}, {**WAITING, "participants": 3}]
)
async def test_an_unreadable_conversation_fails_the_look_up(body: Any):
    async with staged() as stage:
        stage.server.conversations["c-1"] = body
        with pytest.raises(LookUpFailed, match="does not describe the interaction"):
            await stage.clock.through(stage.gateway.look_up("c-1"))


async def test_places_are_told_as_the_manifest_writes_them():
    written = f"genesys://queue/{SOURCE.upper()}"
    async with staged([written]) as stage:
        assert (await stage.gateway.look_up("c-1")).destination_uri == f"genesys://queue/{SOURCE}"
    shouted = TO_QUEUE.upper().replace("GENESYS://QUEUE", "genesys://queue")
    async with staged([shouted]) as stage:
        stage.server.conversations["c-1"] = MOVED
        assert (await stage.gateway.look_up("c-1")).destination_uri == shouted


SHOUTED = "3F2504E0-4F89-41D3-9A0C-0305E82C3301"
"""A conversation's id as a manifest may write it; the platform writes it in lower case."""


@pytest.mark.parametrize("spell", [str.lower, str.upper])
async def test_an_id_in_capitals_is_that_of_the_same_conversation(spell: Callable[[str], str]):
    """The platform looks ids up exactly; what it shows may be in capitals too."""
    waiting = {**WAITING, "id": spell(SHOUTED)}
    async with staged() as stage:
        stage.server.conversations[SHOUTED.lower()] = waiting
        seen = await stage.gateway.look_up(SHOUTED)
        assert seen.state == "queued"
        await stage.gateway.submit(command(seen, interaction_id=SHOUTED))
        await stage.tell({**MOVED, "id": spell(SHOUTED)})
        reply = await stage.clock.through(stage.listener.until("replied"), step_s=0.1)
        assert reply.status == "transfer_initiated"
        assert f"/conversations/{SHOUTED.lower()}/participants/" in stage.posts[0].path


async def test_a_command_is_under_way_however_its_destination_is_written():
    """A batch may write one queue in two ways; what is seen is spelled in one of them."""
    shouted = TO_USER.replace(USER, USER_IN_CAPITALS)
    quiet = shouted.replace(USER_IN_CAPITALS, USER_IN_CAPITALS.lower())
    ringing = participant("agent", "p-2", userId=USER_IN_CAPITALS.lower(), state="alerting")
    async with staged([shouted, quiet]) as stage:
        await stage.submit(shouted)
        await stage.show({**WAITING, "participants": [*WAITING["participants"], ringing]})
        await stage.clock.advance(20)
        assert stage.listener.all("replied") == []


async def test_an_event_confirms_a_command_and_no_further_request_is_made():
    async with staged() as stage:
        await stage.submit()
        await stage.tell(MOVED)
        reply = await stage.clock.through(stage.listener.until("replied"), step_s=0.1)
        assert reply == Reply(
            "m-1",
            "transfer_initiated",
            reason="seen to have arrived",
            correlation_id="corr-1",
            event=Event.ACCEPTED,
        )
        await stage.clock.advance(9)
        assert len(stage.server.of("GET", "/api/v2/conversations/")) == 1
        post = stage.posts[0]
        assert post.path == "/api/v2/conversations/c-1/participants/p-1/replace/queue"
        assert json.loads(post.body)["transferType"] == "Unattended"


async def test_where_no_event_comes_the_conversation_is_read_after_two_seconds():
    async with staged() as stage:
        await stage.submit()
        stage.server.conversations["c-1"] = MOVED
        reply = await stage.clock.through(stage.listener.until("replied"), step_s=0.1)
        assert reply.status == "transfer_initiated"
        assert 1002 <= stage.clock.now() < 1003.5


async def test_what_nothing_shows_is_in_doubt_before_its_time_out_and_settled_when_it_shows():
    async with staged() as stage:
        await stage.submit()
        unsure = await stage.clock.through(stage.listener.until("replied"), step_s=0.1)
        assert (unsure.status, unsure.correlation_id) == ("unconfirmed", "corr-1")
        assert 1009.5 <= stage.clock.now() < 1011
        assert len(stage.server.of("GET", "/api/v2/conversations/")) == 3
        await stage.tell(MOVED)
        late = await stage.listener.until("replied", 2)
        assert (late.message_id, late.status) == ("m-1", "transfer_initiated")


@pytest.mark.parametrize("state", ["Failed", "Canceled", "Timeout", "failed", "timeout"])
async def test_a_transfer_that_came_to_nothing_is_rejected_with_its_state(state: str):
    async with staged() as stage:
        await stage.submit()
        await stage.clock.advance(0.1)
        await stage.tell(failed(state))
        reply = await stage.clock.through(stage.listener.until("replied"), step_s=0.1)
        assert reply.status == "transfer_rejected"
        assert reply.reason == f"the platform accepted it, and it ended as {state.lower()}"


@pytest.mark.parametrize(
    "others",
    [
        {"initiator": {"userId": USER}},
        {"destination": {"userId": USER}},
        {"destination": {"address": "tel:+31205550100"}},
    ],
)
async def test_somebody_elses_failure_is_not_ours(others: dict[str, Any]):
    async with staged() as stage:
        await stage.submit()
        await stage.clock.advance(0.1)
        await stage.tell(failed(**others))
        reply = await stage.clock.through(stage.listener.until("replied"))
        assert reply.status == "unconfirmed"


async def test_a_user_is_rung_first_and_counts_once_connected():
    ringing = {"id": "p-2", "purpose": "agent", "userId": USER, "messages": [{"state": "alerting"}]}
    there = {**ringing, "messages": [{"state": "connected"}]}
    async with staged([TO_USER]) as stage:
        await stage.submit(TO_USER)
        await stage.clock.advance(0.1)
        for told in (ringing, there):
            assert stage.listener.all("replied") == []
            await stage.tell({**WAITING, "participants": [*WAITING["participants"], told]})
        reply = await stage.clock.through(stage.listener.until("replied"), step_s=0.05)
        assert reply.status == "transfer_initiated"
        assert stage.posts[0].path.endswith("/participants/p-1/replace/agent")
        assert json.loads(stage.posts[0].body)["userId"] == USER


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "conversations.error.transfer.not.connected"),
        (400, "conversations.error.transfer.same.party"),
        (403, "not.authorized"),
        (404, "not.found"),
        (409, "conflict"),
        (415, "unsupported.media.type"),
    ],
)
async def test_a_definite_refusal_is_rejected_with_the_vendors_code(status: int, code: str):
    async with staged() as stage:
        refusal = answer(status, {"code": code, "message": "No."}, ININ_Correlation_Id="corr-7")
        stage.server.script(REPLACE, refusal)
        await stage.submit()
        reply = await stage.listener.until("replied")
        assert (reply.status, reply.correlation_id) == ("transfer_rejected", "corr-7")
        assert str(reply.reason).startswith(f"{code} ({status}): No")
        assert len(stage.posts) == 1
        assert stage.listener.all("gave_up") == []


@pytest.mark.parametrize("code", ["missing.permissions", "missing.any.permissions"])
async def test_a_missing_permission_rejects_the_command_and_ends_the_run(code: str):
    right = "conversation:communication:blindTransferQueue"
    refusal = answer(403, {"code": code, "message": f"You are missing: [{right}]."})
    async with staged() as stage:
        stage.server.script(REPLACE, refusal)
        await stage.submit()
        reply = await stage.listener.until("replied")
        assert (reply.status, reply.event) == ("transfer_rejected", Event.DENIED)
        error = await stage.listener.until("gave_up")
        assert isinstance(error, GatewayError)
        assert error.what == f"no transfer: {code} (403): You are missing: [{right}]"
        assert error.check.startswith(f"the client's roles lack {right}: add it to a role")
        assert [what for what, _ in stage.listener.calls][-2:] == ["replied", "gave_up"]


async def test_too_many_requests_are_told_with_their_wait_and_stop_every_request():
    async with staged() as stage:
        stage.server.script(REPLACE, answer(429, {"code": "rate.limited"}, Retry_After="7"))
        await stage.submit()
        reply = await stage.listener.until("replied")
        assert (reply.status, reply.code, reply.retry_after_s) == ("rate_limited", 429, 7)
        assert stage.gateway.due_in(0) == pytest.approx(7, abs=0.1)


async def test_a_refused_token_is_renewed_and_the_command_was_certainly_not_carried_out():
    async with staged() as stage:
        stage.server.script(REPLACE, answer(401, {"code": "bad.credentials"}))
        await stage.submit()
        reply = await stage.listener.until("replied")
        assert (reply.unsent, reply.status) == (True, "token_refused")
        await stage.submit(message_id="m-2")
        await stage.tell(MOVED)
        assert (await stage.clock.through(stage.listener.until("replied", 2))).message_id == "m-2"
        assert stage.posts[1].headers["authorization"] == "Bearer token-number-2"
        assert stage.gateway.token_renewals == 1
        assert stage.listener.all("gave_up") == []


async def test_a_new_token_that_is_refused_too_ends_the_run():
    async with staged() as stage:
        seen = await stage.gateway.look_up("c-1")
        stage.server.script(REPLACE, *[answer(401)] * 2)
        await stage.gateway.submit(command(seen))
        await stage.listener.until("replied")
        await until(lambda: stage.gateway.token_renewals > 0)
        await stage.gateway.submit(command(seen, message_id="m-2"))
        error = await stage.listener.until("gave_up")
        assert "refuses a new token" in str(error)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_an_error_of_the_platform_says_nothing_of_the_command(status: int):
    async with staged() as stage:
        stage.server.script(REPLACE, answer(status, ININ_Correlation_Id="corr-9"))
        await stage.submit()
        reply = await stage.listener.until("replied")
        assert (reply.status, reply.unsent, reply.correlation_id) == (
            "server_error",
            False,
            "corr-9",
        )


@pytest.mark.parametrize("way", [b"", b"HTTP/1.1 202", b"garbage\r\n\r\n"])
async def test_a_lost_answer_leaves_it_in_doubt_until_an_event_tells(way: Reaction):
    async with staged() as stage:
        stage.server.script(REPLACE, way)
        await stage.submit()
        assert (await stage.listener.until("replied")).status == "no_answer"
        await stage.tell(MOVED)
        assert (await stage.listener.until("replied", 2)).status == "transfer_initiated"
        assert len(stage.posts) == 1


async def test_a_redirected_command_ends_the_run_and_is_in_doubt():
    async with staged() as stage:
        stage.server.script(REPLACE, answer(307, Location="https://elsewhere.example/x"))
        await stage.submit()
        assert (await stage.listener.until("replied")).status == "redirected"
        assert "https://elsewhere.example/x, which is not followed" in str(
            await stage.listener.until("gave_up")
        )
        assert stage.server.asked("/x") == []


async def test_without_a_session_nothing_is_handed_over():
    async with staged() as stage:
        seen = await stage.gateway.look_up("c-1")
        await stage.gateway.close()
        with pytest.raises(GatewayError, match="no session is open"):
            await stage.gateway.submit(command(seen))
        assert stage.posts == []


async def test_events_of_other_conversations_pass_by():
    async with staged() as stage:
        await stage.submit()
        await stage.tell({**MOVED, "id": "c-other"})
        await stage.tell(MOVED)
        reply = await stage.clock.through(stage.listener.until("replied"), step_s=0.1)
        assert reply.message_id == "m-1"
        assert stage.listener.all("noted") == []


async def test_an_event_that_cannot_be_read_is_noted_and_settles_nothing():
    async with staged() as stage:
        await stage.submit()
        await stage.tell({"id": "c-1", "participants": "none"})
        assert (await stage.listener.until("noted")).why == "an unreadable event"
        assert stage.listener.all("replied") == []
