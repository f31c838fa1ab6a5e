"""A simulated queue fills, and its agents work it off."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.simulator.worked_queue import WorkedQueue, filled


def queue(agents: int, handle_s: float = 10.0) -> WorkedQueue:
    return WorkedQueue(agents, lambda _id: handle_s, began=0.0)


def test_agents_take_the_oldest_first_and_are_free_again_after_the_handle_time():
    worked = filled(queue(2), [(f"i{n}", "call") for n in range(5)], since=0.0)
    worked.advance(0.0)
    assert (worked.waiting, worked.busy, worked.next_at()) == (3, 2, 10.0)
    worked.advance(10.0)
    assert (worked.waiting, worked.busy) == (1, 2)
    worked.advance(19.9)
    assert worked.waiting == 1
    worked.advance(45.0)
    assert (worked.waiting, worked.busy, worked.next_at()) == (0, 0, None)


def test_without_agents_everybody_waits():
    worked = queue(0)
    worked.arrive("i0", "call", 1.0)
    worked.arrive("i0", "call", 2.0)  # it waits already
    worked.arrive("i1", "email", 2.0)
    worked.advance(9e9)
    assert worked.waiting_by_kind() == {"call": 1, "email": 1}
    worked.leave("i1", 9e9)
    worked.leave("i7", 9e9)
    assert worked.waiting == 1


@given(
    st.integers(0, 4),
    st.floats(0.1, 20),
    st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=60),
)
def test_nobody_is_lost_and_no_more_are_served_than_there_are_agents(
    agents: int, handle_s: float, moves: list[tuple[float, bool]]
):
    worked, now, came = queue(agents, handle_s), 0.0, 0
    for step_s, arrives in moves:
        now += step_s
        if arrives:
            worked.arrive(f"i{came}", "call", now)
            came += 1
        elif worked.waiting:
            worked.leave(f"i{came - 1}", now)
        worked.advance(now)
        assert worked.busy <= agents
        assert worked.waiting <= came
        if agents and worked.waiting:
            assert worked.busy == agents
