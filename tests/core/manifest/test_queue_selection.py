"""What a selection takes of a queue, and what it leaves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.manifest.model import QueueSelection
from runner.core.manifest.queue_selection import Waiting, address, is_id, named_in, select_waiting
from tests.core.manifest.builders import EVERY, NOW, selection


def chosen(
    asked: QueueSelection, *waiting: Waiting, listed: tuple[str, ...] = ()
) -> tuple[list[str], dict[str, int]]:
    took = select_waiting(asked, waiting, now=NOW, is_listed=listed.__contains__)
    return [one.interaction_id for one in took.taken], dict(took.left_out)


def test_the_longest_waiting_come_first_and_the_limit_cuts_the_rest():
    waiting = [Waiting("new", "call", NOW - 10), Waiting("old", "email", NOW - 99)]
    waiting += [Waiting("ageless", "call"), Waiting("middle", "call", NOW - 50)]
    assert chosen(selection(), *waiting) == (["old", "middle", "new", "ageless"], {})
    assert chosen(selection(limit=1), *waiting) == (["old"], {"beyond the limit": 3})


def test_what_is_left_out_is_counted_by_reason():
    asked = selection(media_types=frozenset({"email"}), older_than_s=60.0)
    taken = chosen(
        asked,
        Waiting("a", "email", NOW - 61),
        Waiting("b", "email", NOW - 60),
        Waiting("c", "email"),
        Waiting("d", "call", NOW - 999),
        Waiting("e", "email", NOW - 999),
        listed=("e",),
    )
    assert taken == (
        ["a"],
        {
            "not waiting long enough": 1,
            "of unknown age": 1,
            "of another media type": 1,
            "listed in the manifest already": 1,
        },
    )


def test_who_comes_twice_as_pages_shift_is_taken_once():
    assert chosen(selection(), *[Waiting("a", "call", NOW - 5)] * 3) == (["a"], {})


@given(
    st.lists(
        st.builds(
            Waiting,
            st.sampled_from("abcdefgh"),
            st.sampled_from(sorted(EVERY)),
            st.none() | st.floats(0, NOW),
        )
    ),
    st.none() | st.integers(1, 5),
)
def test_everybody_is_taken_or_counted(waiting: list[Waiting], limit: int | None):
    asked = selection(limit=limit, older_than_s=3600.0, media_types=frozenset({"call", "email"}))
    took = select_waiting(asked, waiting, now=NOW, is_listed="ab".__contains__)
    people = {one.interaction_id for one in waiting}
    assert len(took.taken) + sum(took.left_out.values()) == len(people)
    assert len(took.taken) <= (limit or len(people))


ID = "3f2504e0-4f89-41d3-9a0c-0305e82c3377"


@pytest.mark.parametrize(
    ("uri", "named"),
    [
        ("genesys://queue/Billing EU", ("queue", "Billing EU")),
        ("genesys://queue/Billing%20EU", ("queue", "Billing EU")),
        ("genesys://user/Ada", ("user", "Ada")),
        (f"genesys://queue/{ID}", None),
        ("tel:+441234567890", None),
        ("sip:desk@example.net", None),
    ],
)
def test_a_destination_by_name_is_distinguished_from_one_by_id(
    uri: str, named: tuple[str, str] | None
):
    assert named_in(uri) == named


def test_an_id_has_its_address():
    assert is_id(ID)
    assert address("queue", ID) == f"genesys://queue/{ID}"
    assert not is_id(f"{ID}0")
