"""Lists as prose, and foreign text made harmless."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.console.terminal_text import Paint, folded, listed, shorten, shorten_apart, visible


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


SAME = "the gateway said a great deal that is always the same "


@pytest.mark.parametrize("more", ["", " and then much more of it, which differs in nothing" * 3])
def test_texts_that_differ_late_stay_different_when_cut(more: str):
    texts = [f"{SAME * 3}queue {name}{more}" for name in ("A", "B")]
    texts += [f"{SAME * 3}another{more}", "short", SAME * 9]
    shown = shorten_apart(texts, 60)
    assert len(set(shown)) == len(texts)
    assert all(len(text) <= 60 for text in shown)
    assert shown[0].startswith(SAME[:30] + "…")
    assert "queue A" in shown[0]
    assert shown[3] == "short"


def test_texts_that_differ_early_or_not_at_all_are_cut_at_their_ends():
    texts = [f"a {SAME * 2}", f"b {SAME * 2}", f"b {SAME * 2}"]
    assert shorten_apart(texts, 30) == [shorten(text, 30) for text in texts]


@given(st.lists(st.text(alphabet="ab\x1b", max_size=40), max_size=4), st.integers(8, 20))
def test_what_is_cut_apart_is_short_enough_and_harmless(texts: list[str], limit: int):
    shown = shorten_apart(texts, limit)
    assert all(len(text) <= limit and text.isprintable() for text in shown)


def test_a_path_is_a_link_where_the_terminal_follows_them():
    assert Paint(links=False).path("a b\x1b") == "a b\\x1b"
    line = "report: " + Paint(links=True).path("/r/a b", Path("/r/a b/report.html"))
    assert line == "report: \x1b]8;;file:///r/a%20b/report.html\x1b\\/r/a b\x1b]8;;\x1b\\"
    assert folded(line, 30) == [line]  # what is not seen has no width


def test_invisible_characters_are_spelt_out():
    assert visible("a\tb\n\x00\x9f\u202e\U000e0001\ud800\u2028") == (
        "a\\tb\\n\\x00\\x9f\\u{202e}\\u{e0001}\\u{d800}\\u{2028}"
    )


@given(st.text())
def test_whatever_comes_in_one_printable_line_comes_out(text: str):
    assert visible(text).isprintable()
