"""The checks of `doctor` as values: what was seen, its health, and the fix."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

from runner.core.frozen import frozen
from runner.core.number_text import counted
from runner.core.transfer.doubt_evidence import CLOCK_MARGIN_S


class Health(StrEnum):
    """Result of a check. `skipped`: an earlier failure made it impossible."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@frozen
class Check:
    """One check: its name, health, what was seen, and the fix if it is needed."""

    name: str
    health: Health
    seen: str
    fix: str | None = None


SOON_DAYS = 14.0
"""A certificate that ends sooner gets a warning."""


def is_well(checks: Iterable[Check]) -> bool:
    """Return whether no check failed; warnings are not failures."""
    return all(check.health is not Health.FAILED for check in checks)


def check_certificate(name: str, version: str, subject: str, days_left: float) -> Check:
    """Check a verified certificate's remaining days."""
    seen = f"{version}, certificate of {subject}, ends in {counted(round(days_left), 'day')}"
    if days_left < SOON_DAYS:
        return Check(name, Health.WARNING, seen, "renew the certificate in time")
    return Check(name, Health.OK, seen)


def check_clock(gateway_s: float | None, local_s: float) -> Check:
    """Check the difference of this machine's clock and the gateway's, in seconds since the epoch.

    The gateway's `Date` has whole seconds. Messages carry this machine's time, and waits for a fence
    use both clocks (recovery.md, "In doubt").
    """
    if gateway_s is None:
        return Check(
            "clock",
            Health.WARNING,
            "the gateway's answers have no Date",
            "a promise `expires` could not be used: a person would have to settle doubts",
        )
    skew_s = local_s - gateway_s
    if abs(skew_s) <= CLOCK_MARGIN_S:
        return Check("clock", Health.OK, f"within {CLOCK_MARGIN_S:.0f} s of the gateway's")
    where = "ahead of" if skew_s > 0 else "behind"
    return Check(
        "clock",
        Health.WARNING,
        f"{abs(skew_s):.0f} s {where} the gateway's",
        "set this machine's clock (NTP): messages carry its time, and `expires` depends on it",
    )


@frozen
class Permission:
    """A permission that a client needs: any one of `names`, and its purpose."""

    needed_for: str
    names: tuple[str, ...]  # such as `conversation:communication:view`


def check_permissions(needed: Collection[Permission], granted: Collection[str]) -> Check:
    """Check a client's permissions; those granted may have `*` for any part."""
    missing = [
        each
        for each in needed
        if not any(_covers(one, name) for one in granted for name in each.names)
    ]
    if not missing:
        return Check("permissions", Health.OK, f"all {len(needed)} that this manifest needs")
    named = ", ".join(f"{' or '.join(each.names)} ({each.needed_for})" for each in missing)
    return Check(
        "permissions",
        Health.FAILED,
        f"missing: {named}",
        "add them to a role of the OAuth client, in the divisions of the queues concerned",
    )


def _covers(granted: str, needed: str) -> bool:
    ours, theirs = needed.split(":"), granted.split(":")
    return len(ours) == len(theirs) and all(
        there in {here, "*"} for here, there in zip(ours, theirs, strict=True)
    )


def check_allowance(headers: Mapping[str, str], rate_per_s: float | None) -> Check:
    """Compare the gateway's rate headers with the manifest's `http_rate`."""
    ours = "none" if rate_per_s is None else f"{rate_per_s * 60:.0f}/min"
    limits = {name: headers.get(f"inin-ratelimit-{name}") for name in ("count", "allowed", "reset")}
    allowed = limits["allowed"]
    if allowed is None or not allowed.isdecimal():
        return Check("rate", Health.OK, f"`http_rate` is {ours}; the gateway's answers name none")
    seen = f"`http_rate` is {ours}; the gateway allows {allowed} a minute, {limits['count']} used"
    if rate_per_s is None or rate_per_s * 60 > int(allowed):
        fix = f"nothing to do: runner keeps to {allowed} itself; other integrations may share this limit"
        return Check("rate", Health.WARNING, seen, fix)
    return Check("rate", Health.OK, seen)
