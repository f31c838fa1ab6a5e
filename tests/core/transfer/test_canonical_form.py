"""What names the same thing is equal once it is canonical, and nothing else is."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from runner.core.manifest.rules import check_destination
from runner.core.transfer.canonical_form import (
    canonical_destination,
    canonical_interaction,
    same_destination,
)

SAME = [
    ("tel:+441234567", "tel:+44-1234567"),
    ("tel:+441234567", "tel:+44(123)4.5-67"),
    ("tel:+441234567;ext=12", "tel:+44-1234567;EXT=1-2"),
    ("tel:+441234567;a=b;ext=1", "tel:+441234567;ext=1;A=B"),
    ("tel:+441234567;a=%42", "tel:+441234567;a=b"),
    ("sip:bob@example.com", "sip:bob@EXAMPLE.com"),
    ("sip:bob@example.com", "sip:bob@example.com:5060"),
    ("sip:bob@example.com", "sip:bob@example.com:05060"),
    ("sip:bob@example.com", "sip:%62ob@example.com"),
    ("sip:a%2Fb@example.com", "sip:a%2fb@example.com"),
    ("sip:bob@example.com;transport=TCP", "sip:bob@example.com;Transport=tcp"),
    ("sip:bob@example.com;transport=tls", "sip:bob@example.com:5061;transport=tls"),
    ("sip:bob@example.com;a=1;b=2", "sip:bob@example.com;b=2;a=1"),
    ("sip:bob@example.com?x=1&y=2", "sip:bob@example.com?Y=2&x=1"),
    ("sip:bob@[2001:db8::1]", "sip:bob@[2001:DB8:0:0::1]:5060"),
    ("sip:+441234567@example.com;user=phone", "sip:+44-1234567@example.com;user=phone"),
    ("sip:example.com", "sip:Example.com:5060"),
    ("genesys://queue/billing-new", "genesys://queue/billing%2Dnew"),
    ("genesys://queue/a%2Fb", "genesys://queue/a%2fb"),
    (
        "genesys://queue/3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "genesys://queue/3F2504E0-4F89-41D3-9A0C-0305E82C3301",
    ),
    ("genesys://queue/Billing New", "genesys://queue/Billing%20New"),
    ("mailto:x@y", "mailto:x@y"),
]
DIFFERENT = [
    ("tel:+441234567", "tel:+441234568"),
    ("tel:+441234567", "tel:+441234567;ext=1"),
    ("sip:bob@example.com", "sip:Bob@example.com"),
    ("sip:bob@example.com", "sip:bob@example.com:5061"),
    ("sip:bob@example.com", "sip:bob@example.com;transport=tls"),
    ("sip:a/b@example.com", "sip:a%2Fb@example.com"),
    ("sip:+44-1@example.com", "sip:+441@example.com"),
    ("sip:-@example.com;user=phone", "sip:.@example.com;user=phone"),
    ("sip:bob@example.com?x=a", "sip:bob@example.com?x=A"),
    ("genesys://queue/billing", "genesys://queue/Billing"),
    ("genesys://queue/billing", "genesys://user/billing"),
    ("genesys://queue/a%2541", "genesys://queue/a%41"),
    ("tel:+441234567", "sip:+441234567"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_spellings_of_one_destination_are_the_same(one: str, other: str):
    assert same_destination(one, other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_two_destinations_stay_two(one: str, other: str):
    assert not same_destination(one, other)


def test_a_destination_that_is_not_known_equals_none_that_is():
    assert same_destination(None, None)
    assert not same_destination(None, "tel:+441234567")
    assert not same_destination("tel:+441234567", None)


@given(st.uuids())
def test_an_interactions_uuid_is_compared_without_its_case(identity: uuid.UUID):
    assert canonical_interaction(str(identity).upper()) == str(identity)


@given(st.text())
def test_an_id_that_is_no_uuid_is_compared_as_it_is_written(text: str):
    assume(len(text) != 36)
    assert canonical_interaction(text) == text


PIECES = st.sampled_from(
    [
        "tel:", "sip:", "genesys://", "queue/", "user/", "+", "44", "1", "-", ".", "(", ")", ";",
        "ext", "=", "user=phone", "transport=tls", "@", ":", "5060", "5061", "[", "]", "::", "?",
        "&", "%41", "%2f", "%25", "%", "A", "b", "x.Y", " ", "é", "\x00",
    ]
)  # fmt: skip
URIS = st.lists(PIECES, max_size=12).map("".join)


@given(URIS | st.text())
def test_a_canonical_form_is_its_own(text: str):
    once = canonical_destination(text)
    assert canonical_destination(once) == once


VALID = st.one_of(
    st.from_regex(r"\Atel:\+[-.()]{0,2}[1-9](?:[-.()]?[0-9]){0,9}(?:;ext=[0-9-]{1,4})?\Z"),
    st.from_regex(
        r"\Asip:(?:[A-Za-z0-9?;+/-]{1,6}(?:%[46][1-9a-fA-F])?@)?"
        r"(?:[A-Za-z]{1,5}\.[a-z]{2}|\[::1\])(?::5060|:1)?(?:;user=phone)?(?:\?[a-zA-Z]=1)?\Z"
    ),
    st.from_regex(r"\Agenesys://(?:queue|user)/(?:[A-Za-z~'@]|%[2-7][0-9A-Fa-f]){1,8}\Z"),
).filter(lambda uri: check_destination(uri) is None)


@example("sip:-@[::1];user=phone")
@given(VALID)
def test_the_canonical_form_of_a_destination_is_a_destination(uri: str):
    canonical = canonical_destination(uri)
    assert check_destination(canonical) is None
    assert canonical_destination(canonical) == canonical


@given(st.integers(1, 999_999_999_999_999), st.data())
def test_a_number_may_be_separated_anywhere(number: int, data: st.DataObject):
    digits = str(number)
    written = "".join(
        digit + data.draw(st.sampled_from(["", "-", ".", "(", ")", "-."])) for digit in digits
    )
    assert canonical_destination(f"tel:+{written}") == f"tel:+{digits}"


def test_what_begins_like_an_address_of_the_platform_and_has_no_slashes_stays_as_it_is():
    assert canonical_destination("genesys:queue/A%41") == "genesys:queue/A%41"
