"""What receivers of callbacks were not told, in numbers and words."""

from __future__ import annotations

from runner.core.records.undelivered import (
    Undelivered,
    count_owed,
    count_undelivered,
    undelivered_text,
)

OWED = Undelivered("crm", 1_200, 0, "answered 503, twice; left for the next run")
BOTH = Undelivered("wallboard", 2, 3, None)


def test_it_names_the_callback_the_numbers_and_the_reason():
    assert OWED.text == "crm: 1,200 owed (answered 503, twice; left for the next run)"
    assert BOTH.text == "wallboard: 2 owed, 3 given up"


def test_what_is_given_up_is_not_owed():
    assert count_owed([OWED, BOTH]) == 1_202
    assert count_undelivered([OWED, BOTH]) == 1_205
    assert undelivered_text([BOTH]) == "5 callbacks were not delivered"
    assert undelivered_text([Undelivered("crm", 1, 0)]) == "1 callback was not delivered"
