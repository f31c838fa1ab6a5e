"""Reasons are codes and words: the code says the cause, the words may differ from row to row."""

from __future__ import annotations

import pytest

from runner.core.transfer.reasons import WORDS, Cause, Code, cause_of, code_of_reply, common_words
from runner.core.transfer.states import STATUSES


def test_every_cause_has_words_but_what_a_gateway_says_in_its_own():
    assert set(Code) - set(WORDS) == {Code.OTHER_STATUS}


def test_no_code_is_also_a_status_of_the_protocol():
    assert not set(Code) & set(STATUSES)


def test_a_cause_of_our_own_is_its_code_and_a_gateways_is_its_words_too():
    assert cause_of(Code.NO_REPLY, "no reply within 10 s") == Cause(Code.NO_REPLY, None)
    assert cause_of("transfer_rejected", "queue full") == Cause("transfer_rejected", "queue full")
    assert cause_of(None, "of an older journal") == Cause(None, "of an older journal")


def test_a_group_is_called_by_what_holds_for_all_of_it():
    words = "no reply within 10 s"
    assert common_words(Code.NO_REPLY, words, differ=False) == words
    assert common_words(Code.NO_REPLY, words, differ=True) == "no reply came in time"
    since = "in doubt since run r-1 (batch night, key k7)"
    assert common_words(Code.HELD, since, differ=False) == "in doubt since an earlier run"
    assert common_words("transfer_rejected", "queue full", differ=False) == "queue full"
    assert common_words(None, "queue full", differ=False) == "queue full"


@pytest.mark.parametrize(
    ("status", "code", "named"),
    [
        ("codec_unsupported", 415, "codec_unsupported"),
        (None, 429, "rate_limited"),
        ("pending", 200, "pending"),
        ("<b>", 200, "other_status"),
        ("x" * 65, 200, "other_status"),
        (None, None, "other_status"),
    ],
)
def test_a_replys_code_is_its_status_where_that_is_a_plain_word(
    status: str | None, code: int | None, named: str
):
    assert code_of_reply(status, code) == named
