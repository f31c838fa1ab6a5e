"""Conversations of the vendor's platform, read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.transfer.lookup_verdict import Arrival, Interaction
from runner.gateways.genesys_cloud.protocol.conversation import (
    FAILED,
    MEDIA,
    Reading,
    Setback,
    read_conversation,
    respelled,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "state", "purpose", "userId", *MEDIA]), inner)
    ),
    max_leaves=6,
)
STATES = st.sampled_from(["connected", "alerting", "disconnected", "terminated", "parked", "new"])
UNKNOWN = st.text(min_size=20).filter(lambda name: not name.endswith("ParticipantId"))
PURPOSES = st.sampled_from(["acd", "agent", "user", "customer", "external", "ivr", "botflow", ""])


@st.composite
def participants(draw: st.DrawFn) -> dict[str, Any]:
    number = draw(st.integers(0, 99))
    told: dict[str, Any] = {"id": f"p-{number}", "purpose": draw(PURPOSES)}
    for name in ("queueId", "userId"):
        if draw(st.booleans()):
            told[name] = f"{name}-{number % 3}"
    media = draw(st.sampled_from(MEDIA))
    told[media] = [{"state": state} for state in draw(st.lists(STATES, max_size=2))]
    if draw(st.integers(0, 3)) == 0:
        told["endTime"] = "2026-12-01T21:00:00Z"
    return told


def one(purpose: str, name: str, state: str = "connected", **more: Any) -> dict[str, Any]:
    medium = more.pop("medium", "calls")
    return {"id": name, "purpose": purpose, medium: [{"state": state}], **more}


def read(*told: dict[str, Any], **fields: Any) -> Interaction:
    reading = read_conversation({"id": "c-1", "participants": list(told), **fields}, "c-1")
    assert reading is not None
    return reading.interaction


CUSTOMER = one("customer", "p-c")
QUEUED = one("acd", "p-q", queueId="q-1")
AGENT = one("agent", "p-a", userId="u-1")


def test_what_waits_in_a_queue_is_replaced_there():
    seen = read(CUSTOMER, QUEUED)
    assert (seen.state, seen.destination_uri) == ("queued", "genesys://queue/q-1")
    assert seen.handles == {"participant_id": "p-q"}


def test_while_an_agent_is_rung_it_still_waits():
    seen = read(CUSTOMER, QUEUED, one("agent", "p-a", "alerting", userId="u-1"))
    assert seen.handles == {"participant_id": "p-q"}
    assert Arrival("p-a", "genesys://user/u-1", is_done=False) in seen.arrivals


def test_what_is_talked_to_is_replaced_at_the_agent():
    seen = read(CUSTOMER, one("acd", "p-q", "disconnected", queueId="q-1"), AGENT)
    assert (seen.state, seen.destination_uri) == ("active", "genesys://user/u-1")
    assert seen.handles == {"participant_id": "p-a"}


def test_the_queue_that_it_was_moved_to_last_counts():
    seen = read(
        CUSTOMER, one("acd", "p-1", "disconnected", queueId="q-1"), one("acd", "p-2", queueId="q-2")
    )
    assert seen.destination_uri == "genesys://queue/q-2"
    assert [arrival.id for arrival in seen.arrivals] == ["p-1", "p-2"]


def test_nobody_is_to_be_replaced_in_a_flow():
    seen = read(CUSTOMER, one("ivr", "p-i"))
    assert (seen.state, seen.handles, seen.destination_uri) == ("active", None, None)


def test_it_may_be_at_an_outside_number():
    seen = read(CUSTOMER, one("external", "p-x", address="tel:+31205550100"))
    assert (seen.state, seen.destination_uri) == ("active", "tel:+31205550100")
    assert seen.handles is None


@pytest.mark.parametrize(
    "gone",
    [
        (one("customer", "p-c", "disconnected"), QUEUED),
        (
            one("customer", "p-c", "terminated", medium="messages"),
            one("acd", "q", medium="messages"),
        ),
        (one("customer", "p-c", endTime="2026-12-01T21:00:00Z"), AGENT),
        (one("external", "p-c", "disconnected"), AGENT),
        (one("customer", "p-c", "disconnected"), one("acd", "p-q", "disconnected")),
        (),
    ],
)
def test_without_the_customer_it_has_ended(gone: tuple[dict[str, Any], ...]):
    assert read(*gone).state == "completed"


@pytest.mark.parametrize("medium", ["emails", "callbacks"])
def test_an_email_or_a_callback_waits_without_the_customer(medium: str):
    left = one("customer", "p-c", "disconnected", medium=medium)
    waiting = one("acd", "p-q", queueId="q-1", medium=medium)
    assert read(left, waiting).state == "queued"
    assert read(left, waiting, endTime="2026-12-01T21:00:00Z").state == "completed"


def test_a_callback_is_told_as_one():
    seen = read(CUSTOMER, one("acd", "p-q", queueId="q-1", medium="callbacks"))
    assert seen.handles == {"participant_id": "p-q", "callback": "yes"}


def test_recent_transfers_leave_traces_unless_they_came_to_nothing():
    told = {
        "id": "c-1",
        "participants": [CUSTOMER, QUEUED],
        "recentTransfers": [
            {"id": "t-1", "state": "Complete", "destination": {"userId": "u-9"}},
            {"id": "t-2", "state": "complete", "destination": {"address": "tel:+31205550100"}},
            {"id": "t-3", "state": "Pending", "destination": {}},
            {"id": "t-4", "state": "Invented", "destination": None},
            {"id": "t-5", "state": "Failed", "initiator": {"userId": "u-2"}},
            {"id": "t-6", "state": "canceled", "destination": {"userId": "u-9"}, "initiator": {}},
        ],
    }
    reading = read_conversation(told, "c-1")
    assert reading is not None
    assert reading.interaction.arrivals[1:] == (
        Arrival("t-1", "genesys://user/u-9", is_done=True),
        Arrival("t-2", "tel:+31205550100", is_done=True),
        Arrival("t-3", None, is_done=False),
        Arrival("t-4", None, is_done=False),
    )
    assert reading.setbacks == (
        Setback("t-5", "failed", None, is_foreign=True),
        Setback("t-6", "canceled", "genesys://user/u-9", is_foreign=False),
    )
    assert reading.transfer_ids == {"t-1", "t-2", "t-3", "t-4", "t-6"}  # a user began the fifth


def test_an_event_may_tell_queue_and_user_as_objects():
    seen = read(CUSTOMER, one("acd", "p-q", queue={"id": "q-1"}))
    assert seen.destination_uri == "genesys://queue/q-1"


@pytest.mark.parametrize(
    "odd",
    [
        None,
        [],
        {},
        {"id": "c-2", "participants": []},
        {"id": "c-1"},
        {"id": "c-1", "participants": {}},
        {"id": "c-1", "participants": [7]},
        {"id": "c-1", "participants": [{"purpose": "acd"}]},
        {"id": "c-1", "participants": [{"id": ""}]},
        {"id": "c-1", "participants": [{"id": "x" * 300}]},
        {"id": "c-1", "participants": [{"id": "p", "purpose": 3}]},
        {"id": "c-1", "participants": [{"id": "p", "calls": {}}]},
        {"id": "c-1", "participants": [{"id": "p", "calls": [{"state": 1}]}]},
        {"id": "c-1", "participants": [{"id": "p", "queueId": 5}]},
        {"id": "c-1", "participants": [], "recentTransfers": {}},
        {"id": "c-1", "participants": [], "recentTransfers": [{"id": "t"}]},
        {"id": "c-1", "participants": [], "recentTransfers": [{"state": "Failed"}]},
        {"id": "c-1", "participants": [{"id": "p"}] * 2001},
    ],
)
def test_what_a_judgement_would_rest_on_must_be_as_documented(odd: object):
    assert read_conversation(odd, "c-1") is None


@given(JSON)
def test_no_body_raises(body: object):
    read_conversation(body, "c-1")
    read_conversation({"id": "c-1", "participants": body}, "c-1")
    read_conversation({"id": "c-1", "participants": [], "recentTransfers": body}, "c-1")
    read_conversation({"id": "c-1", "participants": [body]}, "c-1")


@given(st.lists(participants(), max_size=6), st.dictionaries(UNKNOWN, JSON))
def test_unknown_fields_change_nothing(told: list[dict[str, Any]], extra: dict[str, Any]):
    plain = {"id": "c-1", "participants": told}
    more = {**extra, "id": "c-1", "participants": [{**extra, **each} for each in told]}
    assert read_conversation(more, "c-1") == read_conversation(plain, "c-1")


@given(st.lists(participants(), max_size=6))
def test_whoever_is_to_be_replaced_is_there_and_never_the_customer(told: list[dict[str, Any]]):
    seen = read(*told)
    if seen.handles is None:
        return
    named = [each for each in told if each["id"] == seen.handles["participant_id"]]
    assert any(each["purpose"] in {"acd", "agent", "user"} for each in named)
    assert any("endTime" not in each for each in named)


@given(st.lists(participants(), min_size=1, max_size=6), st.sampled_from(sorted(FAILED)))
def test_a_transfer_that_came_to_nothing_changes_nothing_of_where_it_is(
    told: list[dict[str, Any]], state: str
):
    transfer = {"id": "t-1", "state": state, "destination": {}}
    assert read(*told, recentTransfers=[transfer]) == read(*told)


def test_places_are_respelled_everywhere():
    arrival = Arrival("p", "genesys://user/ab", is_done=True)
    seen = Interaction("c", found=True, destination_uri="genesys://queue/cd", arrivals=(arrival,))
    reading = Reading(seen, (Setback("t", "failed", "genesys://user/ab", is_foreign=False),))
    spelled = {"genesys://user/ab": "genesys://user/AB", "genesys://queue/cd": "genesys://queue/CD"}
    told = respelled(reading, spelled)
    assert told.interaction.destination_uri == "genesys://queue/CD"
    assert told.interaction.arrivals[0].destination_uri == "genesys://user/AB"
    assert told.setbacks[0].destination_uri == "genesys://user/AB"
    assert respelled(reading, {}) == reading


WITH_ONE = (CUSTOMER, one("acd", "p-q", "disconnected", queueId="q-1"), AGENT)


@pytest.mark.parametrize(
    "consulted",
    [
        one("agent", "p-b", userId="u-2", consultParticipantId="p-a"),
        one("agent", "p-b", "alerting", userId="u-2", consultParticipantId="p-c"),
        one("acd", "p-b", queueId="q-2", consultParticipantId="p-a"),
        one("external", "p-b", address="tel:+31205550100", consultParticipantId="p-a"),
    ],
    ids=["agent", "rung", "queue", "external"],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_who_is_consulted_is_never_replaced_and_nobody_was_moved_there(
    consulted: dict[str, Any], *, is_first: bool
):
    told = (consulted, *WITH_ONE) if is_first else (*WITH_ONE, consulted)
    seen = read(*told)
    assert seen == read(*WITH_ONE)
    assert seen.handles == {"participant_id": "p-a"}
    assert seen.destination_uri == "genesys://user/u-1"


def test_where_both_legs_of_a_consultation_are_marked_the_first_holds_the_customer():
    seen = read(
        CUSTOMER,
        one("agent", "p-a", userId="u-1", consultParticipantId="p-c"),
        one("agent", "p-b", userId="u-2", consultParticipantId="p-c"),
    )
    assert seen.handles == {"participant_id": "p-a"}


def test_who_was_consulted_holds_the_customer_once_the_others_have_left():
    gone = one("agent", "p-a", "disconnected", userId="u-1")
    consulted = one("agent", "p-b", userId="u-2", consultParticipantId="p-a")
    seen = read(CUSTOMER, gone, consulted)
    assert (seen.handles, seen.destination_uri) == ({"participant_id": "p-b"}, "genesys://user/u-2")
    (moved,) = (each for each in seen.arrivals if each.id == "p-b")
    assert moved.by_user  # an agent made that move


def test_a_customer_who_left_a_consultation_with_an_outside_number_has_left():
    left = one("customer", "p-c", "disconnected")
    consulted = one("external", "p-x", address="tel:+31205550100", consultParticipantId="p-a")
    assert read(left, AGENT, consulted).state == "completed"


@pytest.mark.parametrize(
    "mark", ["monitoredParticipantId", "coachedParticipantId", "bargedParticipantId"]
)
def test_a_supervisor_is_not_replaced_while_the_agent_is_there(mark: str):
    supervisor = one("agent", "p-s", userId="u-9", **{mark: "p-a"})
    for told in ((supervisor, *WITH_ONE), (*WITH_ONE, supervisor)):
        assert read(*told) == read(*WITH_ONE)


def test_an_agent_who_talks_is_replaced_rather_than_the_queue_that_he_hands_on_to():
    attended = read(CUSTOMER, AGENT, one("acd", "p-2", queueId="q-2"))
    assert attended.handles == {"participant_id": "p-a"}


def test_a_user_who_called_from_inside_is_not_replaced():
    caller = one("user", "p-a", userId="u-1")
    assert read(caller, QUEUED).handles == {"participant_id": "p-q"}
    answered = read(caller, one("acd", "p-q", "disconnected"), one("agent", "p-b", userId="u-2"))
    assert answered.handles == {"participant_id": "p-b"}


def test_a_parked_email_waits_with_whom_it_was_parked_by():
    parked = one("agent", "p-a", "parked", userId="u-1", medium="emails")
    seen = read(one("customer", "p-c", "disconnected", medium="emails"), parked)
    assert (seen.state, seen.handles) == ("active", {"participant_id": "p-a"})


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("11111111-1111-4111-8111-111111111111", "genesys://queue/11111111-1111-4111-8111-111111111111"),
        ("22222222-2222-4222-8222-222222222222", "genesys://user/22222222-2222-4222-8222-222222222222"),
        ("33333333-3333-4333-8333-333333333333", "33333333-3333-4333-8333-333333333333"),
        ("+31205550100", "tel:+31205550100"),
    ],
)  # fmt: skip
def test_a_transfers_address_may_be_a_mere_id_or_a_number(address: str, expected: str):
    failed = {"id": "t-1", "state": "Failed", "destination": {"address": address}}
    body = {"id": "c-1", "participants": [CUSTOMER, QUEUED], "recentTransfers": [failed]}
    reading = read_conversation(body, "c-1")
    assert reading is not None
    known = (
        "genesys://queue/11111111-1111-4111-8111-111111111111",
        "genesys://user/22222222-2222-4222-8222-222222222222",
        "tel:+31205550100",
    )
    (setback,) = respelled(reading, {uri.casefold(): uri for uri in known}).setbacks
    assert setback.destination_uri == expected
