"""What an option declares is what commands, plan files and next steps do with it."""

from __future__ import annotations

from typing import Any

import pytest

from runner.core.batch_options import (
    FIXED_BY_PLAN,
    IN_PLAN,
    NO_OPTIONS,
    OPTIONS,
    BatchOptions,
    parse_outcomes,
    to_json,
)
from runner.core.journal_location import JournalLocation
from runner.core.manifest.quantity import Share, parse_rate, rate_text

EXAMPLES: dict[str, Any] = {
    "environment": "demo",
    "only": ("k*", "b"),
    "exclude": ("vip-*",),
    "only_outcome": "rejected,failed",
    "of": "latest",
    "limit": 0,
    "again": True,
    "rate_per_s": 0.5,
    "in_flight": 3,
    "max_failures": Share(0.05),
    "journal": JournalLocation("postgresql://host/db"),
    "lock_timeout_s": 60.0,
    "new_history": True,
    "ignore_window": True,
    "without_secrets": True,
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_comes_back_from_its_json_form(name: str):
    options = BatchOptions(**{name: EXAMPLES[name]})
    assert options.given() == {name: EXAMPLES[name]}
    assert BatchOptions.from_json({name: to_json(EXAMPLES[name])}) == options


@pytest.mark.parametrize("name", OPTIONS)
def test_commands_repeat_what_is_not_a_decision_for_one_run(name: str):
    words = BatchOptions(**{name: EXAMPLES[name]}).in_next_steps()
    assert (OPTIONS[name].flag in words) == OPTIONS[name].in_next_steps
    assert "--again" not in words
    assert "--new-history" not in words


def test_nothing_given_is_nothing_written():
    assert NO_OPTIONS.given() == {}
    assert NO_OPTIONS.in_next_steps() == ()
    assert BatchOptions.from_json(NO_OPTIONS.in_plan()) == NO_OPTIONS


def test_a_plan_holds_what_decides_which_rows_are_sent_and_how_fast():
    chosen = ("only", "exclude", "only_outcome", "of", "limit", "again")
    assert (*chosen, "rate_per_s", "in_flight", "max_failures") == IN_PLAN
    assert (*chosen, "max_failures") == FIXED_BY_PLAN
    assert BatchOptions(**EXAMPLES).in_plan() == {
        "only": ["k*", "b"],
        "exclude": ["vip-*"],
        "only_outcome": "rejected,failed",
        "of": "latest",
        "limit": 0,
        "again": True,
        "rate_per_s": 0.5,
        "in_flight": 3,
        "max_failures": "5%",
    }


def test_a_record_of_another_version_is_read():
    record = {"max_failures": "20", "folder": "/srv", "yet_unknown": 1, "limit": None}
    assert BatchOptions.from_json(record) == BatchOptions(max_failures=20)


@pytest.mark.parametrize("per_s", [25.0, 12.5, 0.5, 5 / 60, 0.123456789])
def test_a_rate_is_read_as_it_is_written(per_s: float):
    assert parse_rate(rate_text(per_s)) == pytest.approx(per_s)


@pytest.mark.parametrize("text", ["5000/min", "30/min", "10/s", "0.123/s", "12.5/s"])
def test_a_rate_is_written_as_a_person_writes_it(text: str):
    assert rate_text(parse_rate(text)) == text


def test_an_option_is_a_variable_too():
    assert OPTIONS["rate_per_s"].variable == "RUNNER_RATE"
    assert OPTIONS["max_failures"].variable == "RUNNER_MAX_FAILURES"


def test_outcomes_are_named_as_reports_name_them():
    assert parse_outcomes(" rejected, failed") == "rejected,failed"
    with pytest.raises(ValueError, match="unknown outcome `lost`; write such as rejected,failed"):
        parse_outcomes("rejected,lost")
