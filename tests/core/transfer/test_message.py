"""Foreign text and waits, written for people."""

from __future__ import annotations

import math
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.transfer.message import (
    NOTE_LIMIT,
    Message,
    Reply,
    Request,
    harmless,
    map_texts,
    seconds_text,
    uuid4_text,
)
from runner.core.transfer.states import Event


@given(st.text())
def test_harmless_text_has_no_control_characters_and_keeps_the_rest(text: str):
    shown = harmless(text)
    assert shown.isprintable()
    if text.isprintable():
        assert shown == text


def test_harmless_text_is_cut_with_an_ellipsis():
    assert harmless("x" * 10, 10) == "x" * 10
    assert harmless("x" * 11, 10) == "x" * 9 + "…"


@pytest.mark.parametrize("text", ["\x00" * 500, "\U000e0001" * 499, "x" * 499 + "\x1b"])
def test_text_that_grows_by_its_escapes_is_cut_all_the_same(text: str):
    assert len(harmless(text)) == NOTE_LIMIT
    assert harmless(text).endswith("…")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.25, "0.25 s"),
        (181.0, "181 s"),
        (1_000_000_000.0, "1000000000 s"),
        (1_000_000_001.0, "more than 1,000,000,000 s"),
        (math.inf, "more than 1,000,000,000 s"),
    ],
)
def test_a_wait_is_written_in_full_and_bounded(seconds: float, told: str):
    assert seconds_text(seconds) == told


@given(st.binary(min_size=16, max_size=16))
def test_random_bytes_become_a_uuid_of_version_4(random_bytes: bytes):
    made = uuid.UUID(uuid4_text(random_bytes))
    assert str(made) == uuid4_text(random_bytes)
    assert (made.version, made.variant) == (4, uuid.RFC_4122)


def test_a_request_shows_the_text_of_its_message():
    message = Message("the exact bytes")
    assert Request("m-1", message).text == "the exact bytes"
    assert Request("m-1", message).may_leave()


@pytest.mark.parametrize("event", Event)
def test_only_what_was_withdrawn_certainly_did_not_leave(event: Event):
    assert Reply("m-1", event=event).unsent is (event is Event.WITHDRAWN)


def test_texts_are_mapped_wherever_they_are_and_what_is_too_deep_is_left_out():
    value = {"a": ["b", 1, None], "c": {"d": {"e": "f"}}}
    assert map_texts(value, str.upper, 2) == {"A": ["B", 1, None], "C": {"D": None}}
    assert map_texts("a", str.upper) == "A"
