"""What the live view shows of a run beside its figures."""

from __future__ import annotations

import pytest

from runner.core.records.recent_failures import RecentFailure, stage_of


@pytest.mark.parametrize(
    ("fields", "stage"),
    [
        ({"wave": 2, "of": 5}, "wave 2 of 5"),
        ({"wave": 2}, "wave 2"),
        ({"of": 5}, None),
        ({}, None),
    ],
)
def test_a_wave_is_named_by_its_number(fields: dict[str, object], stage: str | None):
    assert stage_of(fields) == stage


def test_a_failure_says_when_which_and_why():
    assert RecentFailure(3.5, "failed", "k7", None)._asdict() == {
        "at": 3.5,
        "outcome": "failed",
        "key": "k7",
        "reason": None,
    }
