"""Checks the policy and builds it as frozen values; defaults are those of `Policy`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from runner.core.diagnostics.problem import Place, Problem
from runner.core.gates import UNCONDITIONAL, WaveConditions
from runner.core.manifest.dated_window import Moment, Window, parse_moment
from runner.core.manifest.model import Environment, Policy, RetryPolicy
from runner.core.manifest.policy_rules import (
    ASSUMED_REPLY_S,
    check_ending,
    check_waves,
    check_window,
    check_windows,
)
from runner.core.manifest.quantity import Amount, parse_amount, parse_duration
from runner.core.manifest.recurring_window import WindowRule, Windows, parse_span
from runner.core.manifest.rules import Finding
from runner.core.pacing.circuit_breaker import BreakerPolicy
from runner.core.pacing.destination_times import slowest_destination
from runner.core.pacing.waves import pauses_s
from runner.manifest.problem_collector import Collector
from runner.manifest.schema.check import Document
from runner.manifest.sections.approvals import build_approvals
from runner.manifest.sections.destinations import build_destinations
from runner.manifest.suggestions import nearest


def check_policy(document: Document, problems: Collector, *, now_s: float) -> None:
    """Add the problems of waits, waves and window that the schema cannot express."""
    policy = document.section("policy")
    _check_retry(document, policy.get("retry", {}), problems)
    waves = tuple(map(_size, policy.get("waves", ())))
    _check_pauses(document, policy, problems)
    _add(problems, document, policy, "waves", check_waves(waves))
    window = _checked_window(document, policy, problems)
    if window is not None:
        _add(problems, document, policy, "window", check_window(window, now_s=now_s))
    is_sound = [_is_rule(document, rule, problems) for rule in policy.get("windows", ())]
    if is_sound and all(is_sound) and math.isfinite(now_s):
        windows = Windows(tuple(map(_rule, policy["windows"])))
        _add(problems, document, policy, "windows", check_windows(windows, now_s=now_s))


def check_policy_ends(
    document: Document,
    environment: Environment,
    problems: Collector,
    *,
    rows: int,
    sends_to: Callable[[], Mapping[str, int]],
    now_s: float,
) -> None:
    """Add a warning where `rows` transfers cannot be sent while the windows are open next (R011).

    `sends_to` returns how many of them go to each destination, at the least.
    """
    policy, destinations = build_policy(document), build_destinations(document)
    span = policy.next_span(now_s) if policy.window or policy.windows else None
    if span is None or span.not_after is None:
        return
    is_dated = policy.window is not None and span.not_after == policy.window.not_after
    found = check_ending(
        span,
        sends=rows,
        limits=environment.limits,
        requests_each=environment.requests_each(preflight=policy.preflight),
        now_s=now_s,
        max_failures=policy.max_failures,
        pauses_s=pauses_s(policy.waves, policy.wave_conditions, rows),
        slowest=slowest_destination(sends_to(), destinations, reply_s=ASSUMED_REPLY_S)
        if destinations
        else None,
        part=("not_after",) if is_dated else (),
    )
    field = "window" if is_dated else "windows"
    _add(problems, document, document.section("policy"), field, found)


def _add(
    problems: Collector,
    document: Document,
    policy: Mapping[str, Any],
    field: str,
    findings: Iterable[Finding],
) -> None:
    for found in findings:
        place = document.where(policy, field, *found.part)
        problems.add(Problem(found.code, found.message, place, found.help, found.severity))


def _check_retry(document: Document, written: Mapping[str, Any], problems: Collector) -> None:
    """Add a base that is longer than the cap.

    A `cap` below the default base is allowed: every wait is then as long as `cap`.
    """
    retry = _retry(written)
    if "base" not in written or retry.base_s <= retry.cap_s:
        return
    by_default = "" if "cap" in written else " by default"
    message = f"`cap` is {retry.cap_s:g} s{by_default}, shorter than `base`, {retry.base_s:g} s"
    fix = "write a shorter `base` or a longer `cap`"
    place = document.where(written, "cap" if "cap" in written else "base")
    problems.add(Problem("S006", message, place, fix))


def _checked_window(
    document: Document, policy: Mapping[str, Any], problems: Collector
) -> Window | None:
    """Return the window, or None after adding invalid times."""
    written = policy.get("window")
    if written is None:
        return None
    places = {field: document.where(written, field) for field in written}
    faulty = [field for field in written if not _is_moment(written[field], places[field], problems)]
    return None if faulty else _window(written)


def _is_moment(text: str, place: Place, problems: Collector) -> bool:
    try:
        parse_moment(text)
    except ValueError:
        message = f"`{text}` is not a valid date and time"
        fix = "check day, hour and offset; write for example 2026-12-01T22:00:00+01:00"
        problems.add(Problem("S005", message, place, fix))
        return False
    return True


def _is_rule(document: Document, written: Mapping[str, str], problems: Collector) -> bool:
    """Return whether an entry of `windows` can be built, after adding what is wrong with it."""
    faults = problems.found
    kinds = [kind for kind in ("allow", "deny") if kind in written]
    if len(kinds) > 1:
        place = document.where(written, "deny")
        fix = "write two entries, one with `allow` and one with `deny`"
        problems.add(Problem("S012", "a window either allows or denies", place, fix))
    for kind in kinds:
        try:
            parse_span(written[kind])
        except ValueError as error:
            message, _, fix = str(error).partition("; ")
            problems.add(Problem("S005", message, document.where(written, kind), fix))
    zone = written["zone"]
    if not _has_zone(zone):
        near = nearest(zone, sorted(available_timezones()))
        fix = f"did you mean `{near}`?" if near else "write such as `Europe/Amsterdam`"
        message = f"unknown time zone `{zone}`"
        problems.add(Problem("S005", message, document.where(written, "zone"), fix))
    return bool(kinds) and problems.found == faults


def _has_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return False
    return True


def _rule(written: Mapping[str, str]) -> WindowRule:
    allows = "allow" in written
    text = written["allow" if allows else "deny"]
    return WindowRule(allows, parse_span(text), ZoneInfo(written["zone"]), text)


def build_policy(document: Document) -> Policy:
    """Return the policy; the schema has accepted it."""
    absent, policy = Policy(), document.section("policy")
    return Policy(
        preflight=policy.get("preflight", absent.preflight),
        negotiation_timeout_s=_seconds(policy, "negotiation_timeout", absent.negotiation_timeout_s),
        outcome_timeout_s=_seconds(policy, "outcome_timeout", absent.outcome_timeout_s),
        retry=_retry(policy.get("retry", {})),
        circuit_breaker=_breaker(policy.get("circuit_breaker", {})),
        waves=tuple(map(_size, policy.get("waves", ()))),
        wave_conditions=_conditions(policy.get("waves", ())),
        answer_timeout_s=_seconds(policy, "answer_timeout", absent.answer_timeout_s),
        control_group=policy.get("control_group"),
        max_failures=_amount(policy["max_failures"]) if "max_failures" in policy else None,
        window=_window(policy["window"]) if "window" in policy else None,
        windows=Windows(tuple(map(_rule, policy.get("windows", ())))),
        approvals=build_approvals(document),
    )


def _amount(written: float | str) -> Amount:
    """Return a count or a share; the schema accepts `5.0` as a whole number too."""
    return parse_amount(written) if isinstance(written, str) else int(written)


def _size(written: Any) -> Amount:
    return _amount(written["size"] if isinstance(written, Mapping) else written)


def _conditions(waves: Iterable[Any]) -> tuple[WaveConditions, ...]:
    """Return what stands before each wave; empty if nothing stands before any."""
    found = tuple(
        WaveConditions(
            parse_duration(wave["pause"]) if "pause" in wave else 0.0,
            tuple(wave.get("gates", ())),
            confirm=wave.get("confirm", False),
        )
        if isinstance(wave, Mapping)
        else UNCONDITIONAL
        for wave in waves
    )
    return found if any(found) else ()


def _check_pauses(document: Document, policy: Mapping[str, Any], problems: Collector) -> None:
    """Add pauses that are as long as `answer_timeout`, after which the run would end."""
    longest_s = _seconds(policy, "answer_timeout", Policy().answer_timeout_s)
    for wave in policy.get("waves", ()):
        if not isinstance(wave, Mapping) or "pause" not in wave:
            continue
        if (pause_s := parse_duration(wave["pause"])) >= longest_s:
            message = (
                f"`pause` is {pause_s:g} s, not shorter than `answer_timeout`, {longest_s:g} s"
            )
            fix = "write a shorter `pause` or a longer `answer_timeout`"
            problems.add(Problem("S006", message, document.where(wave, "pause"), fix))


def _window(written: Mapping[str, str]) -> Window:
    return Window(_moment(written.get("not_before")), _moment(written.get("not_after")))


def _moment(text: str | None) -> Moment | None:
    return None if text is None else parse_moment(text)


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
