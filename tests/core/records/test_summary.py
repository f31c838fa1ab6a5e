"""A run in figures (runner/core/records/summary.py)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.records.run_record import AttemptRecord, CallbackRecord, Figures, TransferRecord
from runner.core.records.summary import (
    GROUP_LIMIT,
    summarize,
)
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.reasons import Code, Earlier, cause_of


def record(
    outcome: Outcome = Outcome.TRANSFERRED,
    *,
    key: str = "k",
    reason: str | None = None,
    latency_ms: float | None = None,
    media: tuple[int, ...] = (),
    callbacks: tuple[str, ...] = (),
) -> TransferRecord:
    return TransferRecord(
        key=key,
        source="m.yaml:9",
        interaction_id="i",
        destination_uri="tel:+15550100",
        wave=None,
        outcome=outcome,
        reason=reason,
        reason_code=None,
        message_id=None,
        media_requested={},
        media_negotiated=None,
        latency_ms=latency_ms,
        attempts=tuple(
            AttemptRecord(n, f"m{n}", 0.0, index) for n, index in enumerate(media, start=1)
        ),
        callbacks=tuple(CallbackRecord("crm", "w", outcome, state, 1) for state in callbacks),
    )


def test_nothing_is_counted_as_zeros_and_nulls():
    summary = summarize([], Figures()).to_json()
    assert summary == {
        "total": 0,
        "transferred": 0,
        "rejected": 0,
        "failed": 0,
        "skipped": 0,
        "in_doubt": 0,
        "unattempted": 0,
        "unchanged": 0,
        "attempts": 0,
        "retries": 0,
        "fallbacks": 0,
        "callbacks": {"delivered": 0, "failed": 0},
        "latency_ms": {"p50": None, "p90": None, "p99": None, "max": None},
        "rate": {
            "limit_per_s": None,
            "achieved_per_s": None,
            "peak_in_any_second": 0,
            "throttled": 0,
            "burst": None,
        },
    }


@given(st.lists(st.sampled_from(Outcome)))
def test_outcomes_always_add_up(outcomes: list[Outcome]):
    summary = summarize(map(record, outcomes), Figures())
    assert sum(summary.counts.values()) == summary.total == len(outcomes)
    assert summary.failures == sum(outcome.is_failure for outcome in outcomes)
    assert summary.not_begun == sum(not outcome.was_begun for outcome in outcomes)


@pytest.mark.parametrize(
    ("media", "retries", "fallbacks"),
    [
        ((), 0, 0),
        ((0,), 0, 0),
        ((0, 0, 0), 2, 0),
        ((0, 1), 0, 1),
        ((0, 0, 1, 1, 2), 2, 2),
        ((0, 2), 0, 1),
    ],
)
def test_retries_are_within_a_matrix_and_fallbacks_between(
    media: tuple[int, ...], retries: int, fallbacks: int
):
    summary = summarize([record(media=media)], Figures())
    assert (summary.attempts, summary.retries, summary.fallbacks) == (
        len(media),
        retries,
        fallbacks,
    )


def test_percentiles_are_latencies_that_were_measured():
    latencies = [float(n) for n in range(1, 101)]
    summary = summarize((record(latency_ms=value) for value in reversed(latencies)), Figures())
    assert summary.to_json()["latency_ms"] == {"p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0}


def test_latencies_are_rounded_to_microseconds():
    summary = summarize([record(latency_ms=1.23456789)], Figures(rate_achieved_per_s=9.87654))
    assert summary.to_json()["latency_ms"]["max"] == 1.235
    assert summary.to_json()["rate"]["achieved_per_s"] == 9.877


def test_a_callback_that_was_tried_in_vain_counts_as_failed_though_the_next_run_owes_it():
    transfers = [record(callbacks=("delivered", "failed", "pending", "suppressed", "delivered"))]
    untried = CallbackRecord("crm", "w", Outcome.TRANSFERRED, "pending", 0)
    transfers.append(transfers[0]._replace(callbacks=(untried,)))
    assert summarize(transfers, Figures()).to_json()["callbacks"] == {"delivered": 2, "failed": 2}


def test_reasons_are_grouped_and_doubt_comes_first():
    transfers = [
        record(Outcome.REJECTED, key="a", reason="no such queue"),
        record(Outcome.REJECTED, key="b", reason="closed"),
        record(Outcome.TRANSFERRED, key="c", reason="seen by destination"),
        record(Outcome.REJECTED, key="d", reason="closed"),
        record(Outcome.IN_DOUBT, key="e", reason=None),
    ]
    groups = summarize(transfers, Figures()).groups
    assert [(g.outcome, g.reason, g.count, g.first_key, g.keys) for g in groups] == [
        (Outcome.IN_DOUBT, None, 1, "e", ("e",)),
        (Outcome.REJECTED, "closed", 2, "b", ("b", "d")),
        (Outcome.REJECTED, "no such queue", 1, "a", ("a",)),
    ]


def test_a_gateway_that_words_every_refusal_anew_does_not_fill_the_memory():
    count = GROUP_LIMIT + 50
    transfers = (record(Outcome.REJECTED, reason=f"refusal {n}") for n in range(count))
    groups = summarize(transfers, Figures()).groups
    assert len(groups) == GROUP_LIMIT + 1
    assert (groups[0].code, groups[0].reason, groups[0].count) == (
        Code.OTHER_REASONS,
        "other reasons",
        50,
    )


def doubt(n: int, *, source: str | None = None, words: str = "no reply within 10 s"):
    transfer = record(Outcome.IN_DOUBT, key=f"k{n}", reason=words)
    return transfer._replace(
        source=source or f"m.yaml:{n}",
        reason_code=Code.NO_REPLY,
        earlier=Earlier(f"run-{n}", "night", f"k{n}"),
    )


def test_doubts_of_one_cause_are_one_group_whatever_runs_they_are_of():
    (group,) = summarize(map(doubt, range(37)), Figures()).groups
    assert (group.code, group.reason, group.count) == ("no_reply", "no reply within 10 s", 37)
    assert group.names == ("m.yaml:0", "m.yaml:1", "m.yaml:2")


def test_a_group_whose_words_differ_is_called_by_its_cause():
    doubts = [doubt(1), doubt(2, words="no reply within 30 s")]
    (group,) = summarize(doubts, Figures()).groups
    assert (group.reason, group.count) == ("no reply came in time", 2)


def test_what_one_place_selected_is_named_by_its_keys():
    (group,) = summarize((doubt(n, source="m.yaml:20") for n in range(37)), Figures()).groups
    assert group.names == ("k0", "k1", "k2")
    assert group.examples == ("m.yaml:20",) * 3


def test_a_gateways_words_are_a_cause_each():
    said = [
        record(Outcome.REJECTED, reason=words)._replace(reason_code="transfer_rejected")
        for words in ("queue full", "closed", "queue full")
    ]
    groups = summarize(said, Figures()).groups
    assert {(group.reason, group.count) for group in groups} == {("queue full", 2), ("closed", 1)}


@pytest.mark.parametrize(
    ("records", "nothing"),
    [
        ([], True),
        ([record(Outcome.SKIPPED), record(Outcome.UNCHANGED)], True),
        ([record()], False),
        ([record(Outcome.IN_DOUBT)], False),
        ([record(Outcome.UNATTEMPTED)], False),
        ([record(Outcome.UNATTEMPTED)._replace(reason_code=Code.NOT_SELECTED)], True),
        ([record(Outcome.SKIPPED, media=(0,))], False),
    ],
)
def test_a_run_finds_nothing_to_do_where_nothing_is_delivered_settled_or_left(
    records: list[TransferRecord], *, nothing: bool
):
    assert summarize(records, Figures()).found_nothing is nothing


def test_a_groups_cause_is_named_by_its_code():
    left = record(Outcome.UNATTEMPTED, reason="x")._replace(reason_code=Code.NOT_SELECTED)
    (group,) = summarize([left], Figures()).groups
    assert group.cause == cause_of(Code.NOT_SELECTED, "x")
