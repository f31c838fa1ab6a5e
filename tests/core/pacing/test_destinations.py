"""One destination's pace: its rate, its transfers under way, and what was observed there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.gates import parse_bound
from runner.core.manifest.destinations import DestinationLimits
from runner.core.pacing.destinations import OLDEST_S, UNTIL_CHANGED_S, DestinationPace, Figures

QUEUE = "genesys://queue/q"


def pace(began: float = 0.0, **limits: Any) -> DestinationPace:
    return DestinationPace.at_start(DestinationLimits(pattern=QUEUE, **limits), began=began)


def watched(figures: Figures | None = None, **bounds: str) -> DestinationPace:
    parsed = {name: parse_bound(text) for name, text in bounds.items()}
    return pace(bounds=parsed).observed(figures, 0.0)


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
        state = state.left(now).ended(now, has_moved=True)
        sent.append(now)
    assert sent[0] >= 100 + 1 / rate - 0.5 / rate
    for window_s in (1 / rate, 10 / rate):
        for start in sent:
            inside = sum(start <= at < start + window_s - 1e-9 for at in sent)
            assert inside <= round(rate * window_s) + 1


def test_a_turn_that_was_given_back_takes_no_token():
    state = pace(rate_per_s=1.0).begun().turned_back().ended(0, has_moved=False)
    assert state == pace(rate_per_s=1.0)


def test_as_many_are_under_way_as_allowed():
    state = pace(in_flight=2)
    assert state.until_turn_s(0) == 0.0
    state = state.begun().begun()
    assert state.until_turn_s(0) == math.inf
    assert state.may_leave(0)
    assert state.left(0).ended(0, has_moved=True).until_turn_s(0) == 0.0


def test_a_repeat_heads_there_without_another_place():
    state = pace(rate_per_s=1.0, in_flight=1).begun().left(5.0)
    again = state.headed()
    assert (again.under_way, again.heading) == (1, 1)
    assert not again.may_leave(5.2)
    assert again.may_leave(6.0)


def test_own_moves_count_as_waiting_until_figures_surely_include_them():
    state = watched({"waiting": 38.0}, waiting="< 40")
    assert state.until_turn_s(0) == 0.0
    state = state.begun()
    assert state.until_turn_s(0) == 0.0
    state = state.begun()
    assert state.until_turn_s(0) == math.inf
    assert state.why_shut(0) == "waiting is 38 and 2 sent since, not < 40"
    assert state.ended(5, has_moved=False).why_shut(5) is None
    moved = state.ended(5, has_moved=True)
    assert moved.observed({"waiting": 38.0}, 5).own == 2  # it may describe the moment before
    later = moved.observed({"waiting": 38.0}, 5.1)
    assert later.own == 1  # the one under way
    assert later.why_shut(6) is None


def test_what_has_its_turn_and_has_not_left_makes_nothing_full():
    state = watched({"waiting": 4}, waiting="< 5").begun()
    assert state.why_shut(1.0) == "waiting is 4 and 1 sent since, not < 5"
    assert state.why_full(1.0) is None
    assert state.left(1.0).why_full(1.0) == state.why_shut(1.0)


def test_figures_that_lag_let_no_more_go_than_the_bound():
    """Figures come each second, 30 s old; a transfer ends as soon as it is sent."""
    state, sent = watched({"waiting": 0.0}, waiting="< 10"), list[float]()
    for now in range(31):
        state = state.observed({"waiting": 0.0}, now - 30)
        while state.until_turn_s(now) == 0:
            state = state.begun().ended(now, has_moved=True)
            sent.append(now)
    assert sent == [0] * 10
    state = state.observed({"waiting": 10.0}, 1)
    assert state.own == 0
    assert state.why_shut(31) == "waiting is 10, not < 10"


def test_what_went_right_before_a_figure_is_counted_with_it():
    state = watched({"waiting": 0.0}, waiting="< 8")
    for at in (9.0, 9.5, 10.0):
        state = state.begun().ended(at, has_moved=True)
    state = state.observed({"waiting": 5.0}, 9.0)
    assert state.why_shut(10) == "waiting is 5 and 3 sent since, not < 8"


def test_figures_older_than_those_before_are_passed_over():
    state = watched({"waiting": 0.0}, waiting="< 8").begun().ended(5, has_moved=True)
    state = state.observed({"waiting": 7.0}, 6)
    assert state.observed({"waiting": 0.0}, 4) == state
    lost = state.observed(None, 7)
    assert lost.why_shut(7) == "its figures are not known"
    assert lost.observed({"waiting": 0.0}, 4).why_shut(7) == "its figures are not known"


@pytest.mark.parametrize(
    ("bound", "shut", "open_"),
    [("> 4", [4.0], [5.0]), ("== 5", [4.0, 5.0], []), ("!= 5", [4.0, 5.0], [3.0, 6.0])],
)
def test_a_bound_holds_only_if_it_does_with_own_moves_and_without_them(
    bound: str, shut: list[float], open_: list[float]
):
    for waiting in shut:
        why = f"waiting is {waiting:g} and 1 sent since, not {bound}"
        assert watched({"waiting": waiting}, waiting=bound).begun().why_shut(0) == why
    for waiting in open_:
        assert watched({"waiting": waiting}, waiting=bound).begun().why_shut(0) is None


def test_old_figures_are_not_known():
    state = watched({"waiting": 0.0}, waiting="< 8")
    assert state.why_shut(OLDEST_S) is None
    why = "its figures are not known: the last ones are older than 3 min 00 s"
    assert state.why_shut(OLDEST_S + 0.1) == why
    assert watched({"waiting": 0.0}, waiting="< 8").observed({}, math.nan).why_shut(0) == why


def test_what_an_earlier_run_sent_is_waited_for():
    limits = {"bounds": {"waiting": parse_bound("< 8")}}
    state = pace(100.0, **limits).observed({"waiting": 0.0}, 99)
    why = "its figures may not include yet what was sent before this run began"
    assert state.why_shut(100) == why
    assert state.observed({"waiting": 0.0}, 100).why_shut(101) is None
    staffed = pace(100.0, bounds={"on_queue": parse_bound("> 0")}).observed({"on_queue": 1.0}, 99)
    assert staffed.why_shut(100) is None  # what is sent changes nothing of it
    assert staffed.begun().ended(100, has_moved=True).own == 0


def test_a_transfer_takes_the_user_who_is_idle():
    wanted = frozenset({"idle"})
    state = pace(states={"routing_status": wanted}).observed({"routing_status": "idle"}, 0)
    assert state.why_shut(0) is None
    taken = state.begun()
    assert taken.why_shut(0) == "routing_status was idle before 1 transfer sent since"
    assert taken.ended(5, has_moved=False).why_shut(5) is None
    served = taken.ended(5, has_moved=True)
    assert served.observed({"routing_status": "idle"}, 5).why_shut(5) is not None
    assert served.observed({"routing_status": "idle"}, 6).why_shut(6) is None
    both = pace(states={"routing_status": wanted | {"interacting"}})
    assert both.observed({"routing_status": "idle"}, 0).begun().why_shut(0) is None


BOUND = 5


class LaggingQueue:
    """A queue that gets transfers as its state lets it, and the truth about it."""

    def __init__(self) -> None:
        self.now = 0
        self.state = watched({"waiting": 0.0}, waiting=f"< {BOUND}")
        self.waited = [(0, 0)]  # since when, how many
        self.arrived: list[bool] = []  # of each transfer under way, whether it has arrived

    @property
    def waiting(self) -> int:
        return self.waited[-1][1]

    def begin(self, most: int) -> None:
        for _ in range(most):
            if self.state.until_turn_s(self.now) == 0:
                assert self.waiting + self.arrived.count(False) < BOUND
                self.state = self.state.begun()
                self.arrived.append(False)

    def arrive(self, number: int) -> None:
        for _ in range(min(number, self.arrived.count(False))):
            self.arrived[self.arrived.index(False)] = True
            self.waited.append((self.now, self.waiting + 1))

    def end(self, number: int) -> None:
        for _ in range(min(number, len(self.arrived))):
            self.state = self.state.ended(self.now, has_moved=self.arrived.pop(0))

    def serve(self, number: int) -> None:
        self.waited.append((self.now, max(0, self.waiting - number)))

    def wait(self, seconds: int) -> None:
        self.now += seconds

    def tell(self, age_s: tuple[int, int]) -> None:
        """Tell a figure that may be as old as the larger age, and is as old as the smaller one."""
        of = self.now - min(age_s)
        counts = [count for since, count in self.waited if since <= of]
        figures = {"waiting": float(counts[-1] if counts else 0)}
        self.state = self.state.observed(figures, self.now - max(age_s))

    def lose(self, _nothing: None) -> None:
        self.state = self.state.observed(None, self.now)


steps = st.one_of(
    st.tuples(st.just(LaggingQueue.begin), st.integers(1, 8)),
    st.tuples(st.just(LaggingQueue.arrive), st.integers(1, 8)),
    st.tuples(st.just(LaggingQueue.end), st.integers(1, 8)),
    st.tuples(st.just(LaggingQueue.serve), st.integers(1, 3)),
    st.tuples(st.just(LaggingQueue.wait), st.sampled_from([1, 7, 30])),
    st.tuples(st.just(LaggingQueue.tell), st.tuples(st.integers(0, 30), st.integers(0, 30))),
    st.tuples(st.just(LaggingQueue.lose), st.none()),
)


@settings(max_examples=2000, deadline=None)
@given(st.lists(steps, min_size=20, max_size=40))
def test_a_queue_never_gets_more_than_its_bound_however_its_figures_lag(
    happening: list[tuple[Callable[[LaggingQueue, Any], None], Any]],
):
    queue = LaggingQueue()
    for step, chosen in happening:
        step(queue, chosen)


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        (None, "its figures are not known"),
        ({}, "waiting is not known"),
        ({"waiting": None, "on_queue": 9.0}, "waiting is not known"),
        ({"waiting": math.nan, "on_queue": 9.0}, "waiting is not known"),
        ({"waiting": math.inf, "on_queue": 9.0}, "waiting is not known"),
        ({"waiting": -1.0, "on_queue": 9.0}, "waiting is not known"),
        ({"waiting": 10**400, "on_queue": 9.0}, "waiting is not known"),
        ({"waiting": "no answer", "on_queue": 9.0}, "waiting is not known: no answer"),
        ({"waiting": 1.0}, "on_queue is not known"),
        ({"waiting": 1.0, "on_queue": 4.0}, "on_queue is 4, not >= 5"),
        ({"waiting": 1.0, "on_queue": 5.0}, None),
    ],
)
def test_what_is_not_known_lets_nothing_begin(figures: Figures | None, why: str | None):
    state = watched(figures, waiting="< 40", on_queue=">= 5")
    assert state.why_shut(0) == why
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
    assert pace(states=states).observed(figures, 0.0).why_shut(0) == why


def test_what_is_at_rest_may_be_forgotten():
    assert pace(in_flight=1).is_at_rest(0)
    assert not pace(in_flight=1).begun().is_at_rest(9)
    assert not watched({"waiting": 1.0}, waiting="< 5").is_at_rest(9)
    state = pace(rate_per_s=0.1).begun().left(20.0).ended(20.0, has_moved=True)
    assert not state.is_at_rest(31.0)
    assert state.is_at_rest(41.0)
