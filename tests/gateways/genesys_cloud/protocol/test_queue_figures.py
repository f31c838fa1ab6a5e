"""What a queue's counts say of it now: late ones, ones in any order, ones that are missing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.gateways.genesys_cloud.protocol.observations import ON_QUEUE, WAITING, Count, results_of
from runner.gateways.genesys_cloud.protocol.queue_figures import NO_NUMBER, QueueFigures

LAG_S = 45.0


def waits(**by_medium: float | None) -> list[Count]:
    return [Count(WAITING, medium, None, count) for medium, count in by_medium.items()]


def of_all(count: float | None) -> Count:
    return Count(WAITING, None, None, count)


def staff(count: float | None, status: str = "IDLE") -> Count:
    return Count(ON_QUEUE, None, status, count)


def answered(*counts: Count, at: float = 0.0) -> QueueFigures:
    figures = QueueFigures(LAG_S)
    figures.answered(counts, at, at)
    return figures


def waiting(figures: QueueFigures, now: float) -> Any:
    told = figures.figures(now)
    assert told is not None
    return told["waiting"]


def on_queue(figures: QueueFigures, now: float) -> Any:
    told = figures.figures(now)
    assert told is not None
    return told["on_queue"]


def test_as_many_wait_as_was_said_at_the_most_within_the_lag_medium_by_medium():
    figures = answered(*waits(voice=9, email=0))
    figures.heard(waits(voice=1), 10)
    figures.heard(waits(email=4), 20)
    figures.heard(waits(email=0), 30)
    assert waiting(figures, 30) == 13
    assert waiting(figures, 54.9) == 13
    assert waiting(figures, 55) == 5  # the voice calls that were there at 10 s are past
    assert waiting(figures, 75) == 1


def test_as_few_are_on_queue_as_was_said_at_the_least_within_the_lag():
    figures = answered(staff(4), staff(2, "INTERACTING"))
    figures.heard([staff(1)], 10)
    figures.heard([staff(5)], 11)
    assert on_queue(figures, 12) == 3
    assert on_queue(figures, 56) == 7


def test_only_an_answer_proves_since_when_the_figures_are():
    figures = QueueFigures(LAG_S)
    figures.answered(waits(voice=1), 100, 103)
    assert figures.described_at == 55
    figures.heard(waits(voice=2), 150)
    assert figures.described_at == 55
    figures.answered(waits(voice=2), 160, 161)
    assert figures.described_at == 115


def test_nothing_is_known_from_a_gap_to_the_next_answer():
    figures = answered(*waits(voice=1))
    figures.lose()
    figures.heard(waits(voice=0), 1)
    assert figures.figures(1) is None
    figures.answered(waits(voice=0), 2, 2)
    assert waiting(figures, 2) == 1
    figures.answered(None, 3, 3)  # of another division
    assert figures.figures(3) is None


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        ([], NO_NUMBER),
        ([staff(3)], NO_NUMBER),
        ([of_all(None)], NO_NUMBER),
        ([of_all(None), *waits(voice=3)], NO_NUMBER),
        (waits(voice=None), f"{NO_NUMBER} for voice"),
        (waits(voice=None, email=2, chat=None), f"{NO_NUMBER} for chat, voice"),
        ([*waits(voice=2), *waits(voice=None)], f"{NO_NUMBER} for voice"),
        ([*waits(voice=None), *waits(voice=2)], f"{NO_NUMBER} for voice"),
    ],
)
def test_a_count_that_is_missing_is_not_known_and_the_reason_names_the_medium(
    counts: list[Count], why: str
):
    assert waiting(answered(*counts), 0) == why


def test_a_number_of_staff_that_is_missing_is_not_known():
    assert on_queue(answered(*waits(voice=1)), 0) == NO_NUMBER
    assert on_queue(answered(staff(3), staff(None, "INTERACTING")), 0) == NO_NUMBER
    figures = answered(staff(3), staff(None))
    assert on_queue(figures, 0) == NO_NUMBER
    figures.heard([staff(2)], 1)
    assert on_queue(figures, 1) == 2


def test_agents_of_several_media_count_once():
    figures = answered(Count(ON_QUEUE, "voice", "IDLE", 3), Count(ON_QUEUE, "email", "IDLE", 5))
    assert on_queue(figures, 0) == 5


def test_a_medium_that_was_named_once_has_to_be_in_each_answer():
    figures = answered(*waits(voice=1, email=8))
    figures.answered(waits(voice=1), 60, 60)
    assert waiting(figures, 60) == f"{NO_NUMBER} for email"
    figures.answered(waits(voice=1, email=8), 65, 65)
    assert waiting(figures, 65) == 9
    figures.heard(waits(callback=1), 66)
    figures.answered(waits(voice=1, email=8), 70, 70)
    assert waiting(figures, 70) == f"{NO_NUMBER} for callback"
    figures.heard(waits(callback=0), 71)
    assert waiting(figures, 71) == 10


def test_a_null_without_a_medium_makes_none_required():
    figures = answered(of_all(None))
    figures.heard([of_all(3)], 1)
    figures.answered(waits(voice=2), 2, 2)
    assert waiting(figures, 2) == 2


def test_a_count_of_all_media_is_not_added_to_those_of_each():
    assert waiting(answered(of_all(7), *waits(voice=3, email=2)), 0) == 7
    assert waiting(answered(of_all(4), *waits(voice=3, email=2)), 0) == 5


def test_a_medium_that_an_answer_names_without_a_count_is_not_known():
    queue = {"queueId": "q"}
    answer = {
        "results": [
            {"group": queue | {"mediaType": "voice"}, "data": [{"metric": WAITING, "stats": {"count": 2}}]},
            {"group": queue | {"mediaType": "email"}},
            {"group": queue | {"mediaType": "voice"}, "data": []},
            {"group": queue},
        ]
    }  # fmt: skip
    (counts,) = results_of(answer).values()
    assert counts == [*waits(voice=2), *waits(email=None)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["voice", "email"]),
            st.integers(0, 9),
            st.integers(1, 20),
            st.booleans(),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_never_fewer_than_waited_at_any_time_within_the_lag(
    changes: list[tuple[str, int, int, bool]],
):
    """Each change is heard at once or late, and a late one after a younger one at times."""
    figures = answered(*waits(voice=0, email=0))
    truth = {"voice": 0, "email": 0}
    now = 0
    late: tuple[str, int] | None = None
    for medium, count, after_s, is_late in changes:
        now += after_s
        heard = [] if is_late else [(medium, count)]
        if late is not None:
            heard.append(late)
        for name, number in heard:
            figures.heard(waits(**{name: number}), now)
        late = (medium, count) if is_late else None
        truth[medium] = count
        if late is None:
            assert waiting(figures, now) >= sum(truth.values())
