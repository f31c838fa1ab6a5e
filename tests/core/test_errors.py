"""What the errors that end a command say and keep."""

from __future__ import annotations

from runner.core.diagnostics.problem import Place, Problem
from runner.core.errors import (
    Interrupted,
    LookUpFailed,
    LookUpForbidden,
    LookUpUnanswered,
    ManifestInvalid,
    NotInDoubt,
    UsageError,
)
from runner.core.exit_code import ExitCode


def test_an_invalid_manifest_counts_its_problems_and_those_left_out():
    problem = Problem("R006", "`key` is empty", Place("m.yaml", 3, 7), "write the key")
    error = ManifestInvalid([problem], {"R006": 12})
    assert str(error) == "the manifest has 1 problem"
    assert error.problems == (problem,)
    assert error.omitted == {"R006": 12}
    assert ManifestInvalid([]).omitted == {}


def test_a_place_is_spelt_as_editors_open_it():
    assert str(Place("m.yaml", 3, 7, end_column=12)) == "m.yaml:3:7"


def test_a_gateway_error_says_where_what_and_what_to_check():
    where = {"environment": "night", "url": "https://api.example.net"}
    error = LookUpUnanswered(**where, what="answered 503", check="ask its owner")
    assert str(error) == "environment night: answered 503 (https://api.example.net); ask its owner"
    assert (error.what, error.check, error.tries) == ("answered 503", "ask its owner", 1)
    assert isinstance(error, LookUpFailed)


def test_a_forbidden_look_up_is_no_failure_of_one_interaction():
    error = LookUpForbidden(environment="night", url="u", what="403", check="the scope")
    assert error.date_s is None
    assert not isinstance(error, LookUpFailed)


def test_an_interruption_keeps_its_exit_code():
    assert Interrupted(ExitCode.INTERRUPTED).code is ExitCode.INTERRUPTED


def test_a_doubt_that_is_settled_is_an_error_of_usage():
    assert issubclass(NotInDoubt, UsageError)
