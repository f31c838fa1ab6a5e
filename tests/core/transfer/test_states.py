"""The one table: what leads where, what never does, and what each reply means."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.transfer.outcome import Outcome
from runner.core.transfer.states import (
    FINAL,
    HELD,
    OUTCOMES,
    TABLE,
    Event,
    ImpossibleEvent,
    State,
    classify,
    classify_repeat,
    step,
)

EVENTS = st.lists(st.sampled_from(Event), max_size=60)


def walk(state: State, events: list[Event]) -> list[State]:
    """Return every state on the way; impossible events are skipped."""
    way = [state]
    for event in events:
        try:
            way.append(step(way[-1], event))
        except ImpossibleEvent:
            way.append(way[-1])
    return way


@given(st.sampled_from(State), st.sampled_from(Event))
def test_a_step_gives_a_state_or_says_what_is_impossible(state: State, event: Event):
    if event in TABLE[state]:
        assert step(state, event) is TABLE[state][event]
        return
    with pytest.raises(ImpossibleEvent, match=f"that is {state} cannot be {event}") as impossible:
        step(state, event)
    assert (impossible.value.state, impossible.value.event) == (state, event)


def test_every_state_has_its_row_and_its_outcome():
    assert set(TABLE) == set(OUTCOMES) == set(State)


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        TABLE[State.READY] = {}  # type: ignore[index]


@given(EVENTS)
def test_transferred_absorbs(events: list[Event]):
    assert set(walk(State.TRANSFERRED, events)) == {State.TRANSFERRED}


@given(EVENTS)
def test_a_final_state_is_left_for_transferred_alone(events: list[Event]):
    way = walk(State.READY, events)
    for before, after in pairwise(way):
        if before in FINAL and after is not before:
            assert after is State.TRANSFERRED


@given(EVENTS)
def test_evidence_of_an_effect_is_never_lost(events: list[Event]):
    """Once an effect was seen in a state that admits the event, the transfer is carried out."""
    way = walk(State.READY, events)
    for event, before, after in zip(events, way, way[1:], strict=False):
        if event in {Event.ACCEPTED, Event.SEEN, Event.VOUCHED} and event in TABLE[before]:
            assert after is way[-1] is State.TRANSFERRED


def test_what_may_have_moved_becomes_ready_only_by_a_definite_no():
    """Nothing automatic leads from unknown to a second effect (recovery)."""
    ways = {
        (state, event)
        for state in HELD
        for event, after in TABLE[state].items()
        if after is State.READY
    }
    assert ways == {
        (State.SENDING, Event.WITHDRAWN),
        (State.SENDING, Event.LIMITED),
        (State.SENDING, Event.UNSUITED),
        (State.UNKNOWN, Event.CLEARED),
        (State.RESENDING, Event.UNSUITED),
    }


def test_a_doubt_ends_by_evidence_a_person_or_the_fence_alone():
    assert set(TABLE[State.UNKNOWN]) == {
        Event.ACCEPTED,
        Event.SEEN,
        Event.CLEARED,
        Event.REPEATED,
        Event.VOUCHED,
        Event.DISOWNED,
    }


def test_a_delivery_begins_only_where_none_can_have_been_carried_out():
    assert [s for s in State if Event.INTENT in TABLE[s]] == [State.READY]
    assert [s for s in State if Event.REPEATED in TABLE[s]] == [State.UNKNOWN]


def test_a_positive_reply_settles_whatever_the_state():
    assert {step(state, Event.ACCEPTED) for state in State} == {State.TRANSFERRED}


@given(EVENTS)
def test_failed_means_certainly_not_carried_out_or_a_person_said_so(events: list[Event]):
    way = walk(State.READY, events)
    for event, before, after in zip(events, way, way[1:], strict=False):
        if after is State.FAILED and before is not State.FAILED:
            assert (before, event) in {
                (State.READY, Event.EXHAUSTED),
                (State.UNKNOWN, Event.DISOWNED),
            }


def test_outcomes_by_state():
    assert {state: OUTCOMES[state] for state in HELD} == dict.fromkeys(HELD, Outcome.IN_DOUBT)
    assert OUTCOMES[State.READY] is Outcome.UNATTEMPTED
    assert {OUTCOMES[state].value for state in FINAL} == {state.value for state in FINAL}


@pytest.mark.parametrize(
    ("status", "event"),
    [
        ("codec_negotiated", Event.ACCEPTED),
        ("transfer_initiated", Event.ACCEPTED),
        ("codec_unsupported", Event.UNSUITED),
        ("rate_limited", Event.LIMITED),
        ("interaction_not_found", Event.DENIED),
        ("interaction_terminated", Event.DENIED),
        ("destination_unreachable", Event.DENIED),
        ("destination_invalid", Event.DENIED),
        ("format_invalid", Event.DENIED),
        ("bandwidth_exceeded", Event.DENIED),
        ("not_authorized", Event.DENIED),
        ("transfer_rejected", Event.DENIED),
        ("pending", Event.LOST),
        ("duplicate", Event.LOST),
        ("Transfer_Initiated", Event.LOST),
        ("", Event.LOST),
        (None, Event.LOST),
    ],
)
@pytest.mark.parametrize("code", [None, 0, 1000])
def test_a_reply_means_what_its_status_says(status: str | None, code: int | None, event: Event):
    """The protocol's table, row by row."""
    assert classify(status, code) is event


@pytest.mark.parametrize("status", [None, "rate_limited", "transfer_rejected", "codec_unsupported"])
def test_429_is_too_fast_without_a_status_or_beside_a_refusal(status: str | None):
    assert classify(status, 429) is Event.LIMITED


@pytest.mark.parametrize("status", ["codec_negotiated", "transfer_initiated"])
@pytest.mark.parametrize("code", [400, 404, 429, 500, 503, 599])
def test_an_error_beside_a_carried_out_status_says_nothing(status: str, code: int):
    assert classify(status, code) is Event.LOST
    assert classify(status, 200) is Event.ACCEPTED


@pytest.mark.parametrize("status", ["codec_unsupported", "rate_limited", "transfer_rejected"])
@pytest.mark.parametrize("code", [200, 202, 299])
def test_a_success_beside_a_refusal_says_nothing(status: str, code: int):
    assert classify(status, code) is Event.LOST
    assert classify(status, 404) is not Event.LOST


def test_429_beside_a_status_that_no_table_lists_says_nothing():
    assert classify("pending", 429) is Event.LOST


@pytest.mark.parametrize(
    ("status", "code"),
    [("not_authorized", None), ("format_invalid", None), ("transfer_rejected", 401),
     ("transfer_rejected", 403), ("codec_unsupported", 503)],
)  # fmt: skip
def test_a_front_doors_refusal_of_a_repeat_says_nothing_about_the_first(
    status: str, code: int | None
):
    event = classify(status, code)
    assert event in {Event.DENIED, Event.UNSUITED}
    assert classify_repeat(event, status, code) is Event.LOST


@pytest.mark.parametrize("status", ["transfer_initiated", "transfer_rejected", "rate_limited"])
def test_any_other_answer_to_a_repeat_is_what_it_is(status: str):
    event = classify(status, None)
    assert classify_repeat(event, status, None) is event


def test_a_gateways_own_statuses_mean_what_it_lists():
    def own(status: str, code: int | None = None) -> Event:
        return classify(
            status,
            code,
            carried_out=frozenset({"accepted"}),
            not_carried_out=frozenset({"busy"}),
        )

    assert own("accepted") is Event.ACCEPTED
    assert own("busy") is Event.DENIED
    assert own("accepted", 429) is Event.LOST
    assert own("busy", 429) is Event.LIMITED
    assert own("pending") is Event.LOST
    assert own("rate_limited") is Event.LIMITED


@given(st.text(max_size=30), st.none() | st.integers())
def test_what_no_table_lists_is_unknown(status: str, code: int | None):
    if classify(status, None) is Event.LOST:
        assert classify(status, code) is Event.LOST
