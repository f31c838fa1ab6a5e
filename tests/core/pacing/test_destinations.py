"""One destination's pace: its rate, its transfers under way, and what was observed there."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.gates import parse_bound
from runner.core.manifest.destinations import DestinationLimits
from runner.core.pacing.destinations import UNTIL_CHANGED_S, DestinationPace, Figures

QUEUE = "genesys://queue/q"


def pace(began: float = 0.0, **limits: Any) -> DestinationPace:
    return DestinationPace.at_start(DestinationLimits(pattern=QUEUE, **limits), began=began)


def watched(figures: Figures | None = None, **bounds: str) -> DestinationPace:
    parsed = {name: parse_bound(text) for name, text in bounds.items()}
    return pace(bounds=parsed).observed(figures)


def test_which_of_its_own_limits_is_waited_for():
    rated = pace(100.0, rate_per_s=0.5)
    assert rated.why_limited(100.0) == "30/min"
    assert rated.why_limited(102.0) is None
    assert rated.begun().why_limited(102.0) == "30/min"  # one heads there
    narrow = pace(in_flight=2).begun()
    assert narrow.why_limited(0.0) is None
    assert narrow.begun().why_limited(0.0) == "2 in flight"


@given(
    st.sampled_from([0.02, 0.5, 1.0, 7.5, 40.0]),
    st.lists(st.floats(0, 5), min_size=1, max_size=60),
)
def test_no_window_has_more_frames_than_the_rate_and_one(rate: float, lateness: list[float]):
    now, state, sent = 100.0, pace(100.0, rate_per_s=rate), list[float]()
    for late_s in lateness:
        now += state.until_turn_s(now) + late_s / rate / 5
        if state.is_at_rest(now):  # the engine forgets it then
            state = pace(100.0, rate_per_s=rate)
        state = state.begun()
        assert state.until_turn_s(now) == UNTIL_CHANGED_S  # one at a time heads there
        assert state.may_leave(now)
        state = state.left(now).ended(has_moved=True)
        sent.append(now)
    assert sent[0] >= 100 + 1 / rate - 0.5 / rate
    for window_s in (1 / rate, 10 / rate):
        for start in sent:
            inside = sum(start <= at < start + window_s - 1e-9 for at in sent)
            assert inside <= round(rate * window_s) + 1


def test_a_turn_that_was_given_back_takes_no_token():
    state = pace(rate_per_s=1.0).begun().turned_back().ended(has_moved=False)
    assert state == pace(rate_per_s=1.0)


def test_as_many_are_under_way_as_allowed():
    state = pace(in_flight=2)
    assert state.until_turn_s(0) == 0.0
    state = state.begun().begun()
    assert state.until_turn_s(0) == math.inf
    assert state.may_leave(0)
    assert state.left(0).ended(has_moved=True).until_turn_s(0) == 0.0


def test_a_repeat_heads_there_without_another_place():
    state = pace(rate_per_s=1.0, in_flight=1).begun().left(5.0)
    again = state.headed()
    assert (again.under_way, again.is_heading) == (1, True)
    assert not again.may_leave(5.2)
    assert again.may_leave(6.0)


def test_own_moves_count_as_waiting_until_the_next_figures():
    state = watched({"waiting": 38.0}, waiting="< 40")
    assert state.until_turn_s(0) == 0.0
    state = state.begun()
    assert state.until_turn_s(0) == 0.0
    state = state.begun()
    assert state.until_turn_s(0) == math.inf
    assert state.why_shut() == "waiting is 40, not < 40"
    assert state.ended(has_moved=False).why_shut() is None
    moved = state.ended(has_moved=True)
    assert moved.why_shut() == "waiting is 40, not < 40"
    assert moved.observed({"waiting": 38.0}).unseen == 1  # the one under way
    assert moved.observed({"waiting": 38.0}).why_shut() is None


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        (None, "its figures are not known"),
        ({}, "waiting is not known"),
        ({"waiting": None, "on_queue": 9.0}, "waiting is not known"),
        ({"waiting": math.nan, "on_queue": 9.0}, "waiting is not known"),
        ({"waiting": "many", "on_queue": 9.0}, "waiting is not known"),
        ({"waiting": 1.0}, "on_queue is not known"),
        ({"waiting": 1.0, "on_queue": 4.0}, "on_queue is 4, not >= 5"),
        ({"waiting": 1.0, "on_queue": 5.0}, None),
    ],
)
def test_what_is_not_known_lets_nothing_begin(figures: Figures | None, why: str | None):
    state = watched(figures, waiting="< 40", on_queue=">= 5")
    assert state.why_shut() == why
    assert (state.until_turn_s(0) == 0.0) is (why is None)


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        ({}, "presence is not known"),
        ({"presence": 1.0}, "presence is not known"),
        ({"presence": "busy"}, "presence is busy, not available or on_queue"),
        ({"presence": "on_queue"}, None),
    ],
)
def test_a_user_has_to_be_present(figures: Figures, why: str | None):
    states = {"presence": frozenset({"available", "on_queue"})}
    assert pace(states=states).observed(figures).why_shut() == why


def test_what_is_at_rest_may_be_forgotten():
    assert pace(in_flight=1).is_at_rest(0)
    assert not pace(in_flight=1).begun().is_at_rest(9)
    assert not watched({"waiting": 1.0}, waiting="< 5").is_at_rest(9)
    state = pace(rate_per_s=0.1).begun().left(20.0).ended(has_moved=True)
    assert not state.is_at_rest(31.0)
    assert state.is_at_rest(41.0)
