"""Which entry of `destinations` holds for a destination."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.gates import parse_bound
from runner.core.manifest.destinations import (
    NO_LIMITS,
    DestinationLimits,
    DestinationTable,
    pattern_key,
)

QUEUE = "genesys://queue/3F2504E0-4F89-41D3-9A0C-0305E82C3301"
ENTRIES = tuple(
    DestinationLimits(pattern=pattern)
    for pattern in ("*", "genesys://queue/*", QUEUE, "genesys://user/*", "tel:+31*", "tel:*")
)


@pytest.mark.parametrize(
    ("uri", "pattern"),
    [
        (QUEUE, QUEUE),
        (QUEUE.lower(), QUEUE),
        ("genesys://queue/other", "genesys://queue/*"),
        ("genesys://user/u", "genesys://user/*"),
        ("tel:+31201234567", "tel:+31*"),
        ("tel:+49301234567", "tel:*"),
        ("sip:a@example.net", "*"),
    ],
)
def test_the_most_specific_entry_holds_in_whatever_order(uri: str, pattern: str):
    for entries in (ENTRIES, ENTRIES[::-1]):
        found = DestinationTable(entries).limits_of(uri)
        assert found is not None
        assert found.pattern == pattern


def test_without_an_entry_only_the_gateways_limits_hold():
    assert not NO_LIMITS
    assert NO_LIMITS.limits_of(QUEUE) is None
    table = DestinationTable((DestinationLimits(pattern="genesys://user/*"),))
    assert table
    assert table.limits_of(QUEUE) is None


def entry_of(uri: str, *patterns: str) -> str | None:
    entries = tuple(DestinationLimits(pattern=pattern) for pattern in patterns)
    found, reversed_ = (DestinationTable(each).limits_of(uri) for each in (entries, entries[::-1]))
    assert found == reversed_
    return None if found is None else found.pattern


@pytest.mark.parametrize(
    ("uri", "pattern"),
    [
        ("tel:+44-20-1234", "tel:+44-20*"),
        ("tel:+44201234", "tel:+44-20*"),
        ("tel:+44(0)-20.1234", "tel:+440*"),
        ("tel:+4420;EXT=1-2", "tel:+4420;ext=12*"),
        ("genesys://queue/Billing Overflow", "genesys://queue/Billing O*"),
        ("genesys://queue/Billing%20Overflow", "genesys://queue/Billing O*"),
        ("genesys://queue/Billing Overflow", "genesys://queue/Billing%20*"),
        ("genesys://queue/Caf\u00e9", "genesys://queue/Caf%c3%a9*"),
        (QUEUE, "genesys://queue/3F2504E0*"),
        (QUEUE, "genesys://queue/3f2504e0-4F*"),
        (QUEUE.lower(), "genesys://queue/3F2504E0*"),
        ("sip:desk@EU.example.net", "sip:desk@EU.example.net*"),
        ("sip:desk@eu.EXAMPLE.net:5060;transport=TCP", "sip:desk@EU.*"),
        ("sip:d%65sk@eu.example.net", "sip:de*"),
        ("sip:desk@eu.example.net?Subject=A", "sip:desk@EU.example.net?subject=A*"),
        ("sip:EU.example.net", "sip:EU*"),
        ("sip:+44-20-1234@gw.example.net;user=phone", "sip:+44-20*"),
        ("sip:+44201234@gw.example.net;user=phone", "sip:+44-20-1234@GW*"),
    ],
)
def test_a_beginning_matches_in_whatever_spelling_both_are_written(uri: str, pattern: str):
    assert entry_of(uri, pattern, "fax:*") == pattern


@pytest.mark.parametrize(
    ("uri", "pattern"),
    [
        ("sip:desk@eu.example.net", "sip:Desk*"),
        ("sip:desk@eu.example.net", "sip:desk@us*"),
        ("sip:+44-20-1234@gw.example.net", "sip:+4420*"),
        ("sip:desk@gw.example.net;user=phone", "sip:d-esk*"),
        ("sip:eu.example.net", "sip:us*"),
        ("genesys://queue/Billing Overflow", "genesys://queue/billing*"),
        ("genesys://user/Billing", "genesys://queue/B*"),
        (QUEUE, "genesys://queue/4F25*"),
        ("tel:+4930123", "tel:+44*"),
    ],
)
def test_a_beginning_matches_no_other_destination(uri: str, pattern: str):
    assert entry_of(uri, pattern) is None


@given(st.data())
def test_separators_in_a_number_or_in_its_beginning_say_nothing(data: st.DataObject):
    digits = data.draw(st.text("0123456789", min_size=2, max_size=12))
    begun = digits[: data.draw(st.integers(1, len(digits)))]

    def spelt(text: str) -> str:
        return "tel:+" + "".join(
            digit + data.draw(st.sampled_from(["", "-", ".", "-("])) for digit in text
        )

    pattern = spelt(begun) + "*"
    assert entry_of(spelt(digits), pattern) == pattern


def test_the_longer_beginning_is_the_one_that_says_more_of_the_number():
    assert entry_of("tel:+44201234", "tel:+44-20-*", "tel:+44201*") == "tel:+44201*"
    assert pattern_key("tel:+44-20*") == pattern_key("tel:+4420*") != pattern_key("tel:+4420")


def test_a_resolved_destination_is_matched_by_its_name_too():
    name = "genesys://queue/Billing%20Overflow"
    entries = (
        DestinationLimits(pattern="genesys://queue/Billing O*"),
        DestinationLimits(pattern="genesys://queue/*"),
    )
    table = DestinationTable(entries, {QUEUE.lower(): [name]})
    assert table.limits_of(QUEUE) is entries[0]
    assert table.limits_of(QUEUE[:-1] + "2") is entries[1]


def test_only_destinations_with_while_are_observed():
    table = DestinationTable(
        (
            DestinationLimits(pattern=QUEUE, bounds={"waiting": parse_bound("< 5")}),
            DestinationLimits(pattern="genesys://user/*", states={"presence": frozenset({"away"})}),
            DestinationLimits(pattern="tel:*", in_flight=1),
        )
    )
    uris = ["tel:+31201234567", "genesys://user/u", "sip:a@example.net", QUEUE]
    assert table.observed(uris) == ["genesys://user/u", QUEUE]
