"""JSON from outside: what is read of half characters and of keys that stand twice."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.lenient_json import decode_json, decode_json_fast

KEYS = ("id", "status", "code")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"\ud800"', "\ufffd"),
        (r'"\uDFFF!"', "\ufffd!"),
        (r'{"\udc00":["\ud800\ud800"]}', {"\ufffd": ["\ufffd\ufffd"]}),
        (r'"\ud83d\ude00"', "\U0001f600"),
        (r'"\\ud800"', r"\ud800"),
        (r'"\\\ud800"', "\\\ufffd"),
        (r'"\u0041\n"', "A\n"),
    ],
)
def test_half_a_character_is_read_as_a_replacement(text: str, value: object):
    assert decode_json(text).value == value
    assert decode_json_fast(text, KEYS).value == value
    assert decode_json(text.encode()).value == value


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_whole_characters_are_read_as_they_are(value: object):
    for ensure_ascii in (True, False):
        text = json.dumps(value, ensure_ascii=ensure_ascii)
        assert decode_json(text) == (value, {}, True)
        assert decode_json_fast(text, KEYS).value == value


@given(st.text(st.characters(categories=["Cs"]) | st.characters()))
def test_whatever_is_read_has_a_utf8_form(text: str):
    value = decode_json(json.dumps([text])).value
    assert value[0].encode().decode() == value[0]


@pytest.mark.parametrize(
    ("text", "contradictions", "is_consistent"),
    [
        ('{"status":"a","status":"b"}', {"status": ("a", "b")}, False),
        (r'{"status":"a","st\u0061tus":"b"}', {"status": ("a", "b")}, False),
        ('{"code":1,"code":true}', {"code": (1, True)}, False),
        ('{"status":"a","status":"a"}', {}, True),
        ('{"more":{"status":"a","status":"b"}}', {}, False),
        ('[{"id":1,"id":2}]', {}, False),
    ],
)
def test_a_key_with_two_values_is_a_contradiction(
    text: str, contradictions: object, *, is_consistent: bool
):
    for read in (decode_json(text), decode_json_fast(text, KEYS)):
        assert read.is_consistent is is_consistent
    assert decode_json(text).contradictions == contradictions


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", "", "{", '"\\ud80"'])
def test_what_is_no_json_is_a_value_error(text: str | bytes):
    with pytest.raises(ValueError, match=r"."):
        decode_json(text)


def test_a_number_that_only_a_lenient_reader_takes_is_read_all_the_same():
    """The fast reader refuses it, and leaves it to the other."""
    assert decode_json_fast('{"id": Infinity}', KEYS).value == {"id": math.inf}
