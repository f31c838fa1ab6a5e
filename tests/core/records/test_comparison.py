"""Two runs' differences: of which kind, how many, the most urgent first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runner.core.records.comparison import (
    ChangeKind,
    ComparedRun,
    ComparedTransfer,
    Comparison,
    Difference,
    changes_of,
)
from runner.core.records.run_record import Figures, RunRecord
from runner.core.records.summary import summarize
from runner.core.transfer.outcome import Outcome
from tests.report import samples

T, R, F, S, D, U, E = Outcome


def told(outcome: Outcome, uri: str = "genesys://queue/a") -> ComparedTransfer:
    return ComparedTransfer(outcome, None, "i", uri)


def test_differences_are_counted_by_kind_and_outcomes_the_most_urgent_first():
    differences = [
        *(Difference(f"t{n}", told(T), told(E)) for n in range(9)),
        Difference("a", told(F), told(T)),
        Difference("b", told(R), told(D)),
        Difference("c", None, told(U)),
        Difference("d", told(S), None),
        Difference("e", told(R), told(R, "genesys://queue/b")),
        Difference("f", told(F), told(T)),
    ]
    changes = changes_of(differences, most_examples=1)
    assert [(c.kind, c.before, c.after, c.count, c.examples[0].key) for c in changes] == [
        (ChangeKind.OUTCOME, R, D, 1, "b"),
        (ChangeKind.TARGET, R, R, 1, "e"),
        (ChangeKind.LISTED, None, U, 1, "c"),
        (ChangeKind.UNLISTED, S, None, 1, "d"),
        (ChangeKind.OUTCOME, F, T, 2, "a"),
        (ChangeKind.OUTCOME, T, E, 9, "t0"),
    ]
    assert [change.expected for change in changes] == [False] * 5 + [True]
    assert {len(change.examples) for change in changes} == {1}


def compared(first: RunRecord, second: RunRecord) -> Comparison:
    transfers = list(map(samples.transfer, range(12)))
    before, after = (ComparedRun(run, summarize(transfers, Figures())) for run in (first, second))
    gone = Difference("gone", told(T), None)
    return Comparison(before, after, changes_of([gone, Difference("new", None, told(T))]))


def test_what_is_alike_is_what_neither_differs_nor_is_gone():
    assert compared(samples.RUN, samples.RUN).alike == 11


@pytest.mark.parametrize(
    ("first", "second", "warning"),
    [
        ({"batch": "other"}, {}, "the runs are of different batches, other and billing-cutover"),
        ({}, {"finished_at": None}, "run 20261201T210000Z-7f3a has no end"),
        ({"started_at": "2026-12-02"}, {}, "name the earlier one first"),
    ],
)
def test_what_makes_a_comparison_lame_is_told(
    first: dict[str, Any], second: dict[str, Any], warning: str
):
    [told_] = compared(replace(samples.RUN, **first), replace(samples.RUN, **second)).warnings
    assert warning in told_


def test_runs_of_one_batch_in_their_order_are_compared_without_a_warning():
    comparison = compared(samples.RUN, samples.RUN)
    assert comparison.warnings == ()
    assert comparison.before.duration_s == 41.25
    open_end = replace(samples.RUN, finished_at=None)
    assert compared(open_end, samples.RUN).before.duration_s is None
