"""How what `doctor` sees is judged."""

from __future__ import annotations

import pytest

from runner.core.diagnostics.diagnosis import (
    Check,
    Health,
    Permission,
    check_allowance,
    check_certificate,
    check_clock,
    check_permissions,
    is_well,
)

NEEDED = (Permission("looking interactions up", ("conversation:communication:view",)),)


@pytest.mark.parametrize(
    ("gateway_s", "health", "seen"),
    [
        (100.0, Health.OK, "within 2 s of the gateway's"),
        (98.0, Health.OK, "within 2 s of the gateway's"),
        (90.0, Health.WARNING, "10 s ahead of the gateway's"),
        (130.0, Health.WARNING, "30 s behind the gateway's"),
        (None, Health.WARNING, "the gateway's answers have no Date"),
    ],
)
def test_a_clock_is_judged_by_the_gateways(gateway_s: float | None, health: Health, seen: str):
    check = check_clock(gateway_s, 100.0)
    assert (check.health, check.seen) == (health, seen)


@pytest.mark.parametrize(("days", "health"), [(90.0, Health.OK), (3.4, Health.WARNING)])
def test_a_certificate_that_ends_soon_is_worth_a_word(days: float, health: Health):
    check = check_certificate("TLS a:443", "TLSv1.3", "a.example", days)
    assert check.health is health
    assert check.seen == f"TLSv1.3, certificate of a.example, ends in {days:.0f} days"


@pytest.mark.parametrize(
    ("had", "health"),
    [
        ({"conversation:communication:view"}, Health.OK),
        ({"conversation:*:view"}, Health.OK),
        ({"*:*:*"}, Health.OK),
        ({"conversation:communication:edit", "conversation:view"}, Health.FAILED),
        (set(), Health.FAILED),
    ],
)
def test_permissions_may_be_wild(had: set[str], health: Health):
    assert check_permissions(NEEDED, had).health is health


def test_one_of_several_permissions_is_enough():
    either = (Permission("moving them", ("a:b:move", "a:b:moveQueue")),)
    assert check_permissions(either, {"a:b:moveQueue"}).health is Health.OK
    assert check_permissions(either, ()).seen == "missing: a:b:move or a:b:moveQueue (moving them)"


def test_what_is_missing_is_named_with_what_it_is_for():
    check = check_permissions(NEEDED, ())
    assert check.seen == ("missing: conversation:communication:view (looking interactions up)")


@pytest.mark.parametrize(
    ("headers", "rate_per_s", "health", "seen"),
    [
        ({}, None, Health.OK, "`http_rate` is none; the gateway's answers name none"),
        (
            {"inin-ratelimit-allowed": "300", "inin-ratelimit-count": "12"},
            5.0,
            Health.OK,
            "`http_rate` is 300/min; the gateway allows 300 a minute, 12 used",
        ),
        (
            {"inin-ratelimit-allowed": "180", "inin-ratelimit-count": "1"},
            5.0,
            Health.WARNING,
            "`http_rate` is 300/min; the gateway allows 180 a minute, 1 used",
        ),
        (
            {"inin-ratelimit-allowed": "many"},
            5.0,
            Health.OK,
            "`http_rate` is 300/min; the gateway's answers name none",
        ),
    ],
)
def test_an_allowance_is_held_against_the_manifest(
    headers: dict[str, str], rate_per_s: float | None, health: Health, seen: str
):
    check = check_allowance(headers, rate_per_s)
    assert (check.health, check.seen) == (health, seen)


def test_warnings_and_skips_are_no_failures():
    assert is_well([Check("a", Health.WARNING, "x"), Check("b", Health.SKIPPED, "y")])
    assert not is_well([Check("a", Health.FAILED, "x")])
