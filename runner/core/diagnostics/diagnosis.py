"""What `doctor` finds, as values: each check, what was seen, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from runner.core.transfer.doubt_evidence import CLOCK_MARGIN_S


class Health(StrEnum):
    """How a check went. `skipped`: it could not be tried, because of an earlier one."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, how it went, what was seen, and what to do where it did not go well."""

    name: str
    health: Health
    seen: str
    fix: str | None = None


SOON_DAYS = 14.0
"""A certificate that ends sooner is worth a word before a change window."""


def is_well(checks: Iterable[Check]) -> bool:
    """Return whether nothing failed; warnings are no failures."""
    return all(check.health is not Health.FAILED for check in checks)


def check_certificate(name: str, version: str, subject: str, days_left: float) -> Check:
    """Judge a connection whose certificate has been verified already."""
    seen = f"{version}, certificate of {subject}, ends in {days_left:.0f} days"
    if days_left < SOON_DAYS:
        return Check(name, Health.WARNING, seen, "have the certificate renewed in time")
    return Check(name, Health.OK, seen)


def check_clock(gateway_s: float | None, local_s: float) -> Check:
    """Judge how far this machine's clock is from the gateway's, both in seconds since the epoch.

    The gateway's `Date` has whole seconds. Messages carry our time, and fences are waited for by
    both clocks (recovery.md, "In doubt").
    """
    if gateway_s is None:
        return Check(
            "clock",
            Health.WARNING,
            "the gateway's answers tell no Date",
            "a promise `expires` could not be relied upon: doubts would stay for a person",
        )
    skew_s = local_s - gateway_s
    if abs(skew_s) <= CLOCK_MARGIN_S:
        return Check("clock", Health.OK, f"within {CLOCK_MARGIN_S:.0f} s of the gateway's")
    where = "ahead of" if skew_s > 0 else "behind"
    return Check(
        "clock",
        Health.WARNING,
        f"{abs(skew_s):.0f} s {where} the gateway's",
        "set this machine's clock (NTP): messages carry its time, and `expires` is judged by it",
    )


@dataclass(frozen=True, slots=True)
class Permission:
    """What a client must be allowed to do: any one of `names`, and what it is needed for."""

    needed_for: str
    names: tuple[str, ...]  # such as `conversation:communication:view`


def check_permissions(needed: Collection[Permission], had: Collection[str]) -> Check:
    """Judge a client's permissions; those had may have `*` for any part."""
    missing = [
        each for each in needed if not any(_covers(one, name) for one in had for name in each.names)
    ]
    if not missing:
        return Check("permissions", Health.OK, f"all {len(needed)} that this manifest needs")
    named = ", ".join(f"{' or '.join(each.names)} ({each.needed_for})" for each in missing)
    return Check(
        "permissions",
        Health.FAILED,
        f"missing: {named}",
        "have them added to a role of the OAuth client, in the divisions of the queues concerned",
    )


def _covers(had: str, needed: str) -> bool:
    ours, theirs = needed.split(":"), had.split(":")
    return len(ours) == len(theirs) and all(
        there in {here, "*"} for here, there in zip(ours, theirs, strict=True)
    )


def check_allowance(headers: Mapping[str, str], rate_per_s: float | None) -> Check:
    """Tell what the gateway's rate headers say beside the manifest's `http_rate`."""
    ours = "none" if rate_per_s is None else f"{rate_per_s * 60:.0f}/min"
    limits = {name: headers.get(f"inin-ratelimit-{name}") for name in ("count", "allowed", "reset")}
    allowed = limits["allowed"]
    if allowed is None or not allowed.isdecimal():
        return Check("rate", Health.OK, f"`http_rate` is {ours}; the gateway's answers tell none")
    seen = f"`http_rate` is {ours}; the gateway allows {allowed} a minute, {limits['count']} used"
    if rate_per_s is None or rate_per_s * 60 > int(allowed):
        fix = f"nothing to do: the runner keeps to {allowed} by itself; other integrations may use it too"
        return Check("rate", Health.WARNING, seen, fix)
    return Check("rate", Health.OK, seen)
