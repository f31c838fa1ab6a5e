"""The protocol's messages: requests to the letter, replies of every kind."""

from __future__ import annotations

import json
import math
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.manifest.media import Audio, MediaMatrix, Video
from runner.core.records.audit_chain import canonical
from runner.core.transfer.message import (
    NOTE_LIMIT,
    SERVER_TEXT_LIMIT,
    Draft,
    GatewayNote,
    Reply,
    harmless,
)
from runner.core.transfer.states import Event, classify
from runner.gateways.interaction_transfer.protocol.reply import read_reply
from runner.gateways.interaction_transfer.protocol.request import build_text

VOICE = MediaMatrix(Audio("opus", 64, 16))


PICTURE = MediaMatrix(Audio("opus", 64, 16), Video("vp8", 1200, "1280x720", 30))


def test_a_request_is_what_the_protocol_shows():
    """Recorded by hand from the protocol's "Request"."""
    at = "2026-12-01T21:00:00.123456Z"
    text = build_text(Draft("0e0f", "3f25", "genesys://queue/billing-new", PICTURE, at))
    assert text == (
        '{"type":"interaction.transfer","id":"0e0f","interaction_id":"3f25",'
        '"destination_uri":"genesys://queue/billing-new",'
        '"media_matrix":{"audio":{"codec":"opus","bandwidth_kbps":64,"bit_depth":16},'
        '"video":{"codec":"vp8","resolution":"1280x720","fps":30,"bandwidth_kbps":1200}},'
        '"timestamp":"2026-12-01T21:00:00.123456Z",'
        '"triggers":{"codec_negotiation":true,"format_verification":true}}'
    )


def test_a_request_without_video_has_none():
    text = build_text(Draft("m", "i", "tel:+1", VOICE, "t"))
    assert list(json.loads(text)["media_matrix"]) == ["audio"]


def test_a_whole_reply_is_read():
    reply = read_reply(
        '{"id":"a","status":"codec_negotiated","code":200,"reason":"fine","retry_after":1.5,'
        '"media_matrix":{"audio":{"codec":"pcmu"}},"more":[1]}'
    )
    media = {"audio": {"codec": "pcmu"}}
    event = Event.ACCEPTED
    assert reply == Reply("a", "codec_negotiated", 200, "fine", 1.5, media, event=event)


def test_a_reply_means_what_the_gateways_own_statuses_say():
    own = partial(classify, carried_out=frozenset({"done"}), not_carried_out=frozenset({"busy"}))
    for status, event in (("done", Event.ACCEPTED), ("busy", Event.DENIED), ("?", Event.LOST)):
        reply = read_reply(json.dumps({"id": "a", "status": status}), None, own)
        assert reply == Reply("a", status, event=event)


def test_a_reply_may_spell_our_id_in_capitals():
    ours = "0e0f9c1c-6f0e-4b7e-9a51-3a5d3b9e2b11"
    assert read_reply(f'{{"id":"{ours.upper()}","status":"x"}}') == Reply(ours, "x")
    assert read_reply('{"id":"Session-1","status":"x"}') == Reply("Session-1", "x")


@pytest.mark.parametrize("odd", ["NaN", "1e999", '"\\ud800"'])
def test_what_only_a_lenient_reader_takes_costs_no_reply(odd: str):
    assert read_reply(f'{{"id":"a","status":"x","more":{odd}}}') == Reply("a", "x")


@pytest.mark.parametrize(
    ("twice", "told"),
    [
        (
            '"status":"codec_negotiated","status":"transfer_rejected"',
            "codec_negotiated and transfer_rejected",
        ),
        (
            '"status":"transfer_rejected","status":"codec_negotiated"',
            "transfer_rejected and codec_negotiated",
        ),
        (r'"status":"codec_negotiated","st\u0061tus":null', "codec_negotiated and null"),
        ('"status":"codec_negotiated","code":200,"code":429', "200 and 429"),
    ],
)
def test_a_reply_that_contradicts_itself_says_nothing(twice: str, told: str):
    """It is read for its id alone, so that the delivery is in doubt at once."""
    reply = read_reply(f'{{"id":"a",{twice}}}')
    key = "code" if "429" in twice else "status"
    assert reply == Reply("a", reason=f"the reply contradicts itself: `{key}` is {told}")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('"status":{"name":"transfer_initiated"},"code":429', '`status` is {"name": "transfer_ini'),
        ('"status":5,"code":429', "`status` is 5"),
        ('"status":["codec_negotiated"]', '`status` is ["codec_negotiated"]'),
        ('"status":true', "`status` is true"),
        ('"code":[200]', "`code` is [200]"),
        ('"code":"ERR_BUSY"', '`code` is "ERR_BUSY"'),
        ('"code":true', "`code` is true"),
        ('"code":4.5', "`code` is 4.5"),
        ('"code":1e999', "`code` is Infinity"),
        ('"code":NaN', "`code` is NaN"),
        ('"status":5,"code":429,"more":1,"more":2', "`status` is 5"),
    ],
)
def test_a_status_or_code_of_another_type_says_nothing(said: str, told: str):
    """Taken for absent it would leave a reply that means something else."""
    reply = read_reply(f'{{"id":"a",{said}}}')
    assert isinstance(reply, Reply)
    assert reply.reason is not None
    assert f"the reply cannot be read: {told}" in reply.reason
    assert reply == Reply("a", reason=reply.reason, event=Event.LOST)


@pytest.mark.parametrize(
    "other", ['"status":null,"code":429', '"status":"rate_limited","code":null']
)
def test_null_is_absent(other: str):
    reply = read_reply(f'{{"id":"a",{other}}}')
    assert isinstance(reply, Reply)
    assert reply.event is Event.LIMITED


@pytest.mark.parametrize(
    ("said", "event"),
    [
        ('"status":"transfer_initiated","code":"429"', Event.LOST),
        ('"status":"transfer_initiated","code":"200"', Event.ACCEPTED),
        ('"status":"transfer_rejected","code":"200"', Event.LOST),
        ('"code":"429"', Event.LIMITED),
        ('"status":"transfer_initiated","code":"OK"', Event.ACCEPTED),
        ('"status":"transfer_rejected","code":["E-42"]', Event.DENIED),
    ],
)
def test_a_code_says_what_its_digits_say_and_nothing_else(said: str, event: Event):
    reply = read_reply(f'{{"id":"a",{said}}}')
    assert isinstance(reply, Reply)
    assert reply.event is event


def test_an_unreadable_status_is_cut_made_harmless_and_hidden():
    text = json.dumps({"id": "a", "status": ["s/p\u202e" + "x" * 999]}).replace("/", "\\u002f")
    reply = read_reply(text, _hide)
    assert isinstance(reply, Reply)
    assert reply.reason is not None
    assert '`status` is ["[hidden]\\u202exxx' in reply.reason
    assert len(reply.reason) <= SERVER_TEXT_LIMIT


@pytest.mark.parametrize("key", ["status", "code"])
@pytest.mark.parametrize("again", ["", ',"{key}":1'])
def test_however_deep_an_unreadable_value_is_it_ends_no_reader(key: str, again: str):
    for depth in range(400, 1100):
        value = "[" * depth + "]" * depth
        read = read_reply(f'{{"id":"a","{key}":{value}{again.format(key=key)}}}')
        assert isinstance(read, Reply) or read.why == "not JSON"


def test_a_reply_with_two_ids_is_nobodys():
    reply = read_reply('{"id":"a","status":"codec_negotiated","id":"b"}')
    assert isinstance(reply, GatewayNote)
    assert reply.why == "two ids"


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ('"id"', "not a JSON object"),
        ("{}", "no id"),
        ('{"id":7,"status":"x"}', "no id"),
        ('{"id":null,"status":"x"}', "no id"),
        ('{"id":"a"}', "neither status nor code"),
        ('{"id":"a","status":null,"code":null}', "neither status nor code"),
        (b'{"id":"a","status":"x"}', "a binary frame"),
    ],
)
def test_what_is_no_reply_is_a_stray_that_says_why(frame: str | bytes, why: str):
    note = read_reply(frame)
    assert isinstance(note, GatewayNote)
    assert note.why == why
    assert len(note.text) <= NOTE_LIMIT


@pytest.mark.parametrize("code", ["429", "429.0", "4.29e2"])
def test_a_code_may_be_written_as_any_whole_number(code: str):
    """JSON knows one kind of number."""
    assert read_reply(f'{{"id":"a","code":{code}}}') == Reply("a", None, 429, event=Event.LIMITED)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("0", 0.0),
        ("2", 2.0),
        ("0.25", 0.25),
        ("31536000", 31_536_000.0),
        ("-1", None),
        ("-0.001", None),
        ("1e999", None),
        ("NaN", None),
        ('"3"', None),
        ("true", None),
        ("null", None),
        ("[]", None),
    ],
)
def test_a_malformed_or_negative_retry_after_counts_as_absent(written: str, read: float | None):
    reply = read_reply(f'{{"id":"a","status":"rate_limited","retry_after":{written}}}')
    assert isinstance(reply, Reply)
    assert reply.retry_after_s == read


def test_a_retry_after_too_large_for_a_float_is_still_a_number():
    """An integer of 400 digits must not end the session's only reader."""
    reply = read_reply('{"id":"a","status":"rate_limited","retry_after":1' + "0" * 400 + "}")
    assert isinstance(reply, Reply)
    assert reply.retry_after_s is not None
    assert 1e300 < reply.retry_after_s < math.inf


@pytest.mark.parametrize("media", ['"opus"', "[]", "null", '{"fps":1e999}', '{"a":{"b":NaN}}'])
def test_media_that_no_journal_could_hold_are_left_out_and_the_reply_counts(media: str):
    reply = read_reply(f'{{"id":"a","status":"transfer_initiated","media_matrix":{media}}}')
    assert reply == Reply("a", "transfer_initiated", event=Event.ACCEPTED)


def test_foreign_text_is_cut_and_made_harmless():
    reply = read_reply(
        json.dumps({"id": "i" * 9999, "status": "\x1b[31m", "reason": "ä\n\u202e" + "x" * 9999})
    )
    assert isinstance(reply, Reply)
    assert reply.status == "\\x1b[31m"
    assert reply.reason is not None
    assert reply.reason.startswith("ä\\x0a\\u202ex")
    assert len(reply.reason) <= SERVER_TEXT_LIMIT + 10
    assert len(reply.message_id) == NOTE_LIMIT


def test_an_id_of_half_a_character_is_still_text():
    """A lone surrogate could neither be looked up nor written."""
    reply = read_reply('{"id":"\\ud800","status":"x"}')
    assert isinstance(reply, Reply)
    assert reply.message_id == "\ufffd"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


FIELDS = st.sampled_from(["id", "status", "code", "reason", "retry_after", "media_matrix"])


@given(
    st.one_of(
        st.binary(max_size=40),
        st.text(max_size=40),
        JSON.map(json.dumps),
        st.dictionaries(FIELDS, JSON | st.text(max_size=4)).map(json.dumps),
    )
)
def test_whatever_comes_is_read_and_can_be_journalled(frame: str | bytes):
    match read_reply(frame):
        case GatewayNote(why, text):
            assert canonical({"why": why, "text": text}).isascii()
            assert text.isprintable()
        case Reply() as reply:
            assert reply.message_id.isprintable()
            is_unreadable = reply.reason is not None and reply.event is Event.LOST
            assert (reply.status, reply.code) != (None, None) or is_unreadable
            assert reply.retry_after_s is None or 0 <= reply.retry_after_s < math.inf
            canonical({"reason": reply.reason, "media": reply.media})
            reply.message_id.encode()


@given(
    st.builds(
        MediaMatrix,
        st.builds(Audio, st.text(), st.floats(1, 1e6), st.integers(8, 32)),
        st.none() | st.builds(Video, st.text(), st.floats(1, 1e6), st.text(), st.floats(1, 240)),
    )
)
def test_a_media_matrix_survives_the_wire(media: MediaMatrix):
    assert MediaMatrix.from_json(json.loads(json.dumps(media.to_json()))) == media


def test_texts_of_media_are_cut_and_made_harmless():
    media = {"audio": {"codec": "c" * 9999, "k" * 9999: "\x1b", "kbps": [1, 2.5, None, True]}}
    reply = read_reply(json.dumps({"id": "a", "status": "x", "media_matrix": media}))
    cut = "c" * (SERVER_TEXT_LIMIT - 1) + "…", "k" * (SERVER_TEXT_LIMIT - 1) + "…"
    kept = {"audio": {"codec": cut[0], cut[1]: "\\x1b", "kbps": [1, 2.5, None, True]}}
    assert reply == Reply("a", "x", media=kept)


@pytest.mark.parametrize("media", [{"a": list(range(2000))}, {"a": ["x" * 500] * 9}])
def test_media_that_are_large_all_the_same_are_left_out_and_the_reply_counts(media: Any):
    reply = read_reply(json.dumps({"id": "a", "status": "x", "media_matrix": media}))
    assert reply == Reply("a", "x")


def test_what_is_to_be_hidden_is_taken_out_of_every_text_of_a_reply_before_it_is_cut():
    text = json.dumps({"id": "a", "status": "s/p", "reason": "x" * 510 + "s/p", "code": 1})
    reply = read_reply(text.replace("/", "\\u002f"), _hide)
    assert reply == Reply("a", "[hidden]", 1, harmless("x" * 510 + "[hidden]", SERVER_TEXT_LIMIT))


def test_what_is_to_be_hidden_is_not_in_a_strays_text_either():
    note = read_reply('{"no": ["s\\u002fp", 1], "s\\/p": 2}', _hide)
    assert note == GatewayNote("no id", '{"no": ["[hidden]", 1], "[hidden]": 2}')


def test_hiding_costs_no_reply_however_deep_its_other_fields_are():
    deep = "[" * 900 + "]" * 900
    assert read_reply(f'{{"id":"a","status":"x","more":{deep}}}', _hide) == Reply("a", "x")


def _hide(text: str) -> str:
    return text.replace("s/p", "[hidden]")
