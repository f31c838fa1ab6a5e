"""How a run ends (cli, "Exit codes")."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.exit_code import ExitCode, exit_code, worst
from runner.core.transfer.outcome import Outcome

DONE = {
    Outcome.TRANSFERRED: 5,
    Outcome.SKIPPED: 1,
    Outcome.UNCHANGED: 2,
    Outcome.UNATTEMPTED: 3,
}
DOUBT = {Outcome.IN_DOUBT: 1}
FAILED = {Outcome.FAILED: 1}
REJECTED = {Outcome.REJECTED: 1}


@pytest.mark.parametrize(
    ("counts", "halted", "code"),
    [
        ({}, None, 0),
        (DONE, None, 0),
        (DONE | FAILED, None, 1),
        (DONE | REJECTED, None, 1),
        (DONE | FAILED, ExitCode.STOPPED, 5),
        (DONE, ExitCode.UNREACHABLE, 4),
        (DONE | FAILED | DOUBT, None, 6),
        (DONE | FAILED | DOUBT, ExitCode.STOPPED, 6),
        (DONE | FAILED | DOUBT, ExitCode.INTERRUPTED, 130),
        (DONE | FAILED | DOUBT, ExitCode.TERMINATED, 143),
        (DONE | FAILED | DOUBT, ExitCode.HANGUP, 129),
        (DONE | FAILED | DOUBT, ExitCode.STORAGE, 74),
        (DONE | FAILED | DOUBT, ExitCode.BUG, 70),
    ],
)
def test_storage_over_signals_over_doubt_over_a_stop_over_failures(
    counts: dict[Outcome, int], halted: ExitCode | None, code: int
):
    assert exit_code(counts, halted) == code


@pytest.mark.parametrize(
    ("counts", "halted", "code"),
    [
        (DONE, None, 5),
        (DONE | FAILED, None, 5),
        (DONE | DOUBT, None, 6),
        (DONE, ExitCode.UNREACHABLE, 4),
    ],
)
def test_what_nothing_halted_but_was_not_begun_is_a_stop(
    counts: dict[Outcome, int], halted: ExitCode | None, code: int
):
    assert exit_code(counts, halted, left=1) == code


@given(
    st.dictionaries(st.sampled_from(Outcome), st.integers(0, 3)),
    st.none() | st.sampled_from([ExitCode.STOPPED, ExitCode.STORAGE, ExitCode.INTERRUPTED]),
)
def test_zero_means_that_nothing_is_left_to_do(counts: dict[Outcome, int], halted: ExitCode | None):
    if exit_code(counts, halted) is ExitCode.OK:
        assert halted is None
        assert not any(counts.get(o) for o in (Outcome.REJECTED, Outcome.FAILED, Outcome.IN_DOUBT))


def test_the_codes_are_the_documented_ones():
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0, "FAILURES": 1, "USAGE": 2, "INVALID": 3, "UNREACHABLE": 4, "STOPPED": 5,
        "IN_DOUBT": 6, "PENDING": 10, "BUG": 70, "STORAGE": 74, "LOCKED": 75, "HANGUP": 129,
        "INTERRUPTED": 130, "TERMINATED": 143,
    }  # fmt: skip


def test_a_runs_outcome_is_its_exit_codes_name():
    assert [code.outcome for code in ExitCode] == [
        "ok", "failures", "usage", "invalid", "unreachable", "stopped", "in-doubt", "pending",
        "bug", "storage", "locked", "interrupted", "interrupted", "interrupted",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([], 0), ([0, 1], 1), ([6, 1, 5], 6), ([4, 130, 6], 130), ([74, 143], 74), (ExitCode, 70)],
)
def test_of_several_runs_the_worst_counts(codes: list[int], expected: int):
    assert worst(codes) == expected


@given(st.sampled_from(ExitCode))
def test_one_run_counts_alone(code: ExitCode):
    assert worst([code]) is code
