"""Which keys a pattern of --only and --exclude matches, wherever one is given."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.key_patterns import matcher_of, unmatched

KEYS = ["k0", "k1", "k]", "k!", "k^", "k[", "K0", "k", "k\n"]


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("k0", ["k0"]),
        ("k?", ["k0", "k1", "k]", "k!", "k^", "k[", "k\n"]),
        ("k[01]", ["k0", "k1"]),
        ("k[!01]", ["k]", "k!", "k^", "k[", "k\n"]),
        ("k[^01]", ["k]", "k!", "k^", "k[", "k\n"]),
        ("k[]!]", ["k]", "k!"]),
        ("k[!]!]", ["k0", "k1", "k^", "k[", "k\n"]),
        ("k[^]!]", ["k0", "k1", "k^", "k[", "k\n"]),
        ("k[0^]", ["k0", "k^"]),
        ("k[[^]", ["k^", "k["]),
        ("[!K]0", ["k0"]),
        ("[^K]0", ["k0"]),
        ("k[1-0]", []),
        ("k[", ["k["]),
    ],
)
def test_a_pattern_matches_whole_keys_as_in_a_shell(pattern: str, matched: list[str]):
    assert [key for key in KEYS if matcher_of([pattern])(key)] == matched


@pytest.mark.parametrize("text", ["[!]", "[^]", "a[!", "a[^", "[^b[", "[]"])
def test_a_bracket_that_is_not_closed_stands_for_itself(text: str):
    assert matcher_of([text])(text)
    assert not matcher_of([text])("x")


SIGNS = st.text("ab!]-[*?", max_size=7)


@given(SIGNS, st.text("ab!]-[", max_size=5))
def test_a_pattern_without_a_caret_means_what_it_means_to_python(pattern: str, key: str):
    assert matcher_of([pattern])(key) == fnmatchcase(key, pattern)


@given(SIGNS, SIGNS, st.text("ab!]-[", max_size=5))
def test_both_signs_negate_a_set(before: str, after: str, key: str):
    one, other = f"{before}[!a{after}", f"{before}[^a{after}"
    if "[" not in before and "]" in after:  # else the sign stands within a set, or in none
        assert matcher_of([one])(key) == matcher_of([other])(key)


@given(st.lists(SIGNS, max_size=4), st.lists(st.text("ab", max_size=3), max_size=5))
def test_any_of_several_patterns_matches(patterns: list[str], keys: list[str]):
    alone = [matcher_of([pattern]) for pattern in patterns]
    for key in keys:
        assert matcher_of(patterns)(key) == any(each(key) for each in alone)
    assert unmatched(patterns, keys) == [
        pattern for pattern, each in zip(patterns, alone, strict=True) if not any(map(each, keys))
    ]


def test_a_key_that_is_almost_a_match_is_refused_at_once():
    assert not matcher_of(["*a" * 30 + "b"])("a" * 10_000)
