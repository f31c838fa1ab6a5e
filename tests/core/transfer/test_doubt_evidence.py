"""When a doubt is over, and when its delivery may be repeated (recovery.md, "In doubt")."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.transfer.doubt_evidence import (
    CLOCK_MARGIN_S,
    DEDUPE_SHARE,
    Baseline,
    Dedupes,
    Evidence,
    Expires,
    SendClocks,
    fence_is_over,
    repeatable_for_s,
    weigh,
)
from runner.core.transfer.lookup_verdict import Arrival, Interaction

HERE, BEFORE = "genesys://queue/here", "genesys://queue/before"
KEPT = Dedupes(600.0)
SENT = SendClocks(timestamp_s=1000.0, boot="boot", uptime_s=50.0, gateway_date_s=990.0)


def seen(**fields: object) -> Interaction:
    plain: dict[str, object] = {"state": "active", "destination_uri": BEFORE}
    return Interaction("i", found=True, **{**plain, **fields})  # type: ignore[arg-type]


def weighed(now: Interaction, baseline: Baseline | None) -> tuple[Evidence, str]:
    return weigh(now, baseline=baseline, destination_uri=HERE, message_ids={"m1"})


@pytest.mark.parametrize("evidence", Evidence)
def test_every_finding_has_a_cause_of_its_own(evidence: Evidence):
    assert [each.code for each in Evidence].count(evidence.code) == 1


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (Interaction("i", found=False), "the interaction is not found any more"),
        (seen(refusal="not shown to this client"), "not shown to this client"),
        (seen(state="completed"), "ended; by whom is not known (completed)"),
        (seen(), "nothing is known of it before the delivery"),
    ],
)
def test_what_shows_nothing_of_ours_proves_nothing(now: Interaction, reason: str):
    assert weighed(now, None) == (Evidence.INCONCLUSIVE, reason)


def test_our_id_counts_whatever_else_is_seen():
    gone = seen(state="completed", last_transfer_id="m1", refusal="hidden")
    assert weighed(gone, None) == (Evidence.CARRIED_OUT, "seen by its id")


def test_an_arrival_that_came_since_counts_though_the_interaction_ended():
    before = Baseline.of(seen())
    there = Arrival("a1", HERE, True)  # noqa: FBT003 - done
    assert weighed(seen(state="completed", arrivals=(there,)), before) == (
        Evidence.CARRIED_OUT,
        "seen by its arrival",
    )


def test_the_journal_keeps_every_clock():
    assert SendClocks(**json.loads(json.dumps(SENT.to_json()))) == SENT


@given(st.floats(0, 1e4), st.none() | st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0.1, 1e3))
def test_the_fence_is_over_once_both_clocks_have_passed_it(
    sent_s: float, date_s: float | None, passed_s: float, expires_s: float
):
    promise = Expires(expires_s)
    sent = SendClocks(sent_s, None, None, None)
    is_over = fence_is_over(promise, sent, gateway_date_s=date_s, passed_s=passed_s)
    assert is_over == (
        date_s is not None and passed_s >= promise.fence_s and date_s > sent_s + promise.fence_s
    )


def left_s(sent: SendClocks, *, boot: str | None, uptime_s: float, date_s: float | None) -> float:
    return repeatable_for_s(KEPT, sent, boot=boot, uptime_s=uptime_s, gateway_date_s=date_s)


@pytest.mark.parametrize(
    ("sent", "boot", "uptime_s", "date_s", "age_s"),
    [
        (SENT, "boot", 60.0, 991.0, 10.0),  # this machine says more
        (SENT, "boot", 60.0, 1090.0, 100.0 + CLOCK_MARGIN_S),  # the gateway does
        (SENT._replace(gateway_date_s=None), "boot", 60.0, 1100.0, 100.0 + CLOCK_MARGIN_S),
        (SENT, "later", 3.0, 1090.0, 100.0),
        (SENT._replace(uptime_s=None), "boot", 60.0, 1090.0, 100.0),
        (SENT, None, 60.0, 1090.0, 100.0),
    ],
)
def test_a_delivery_is_as_old_as_the_clock_that_says_most(
    sent: SendClocks, boot: str | None, uptime_s: float, date_s: float, age_s: float
):
    assert left_s(sent, boot=boot, uptime_s=uptime_s, date_s=date_s) == pytest.approx(
        600 * DEDUPE_SHARE - age_s
    )


@pytest.mark.parametrize(
    ("sent", "boot", "uptime_s", "date_s"),
    [
        (SENT, "boot", 60.0, None),  # the gateway's clock is unknown
        (SENT, "boot", 49.0, 1090.0),  # this machine's ran backwards
        (SENT, "later", 3.0, 989.0),  # the gateway's did
        (SENT._replace(gateway_date_s=None), "later", 3.0, 1090.0),  # nothing to compare with
    ],
)
def test_an_unknown_age_is_too_old(
    sent: SendClocks, boot: str, uptime_s: float, date_s: float | None
):
    assert left_s(sent, boot=boot, uptime_s=uptime_s, date_s=date_s) == -math.inf


@given(st.floats(0, 2000))
def test_it_may_be_repeated_while_the_gateway_surely_knows_its_id(age_s: float):
    left = left_s(SENT, boot="later", uptime_s=1.0, date_s=990.0 + age_s)
    assert left < 0 or age_s <= 600
