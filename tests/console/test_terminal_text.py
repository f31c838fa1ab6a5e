"""Lists as prose, and foreign text made harmless."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.console.terminal_text import listed, shorten, visible


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


def test_a_text_is_cut_with_an_ellipsis():
    assert [shorten("abcd", 4), shorten("abcde", 4)] == ["abcd", "abc…"]


def test_invisible_characters_are_spelt_out():
    assert visible("a\tb\n\x00\x9f\u202e\U000e0001\ud800\u2028") == (
        "a\\tb\\n\\x00\\x9f\\u{202e}\\u{e0001}\\u{d800}\\u{2028}"
    )


@given(st.text())
def test_whatever_comes_in_one_printable_line_comes_out(text: str):
    assert visible(text).isprintable()
