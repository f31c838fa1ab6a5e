"""Several environments: all are checked before one is begun, and every problem is named once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from runner.app.all_or_none import check_each
from runner.app.run_options import RunOptions
from runner.core.diagnostics.problem import Place, Problem
from runner.core.errors import ManifestInvalid, RunnerError, StorageError, UsageError

REQUESTS = [RunOptions(manifest=Path("m.yaml"), environment=name) for name in ("eu", "us", "ap")]


def problem(message: str) -> Problem:
    return Problem("R001", message, Place("m.yaml", 1, 1), "help")


def checked(errors: Mapping[str, RunnerError]) -> list[str]:
    seen: list[str] = []

    def check(request: RunOptions) -> str:
        name = str(request.environment)
        seen.append(name)
        if name in errors:
            raise errors[name]
        return name

    try:
        return check_each(REQUESTS, check)
    finally:
        assert seen == ["eu", "us", "ap"]


def test_what_was_checked_is_returned_in_order():
    assert checked({}) == ["eu", "us", "ap"]


def test_the_problems_of_all_are_listed_and_common_ones_once():
    both, only = problem("both"), problem("only us")
    with pytest.raises(ManifestInvalid) as caught:
        checked({"eu": ManifestInvalid([both], {"R001": 3}), "us": ManifestInvalid([both, only])})
    assert caught.value.problems == (both, only)
    assert caught.value.omitted == {"R001": 3}
    assert caught.value.also == ()


def test_an_environment_that_is_refused_otherwise_is_told_beside_the_problems():
    with pytest.raises(ManifestInvalid) as caught:
        checked({"eu": ManifestInvalid([problem("p")]), "ap": StorageError("restored")})
    [also] = caught.value.also
    assert isinstance(also, StorageError)
    assert str(also) == "ap: restored"


def test_a_refusal_names_its_environments_and_one_of_all_names_none():
    with pytest.raises(UsageError, match=r"^eu, ap: no such key\nus: --again needs a run$"):
        checked(
            {name: UsageError("no such key") for name in ("eu", "ap")}
            | {"us": UsageError("--again needs a run")}
        )
    with pytest.raises(StorageError, match=r"^the disk is full$"):
        checked({name: StorageError("the disk is full") for name in ("eu", "us", "ap")})


def test_a_refused_journal_weighs_more_than_a_wrong_option():
    with pytest.raises(StorageError, match=r"^eu: a\nus: b$"):
        checked({"eu": UsageError("a"), "us": StorageError("b")})
