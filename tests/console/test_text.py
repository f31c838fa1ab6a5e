"""Words for numbers, and foreign text made harmless."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.console.text import count, duration, figure, listed, shorten, visible


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (153, "2 min 33 s"),
        (3599.7, "1 h 00 min"),
        (11_100, "3 h 05 min"),
        (float("inf"), "unknown"),
        (-1, "unknown"),
    ],
)
def test_durations_read_without_false_precision(seconds: float, expected: str):
    assert duration(seconds) == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ("", ""),
        ("a", "a"),
        ("ab", "a and b"),
        ("abc", "a, b and c"),
        ("abcde", "a, b, c and 2 more"),
    ],
)
def test_lists_read_as_prose(texts: str, expected: str):
    assert listed(list(texts)) == expected


def test_counts_and_figures_have_thousands_and_no_empty_decimals():
    assert [count(1, "error"), count(1204, "error"), count(2, "entry", "entries")] == [
        "1 error",
        "1,204 errors",
        "2 entries",
    ]
    assert [figure(25.0), figure(24.84), figure(1200)] == ["25", "24.8", "1,200"]


def test_a_text_is_cut_with_an_ellipsis():
    assert [shorten("abcd", 4), shorten("abcde", 4)] == ["abcd", "abc…"]


def test_invisible_characters_are_spelt_out():
    assert visible("a\tb\n\x00\x9f\u202e\U000e0001\ud800\u2028") == (
        "a\\tb\\n\\x00\\x9f\\u{202e}\\u{e0001}\\u{d800}\\u{2028}"
    )


@given(st.text())
def test_whatever_comes_in_one_printable_line_comes_out(text: str):
    assert visible(text).isprintable()
