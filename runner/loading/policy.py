"""Turns the policy into frozen values; what is not written is as `Policy` has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.core.breaker import BreakerPolicy
from runner.core.manifest import Policy, RetryPolicy
from runner.core.problem import Problem
from runner.core.quantity import parse_duration
from runner.loading.collector import Collector
from runner.loading.schema import Document


def check_policy(document: Document, problems: Collector) -> None:
    """Add what is wrong with waits that the schema sees one by one.

    A `cap` below the base that nobody wrote is no mistake: every wait is then as long as `cap`.
    """
    written = document.section("policy").get("retry", {})
    retry = _retry(written)
    if "base" not in written or retry.base_s <= retry.cap_s:
        return
    by_default = "" if "cap" in written else " by default"
    message = f"`cap` is {retry.cap_s:g} s{by_default}, shorter than `base`, {retry.base_s:g} s"
    mend = "write a shorter `base` or a longer `cap`"
    place = document.where(written, "cap" if "cap" in written else "base")
    problems.add(Problem("S006", message, place, mend))


def build_policy(document: Document) -> Policy:
    """Return the policy that the schema has let through."""
    absent, policy = Policy(), document.section("policy")
    return Policy(
        preflight=policy.get("preflight", absent.preflight),
        negotiation_timeout_s=_seconds(policy, "negotiation_timeout", absent.negotiation_timeout_s),
        retry=_retry(policy.get("retry", {})),
        circuit_breaker=_breaker(policy.get("circuit_breaker", {})),
    )


def _retry(written: Mapping[str, Any]) -> RetryPolicy:
    absent = RetryPolicy()
    return RetryPolicy(
        attempts=int(written.get("attempts", absent.attempts)),
        base_s=_seconds(written, "base", absent.base_s),
        cap_s=_seconds(written, "cap", absent.cap_s),
    )


def _breaker(written: Mapping[str, Any]) -> BreakerPolicy:
    absent = BreakerPolicy()
    return BreakerPolicy(
        failures=int(written.get("failures", absent.failures)),
        cool_down_s=_seconds(written, "cool_down", absent.cool_down_s),
        give_up_s=_seconds(written, "give_up", absent.give_up_s),
    )


def _seconds(written: Mapping[str, Any], field: str, absent_s: float) -> float:
    return parse_duration(written[field]) if field in written else absent_s
