"""The form in which journals keep a run's record (runner/core/records/run_record.py)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from runner.core.records.run_record import (
    PLANNED,
    UNFINISHED,
    ApprovalRecord,
    FailedNotification,
    NotificationRecord,
    OpeningRecord,
    PlanFigures,
    RunRecord,
    RunWindows,
    WindowRecord,
)
from tests.report.samples import RUN

OPENING = OpeningRecord("o", None, "o", None)
FAILED = FailedNotification("finished", "notify[0]", "the service did not accept it")
OTHERS = replace(RUN, explanation="2 in doubt that this manifest does not list: key k of run r")


@pytest.mark.parametrize(
    ("changes", "duration_s"),
    [
        ({"finished_at": "2026-12-01T21:00:41.250499Z"}, 41.25),
        ({"finished_at": "2026-12-01T20:59:59.000000Z"}, 0.0),  # the clock was set back
        ({"finished_at": None, "outcome": UNFINISHED}, None),
        ({"outcome": PLANNED}, None),
    ],
)
def test_a_run_lasts_from_its_begin_to_its_end(changes: dict[str, Any], duration_s: float | None):
    assert replace(RUN, **changes).duration_s == duration_s


def test_a_record_is_read_as_it_was_written():
    for record in (
        RUN,
        replace(OTHERS, others_in_doubt=2),
        replace(RUN, reverts="r"),
        replace(RUN, description="d"),
        replace(RUN, caveats=("restored",)),
        replace(RUN, approvals=(ApprovalRecord("bob@example.net", "SHA256:x", "p.bob.sig"),)),
        replace(RUN, notifications=NotificationRecord(1, 0, 1, (FAILED,))),
        replace(RUN, place_names={"genesys://queue/1": "Billing"}),
        replace(RUN, windows=RunWindows(WindowRecord(None, "t"), None)),
        replace(RUN, windows=RunWindows(None, "UTC", "c", "c", (OPENING,))),
    ):
        kept = json.loads(json.dumps(record.to_json()))
        assert RunRecord.from_json(kept) == replace(record, waves=kept["waves"])


def test_what_says_nothing_is_left_out():
    later = {"others_in_doubt", "reverts", "description", "caveats"}
    later |= {"approvals", "notifications", "windows", "place_names"}
    assert not later & RUN.to_json().keys()


def test_a_field_of_a_later_version_is_passed_over():
    kept = {**RUN.to_json(), "moon_phase": "full"}
    assert RunRecord.from_json(kept) == RUN


def test_why_a_transfer_was_not_begun_is_the_runs_own_reason_if_it_gave_one():
    assert replace(RUN, explanation="the window closed").why_not_begun == "the window closed"
    assert RUN.why_not_begun == "the run ended before its turn"
    going_on = replace(RUN, outcome=UNFINISHED, exit_code=None)
    assert going_on.why_not_begun == "its turn had not come when this was reported"


@pytest.mark.parametrize(
    ("estimate_s", "pauses_s", "sending_s"),
    [(None, 0.0, None), (90.0, 0.0, 90.0), (90.0, 60.0, 30.0), (60.0, 60.0, None)],
)
def test_a_plan_knows_how_long_its_sending_takes_without_the_pauses(
    estimate_s: float | None, pauses_s: float, sending_s: float | None
):
    plan = PlanFigures(1, 0, 0, 0, estimate_s, pauses_s=pauses_s)
    assert plan.sending_s == sending_s
