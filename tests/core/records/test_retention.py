"""Which report folders may go: two conditions must hold, and nothing forbid it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runner.core.records.retention import KeepReason, Retention, StoredReport, reasons_to_keep

DAY_S = 86_400.0
NOW = 1_000 * DAY_S


def aged(name: str, days: float, **told: Any) -> StoredReport:
    at = NOW - days * DAY_S
    return StoredReport(name, at, at, told.pop("in_doubt", 0), **told)


def reasons(
    *folders: StoredReport, keep: int = 1, days: float = 90, latest: str | None = None
) -> dict[str, KeepReason | None]:
    return dict(reasons_to_keep(folders, Retention(keep, days * DAY_S), latest=latest, now=NOW))


def test_a_run_goes_only_if_it_is_neither_among_the_newest_nor_young():
    runs = [aged("a", 200), aged("b", 150), aged("c", 100), aged("d", 50), aged("e", 10)]
    assert reasons(*runs, keep=2) == {
        "a": None,
        "b": None,
        "c": None,
        "d": KeepReason.NEWEST,
        "e": KeepReason.NEWEST,
    }
    assert reasons(*runs, keep=4, days=1)["a"] is None
    assert reasons(*runs, keep=1) == {
        "a": None,
        "b": None,
        "c": None,
        "d": KeepReason.YOUNG,
        "e": KeepReason.NEWEST,
    }


def test_the_newest_stays_whatever_is_asked():
    assert reasons(aged("a", 900), aged("b", 800), keep=0, days=0) == {
        "a": None,
        "b": KeepReason.NEWEST,
    }


def test_the_age_counts_from_the_end():
    long = StoredReport("a", NOW - 100 * DAY_S, NOW - 80 * DAY_S, 0)
    assert reasons(long, aged("b", 1))["a"] is KeepReason.YOUNG


def test_exactly_as_old_is_not_older():
    assert reasons(aged("a", 90), aged("b", 1))["a"] is KeepReason.YOUNG


def test_doubts_stay_and_those_that_a_plan_counted_are_in_the_runs_reports():
    assert reasons(
        aged("a", 900, in_doubt=1),
        aged("plan-a", 900, in_doubt=2, planned=True),
        aged("b", 1),
    ) == {"a": KeepReason.IN_DOUBT, "plan-a": None, "b": KeepReason.NEWEST}


def test_what_latest_points_to_stays():
    assert reasons(aged("a", 900), aged("b", 1), latest="a")["a"] is KeepReason.LATEST


def test_the_last_witness_of_each_environment_stays():
    folders = [
        aged("a", 900, environment="demo", witnessed_at=5.0),
        aged("b", 800, environment="production", witnessed_at=6.0),
        aged("c", 700, environment="production", witnessed_at=7.0),
        aged("d", 600),
        aged("e", 1),
    ]
    assert reasons(*folders) == {
        "a": KeepReason.WITNESS,
        "b": None,
        "c": KeepReason.WITNESS,
        "d": None,
        "e": KeepReason.NEWEST,
    }


def test_plans_go_by_their_age_alone_and_take_no_runs_place():
    plans = [aged("plan-a", 100, planned=True), aged("plan-b", 10, planned=True)]
    assert reasons(*plans, aged("a", 200), aged("b", 150), keep=1) == {
        "plan-a": None,
        "plan-b": KeepReason.YOUNG,
        "a": None,
        "b": KeepReason.NEWEST,
    }


def test_a_time_that_lies_ahead_is_young():
    assert reasons(aged("a", -5), aged("b", -6))["a"] is KeepReason.YOUNG


SHELVED = st.builds(
    aged,
    st.uuids().map(str),
    st.floats(-10, 500),
    in_doubt=st.integers(0, 1),
    planned=st.booleans(),
    environment=st.sampled_from([None, "demo", "production"]),
    witnessed_at=st.floats(0, 9),
)


@given(st.lists(SHELVED, max_size=12), st.integers(0, 5), st.floats(0, 400), st.integers(0, 11))
def test_whatever_lies_there_what_must_stay_stays(
    folders: list[StoredReport], keep: int, days: float, pointed: int
):
    latest = folders[pointed].name if pointed < len(folders) else None
    told = reasons(*folders, keep=keep, days=days, latest=latest)
    gone = [folder for folder in folders if told[folder.name] is None]
    runs = sorted((f for f in folders if not f.planned), key=lambda f: (f.started_at, f.name))
    for folder in gone:
        assert folder.planned or not folder.in_doubt
        assert folder.name != latest
        assert NOW - folder.ended_at > days * DAY_S
        assert folder not in runs[len(runs) - max(1, keep) :]
        assert folder.environment is None or folder.witnessed_at < max(
            f.witnessed_at for f in folders if f.environment == folder.environment
        )
