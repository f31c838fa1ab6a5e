"""Which entry of `destinations` holds for a destination."""

from __future__ import annotations

import pytest

from runner.core.gates import parse_bound
from runner.core.manifest.destinations import NO_LIMITS, DestinationLimits, DestinationTable

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
