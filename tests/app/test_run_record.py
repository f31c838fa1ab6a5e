"""What of a plan is worth a log line."""

from __future__ import annotations

from runner.app.run_record import plan_log_fields
from runner.core.records.run_record import PlanFigures


def test_a_log_line_has_the_figures_of_a_plan_that_matter():
    plan = PlanFigures(500, 0, 0, 0, 8.3333333, waves=(1, 500))
    assert plan_log_fields(plan) == {
        "send": 500,
        "unchanged": 0,
        "in_doubt": 0,
        "estimate_s": 8.3,
        "waves": (1, 500),
    }
    assert plan_log_fields(PlanFigures(0, 3, 0, 1, None)) == {
        "send": 0, "unchanged": 3, "in_doubt": 1,
    }  # fmt: skip
