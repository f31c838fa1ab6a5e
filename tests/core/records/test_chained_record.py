"""A run's record in the audit chain, and the journal's, which must be the same."""

from __future__ import annotations

from typing import Any

import pytest

from runner.core.records.audit_chain import GENESIS, canonical, link
from runner.core.records.chained_record import (
    ChainedRuns,
    StoredRun,
    begun_fields,
    ended_fields,
    record_fault,
    whole_body,
)

BEGUN = {
    "id": "r1", "batch": "night", "started_at": "08:00", "finished_at": None, "user": "ann",
    "outcome": "unfinished",
}  # fmt: skip
ENDED = BEGUN | {"finished_at": "09:00", "outcome": "ok"}
FIGURES = {"throttled": 0}


def body(event: str, fields: dict[str, Any], run: str = "r1") -> str:
    return canonical({"event": event, "run": run, **fields})


FIRST = body("run begun", begun_fields(BEGUN))
LAST = body("run ended", ended_fields(ENDED, FIGURES))
DONE = StoredRun("r1", "night", "08:00", "09:00", canonical(ENDED), canonical(FIGURES), FIRST, LAST)
GOING_ON = StoredRun(
    "r1", "night", "08:00", None, canonical(BEGUN), None, FIRST, body("accepted", {})
)


def test_what_the_chain_has_is_what_the_journal_may_have():
    assert record_fault(DONE) is None
    assert record_fault(GOING_ON) is None
    assert record_fault(GOING_ON._replace(last=FIRST)) is None


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (DONE._replace(record=canonical(ENDED | {"user": "eve"})), 'user is "eve", and "ann" in'),
        (DONE._replace(record=canonical(BEGUN)), 'finished_at is null, and "09:00" in the chain'),
        (DONE._replace(record=canonical(ENDED) + " "), "it is spelt in another way"),
        (DONE._replace(record="{"), "it is no record"),
        (DONE._replace(record="7"), "it is no record"),
        (DONE._replace(record="[" * 100_000), "it is no record"),
        (DONE._replace(batch="x" * 99), f'batch is "{"x" * 79}…, and "night" in the chain'),
        (DONE._replace(figures=canonical({"throttled": 1})), "its figures"),
        (DONE._replace(figures=None), "its figures"),
        (GOING_ON._replace(figures="{}"), "its figures"),
        (DONE._replace(first=None), "the chain does not begin the run with its record"),
        (DONE._replace(first=LAST), "the chain does not begin the run with its record"),
        (DONE._replace(id="r2"), "the chain does not begin the run with its record"),
        (DONE._replace(first=body("run begun", {})), "the chain does not begin the run with"),
        (DONE._replace(last=body("run ended", {}, "r2")), "in the chain"),
        (DONE._replace(last=None), "in the chain"),
    ],
)
def test_another_record_is_told_with_what_differs(stored: StoredRun, told: str):
    assert told in str(record_fault(stored))


def test_an_event_counts_only_with_its_hash():
    assert whole_body(GENESIS, FIRST, link(GENESIS, FIRST)) == FIRST
    assert whole_body(GENESIS, FIRST, link(GENESIS, LAST)) is None
    assert whole_body(GENESIS, None, None) is None


def test_a_whole_chain_says_which_records_are_missing():
    chained = ChainedRuns()
    elsewhere = body("run begun", begun_fields(BEGUN | {"id": "r2"}), "r2")
    quoting = body("stray frame", {"text": {"event": "run begun"}})
    for each in (FIRST, quoting, body("accepted", {}), LAST, elsewhere):
        chained.note(each)
    assert [*chained.faults([DONE])] == [
        ("r2", "the journal has no record of it, and the chain has")
    ]
    ((run, _), _) = chained.faults([GOING_ON])
    assert run == "r1"
    (_, (run, fault), _) = chained.faults([GOING_ON, DONE._replace(id="r3")])
    assert (run, fault) == ("r3", "the chain does not begin the run with its record")
