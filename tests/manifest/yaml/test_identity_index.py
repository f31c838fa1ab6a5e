"""Tests of the index by identity."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.manifest.yaml.identity_index import IdentityIndex

IDENTITIES = st.integers(0, 2**64 - 1)


def filled(entries: list[tuple[int, int]]):
    """Return an index and a dict with the same entries."""
    index, expected = IdentityIndex(), {}
    for identity, number in entries:
        index[identity] = expected[identity] = number
    return index, expected


@given(st.lists(st.tuples(IDENTITIES, IDENTITIES)), IDENTITIES)
def test_it_holds_what_a_dict_holds(entries: list[tuple[int, int]], unknown: int):
    index, expected = filled(entries)
    assert {each: index[each] for each in expected} == expected
    assert dict(index.items()) == expected
    assert set(index) == set(expected)
    if unknown not in expected:
        with pytest.raises(KeyError):
            index[unknown]


def test_many_are_found_as_a_few_are():
    many = [((n * 2_654_435_761) % 2**32, n) for n in range(30_000)]
    index, expected = filled([*many, (many[7][0], 70_000), (many[29_000][0], 70_001)])
    assert all(index[each] == expected[each] for each in expected)
    assert dict(index.items()) == expected
    with pytest.raises(KeyError):
        index[2**40]
