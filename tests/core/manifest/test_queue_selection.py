"""What a selection takes of a queue, and what it leaves."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.gates import parse_bound
from runner.core.manifest.model import QueueSelection
from runner.core.manifest.queue_selection import (
    Standing,
    Waiting,
    address,
    is_id,
    matches,
    named_in,
    select_waiting,
)
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


def standing(**known: Standing) -> Callable[[Sequence[str]], Mapping[str, Standing]]:
    return lambda ids: {each: known[each] for each in ids if each in known}


@pytest.mark.parametrize(
    ("known", "taken"),
    [
        ({}, "ab"),
        ({"a": Standing.NOT_SENT, "b": Standing.NOT_SENT}, "abcd"),
        ({"a": Standing.NOT_SENT, "c": Standing.NOT_SENT}, "abcd"),
        ({"c": Standing.NOT_SENT}, "ab"),
        ({"a": Standing.FAILED_BEFORE}, "bc"),
        (dict.fromkeys("abcd", Standing.FAILED_BEFORE), "ea"),
        (dict.fromkeys("abcde", Standing.NOT_SENT), "abcde"),
        (dict.fromkeys("abcd", Standing.NOT_SENT) | {"e": Standing.FAILED_BEFORE}, "abcde"),
    ],
)
def test_the_limit_is_of_those_that_will_be_sent_and_first_of_those_not_tried(
    known: dict[str, Standing], taken: str
):
    """Else those who wait longest would keep all others in the queue, run after run."""
    waiting = [Waiting(each, "call", NOW - 99 + n) for n, each in enumerate("abcde")]
    asked = selection(limit=2)
    took = select_waiting(
        asked, waiting, now=NOW, is_listed=lambda _: False, standings=standing(**known)
    )
    assert {one.interaction_id for one in took.taken} == set(taken)
    assert took.left_out.get("beyond the limit", 0) == 5 - len(taken)


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


def test_what_two_users_serve_is_one_interaction_with_a_row_of_each():
    rows = [Waiting("a", "call", NOW - 5, "ada"), Waiting("a", "call", NOW - 9, "bob")]
    later = Waiting("b", "call", NOW - 1, "bob")
    took = select_waiting(selection(limit=1), [*rows, later], now=NOW, is_listed=lambda _: False)
    assert [(one.interaction_id, one.user_id) for one in took.taken] == [("a", "bob"), ("a", "ada")]
    assert took.left_out == {"beyond the limit": 1}
    assert chosen(selection(held_by="ada"), *rows, later) == (["a"], {"served by another agent": 1})


@given(
    st.lists(
        st.builds(
            Waiting,
            st.sampled_from("abcdefgh"),
            st.sampled_from(sorted(EVERY)),
            st.none() | st.floats(0, NOW),
            st.sampled_from(["ada", "bob"]),
        )
    ),
    st.none() | st.integers(1, 5),
)
def test_everybody_is_taken_or_counted(waiting: list[Waiting], limit: int | None):
    asked = selection(limit=limit, older_than_s=3600.0, media_types=frozenset({"call", "email"}))
    took = select_waiting(asked, waiting, now=NOW, is_listed="ab".__contains__)
    people = {one.interaction_id for one in waiting}
    taken = {one.interaction_id for one in took.taken}
    assert len(taken) + sum(took.left_out.values()) == len(people)
    assert len(taken) <= (limit or len(people))


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


ASKS = Waiting(
    "a", "call", NOW - 5, "ada", direction="inbound",
    address_from=("+1555", "tel:+31201234567"), address_to=("billing@example.net",), skill_ids=("invoices", "german"), language_id="de", priority=5,
)  # fmt: skip
SILENT = Waiting("b", "call", NOW - 5)


@pytest.mark.parametrize(
    ("fits", "differs", "reason", "of_silent"),
    [
        ({"held_by": "ada"}, {"held_by": "bob"}, "served by another agent", None),
        ({"direction": "inbound"}, {"direction": "outbound"}, "of another direction", None),
        (
            {"address_from": ("+3120*",)},
            {"address_from": ("+3130*",)},
            "from another address",
            None,
        ),
        (
            {"address_from": ("TEL:*567", "x")},
            {"address_from": ("+31",)},
            "from another address",
            None,
        ),
        ({"address_from": ("+1555",)}, {"address_from": ("1",)}, "from another address", None),
        ({"address_to": ("*@EXAMPLE.net",)}, {"address_to": ("*@x",)}, "to another address", None),
        ({"skill": "german"}, {"skill": "dutch"}, "without the skill", None),
        ({"language": "de"}, {"language": "nl"}, "of another language", None),
        (
            {"priority": parse_bound(">= 5")},
            {"priority": parse_bound("> 5")},
            "of another priority",
            "of unknown priority",
        ),
    ],
)
def test_a_selection_takes_what_fits_and_counts_the_rest_by_reason(
    fits: dict[str, object], differs: dict[str, object], reason: str, of_silent: str | None
):
    unknown = {of_silent or reason: 1}
    assert chosen(selection(**fits), ASKS, SILENT) == (["a"], unknown)
    assert chosen(selection(**differs), ASKS) == ([], {reason: 1})


def test_without_such_a_wish_what_shows_nothing_is_taken():
    assert chosen(selection(), ASKS, SILENT) == (["a", "b"], {})


@pytest.mark.parametrize(
    ("pattern", "text", "is_match"),
    [
        ("abc", "abc", True),
        ("abc", "abcd", False),
        ("*", "", True),
        ("a*", "a", True),
        ("a*a", "a", False),
        ("*b*", "abc", True),
        ("a*b*c", "a-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("*ab*b", "ab", False),
        ("a*x*c", "abc", False),
        ("a[b]?", "abc", False),
    ],
)
def test_a_star_stands_for_any_text_and_nothing_else_is_special(
    pattern: str, text: str, *, is_match: bool
):
    assert matches(pattern, text) is is_match


@given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
def test_patterns_match_as_regular_expressions_would(pattern: str, text: str):
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None
    assert matches(pattern, text) is expected
