"""Prepares the page's figures, reasons and facts about the run, as text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from runner.core.diagnostics.advice import advice
from runner.core.frozen import frozen
from runner.core.number_text import counted, duration, figure, milliseconds, times
from runner.core.pacing.waves import of_it_pauses, wave_sizes
from runner.core.records.batch_progress import differences, done_so_far, previous_run
from runner.core.records.run_record import Figures, PlanFigures
from runner.core.records.summary import Summary
from runner.core.timestamps import seconds_or_none
from runner.core.transfer.reasons import Code
from runner.report.causes import cause_text
from runner.report.formats.json_document import plain
from runner.report.html.outcome_categories import categories, category_of_group
from runner.report.model import Content

GROUPS_SHOWN = 100
"""Most rows of the table of reasons."""

WAVES_NAMED = 6
"""Most waves whose sizes are listed."""

_DIED = "the run did not end"

Figure = tuple[str, str, str | None]
"""A figure's name, value and note."""


@frozen
class BarSegment:
    """A category's part of a bar, in percents of its width."""

    word: str
    style: str
    count: int
    x: float
    width: float


@frozen
class Reason:
    """A row of the table of reasons, with advice."""

    word: str
    style: str
    reason: str | None
    cause: str | None  # as in the rows
    places: str
    advice: tuple[str, ...]  # every second piece is code: a command, or a name in the manifest
    count: int
    kind: int
    is_one: bool  # False: several reasons in one, which cannot be filtered


def bar_segments(content: Content, counts: Mapping[int, int], whole: int) -> tuple[BarSegment, ...]:
    """Return the segments of a bar that stands for `whole` transfers."""
    found: list[BarSegment] = []
    x = 0.0
    for index, category in sorted(
        enumerate(categories(content)), key=lambda each: -each[1].urgency
    ):
        count = counts.get(index, 0)
        if count and whole:
            width = count / whole * 100
            found.append(BarSegment(category.word, category.style, count, x, width))
            x += width
    return tuple(found)


def percents(content: Content, counts: Mapping[int, int]) -> tuple[tuple[str, str, int, str], ...]:
    """Return each category's word, style, count and share, the good ones first."""
    parts = bar_segments(content, counts, content.summary.total)
    return tuple(
        (part.word, part.style, part.count, _percent(part.count, content.summary)) for part in parts
    )


def figures(content: Content) -> Iterator[Figure]:
    """Yield the figures of a run, or of a plan."""
    summary, measured = content.summary, content.source.figures
    if content.dry_run:
        yield from _plan_figures(content)
        if content.source.plan is not None:
            yield from _plan_schedule(content.source.plan)
        return
    yield "Deliveries", f"{summary.attempts:,}", _extra_deliveries(summary)
    yield "Latency, median", milliseconds(summary.latency.p50), _tail(summary)
    yield from _rates(measured)
    called, failed = summary.callbacks_delivered, summary.callbacks_failed
    if called or failed:
        yield "Callbacks delivered", f"{called:,}", f"{failed:,} failed"


def _rates(measured: Figures) -> Iterator[Figure]:
    if (peak := measured.peak_in_any_second) is None:
        yield "Rate achieved", "not known", _DIED
        yield "Peak in any second", "not known", _DIED
        return
    limit = promised_rate(measured)
    idle = limit is None and not measured.sessions_opened  # it never came to a limit
    allowed = "" if idle else f"limit {limit or 'none'}"
    yield "Rate achieved", _pace(measured.rate_achieved_per_s), allowed
    of = "" if limit is None else f"of {limit}; "
    yield "Peak in any second", f"{peak:,}", f"{of}{measured.throttled:,} rate-limit answers"


@frozen
class Progress:
    """What the run added to its batch, and where the batch stands."""

    previous: str
    differences: tuple[tuple[int, str], ...]
    so_far: str


def progress(content: Content) -> Progress | None:
    """Return what the run added to its batch; None for the batch's first run, and for a plan."""
    if (made := content.source.progress()) is None:
        return None
    summary = content.summary
    done = sum(number for outcome, number in summary.counts.items() if outcome.is_done)
    so_far = done_so_far(made, done, summary.total, summary.not_selected)
    return Progress(previous_run(made), tuple(differences(made)), so_far)


def reasons(content: Content) -> tuple[Reason, ...]:
    """Return the reasons of transfers that did not succeed, most urgent first, with advice."""
    found = []
    for group in content.summary.groups[:GROUPS_SHOWN]:
        index = category_of_group(content, group.outcome, group.code)
        category = categories(content)[index]
        more = group.count - len(group.names)
        places = ", ".join(group.names) + (f" and {more:,} more" if more > 0 else "")
        found.append(
            Reason(
                category.word,
                category.style,
                group.reason,
                cause_text(group.cause),
                places,
                _sentence(advice(group.outcome, group.code, group.status)),
                group.count,
                index,
                group.code != Code.OTHER_REASONS,
            )
        )
    return tuple(found)


def about(content: Content) -> Iterator[tuple[str, str]]:
    """Yield names and values of further facts about the run."""
    run = content.source.run
    yield "Manifest", run.manifest_path
    yield "Its SHA-256", run.manifest_sha256
    yield "Environment", f"{run.environment}: driver {run.driver}, gateway {run.gateway}"
    yield "Planned" if content.dry_run else "Started", run.started_at
    if not content.dry_run:
        yield "Finished", run.finished_at or "not yet"
    if run.duration_s is not None:
        yield "Duration", duration(run.duration_s)
    yield "By", f"{run.user} on {run.host}"
    if run.approvals:
        yield "Approved by", ", ".join(each.who for each in run.approvals)
    if (told := run.notifications) is not None:
        why = "; ".join(f"{each.to}, {each.event}: {each.why}" for each in told.failures)
        yield "Messages", f"{told.sent} sent, {told.failed} failed" + (f" ({why})" if why else "")
    code = "no exit code" if run.exit_code is None else f"exit code {int(run.exit_code)}"
    yield "Ended as", f"{run.outcome}, {code}"
    yield from ((f"Label {name}", str(value)) for name, value in run.labels.items())
    yield from ((f"Option {name}", _option(value)) for name, value in run.options.items())


def session(content: Content) -> str:
    """Return how often a session was opened, and its TLS."""
    measured = content.source.figures
    opened, renewals = measured.sessions_opened, measured.token_renewals
    if opened is None:
        return f"Not known: {_DIED}."
    if not opened:
        return "No session was opened."
    tls = measured.tls or "no TLS (a loopback address)"
    renewed = "not renewed" if not renewals else f"renewed {times(renewals)}"
    return f"Opened {times(opened)}, with {tls}; the token was {renewed}. Times are UTC."


def _sentence(text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(f"{text[0].upper()}{text[1:]}.".split("`"))


def promised_rate(measured: Figures) -> str | None:
    """Return the limit on frames in one second, with the burst; None: no limit."""
    if not measured.rate_limit_per_s:
        return None
    return _pace(measured.rate_limit_per_s) + (
        f" + {measured.burst:,} burst" if measured.burst else ""
    )


def _pace(rate_per_s: float | None) -> str:
    return figure(rate_per_s) if rate_per_s is None else f"{figure(rate_per_s)}/s"


def _percent(count: int, summary: Summary) -> str:
    """Return a percentage that is 0 % or 100 % only if it is exact."""
    per_mille = round(count / summary.total * 1000)
    if count < summary.total:
        per_mille = min(max(per_mille, 1), 999)
    return f"{per_mille / 10:.1f}".removesuffix(".0") + " %"


def _extra_deliveries(summary: Summary) -> str:
    retries = counted(summary.retries, "retry", "retries")
    return f"{retries}, {counted(summary.fallbacks, 'fallback')}"


def _tail(summary: Summary) -> str:
    latency = summary.latency
    return f"p99 {milliseconds(latency.p99)}, max {milliseconds(latency.max)}"


def _plan_figures(content: Content) -> Iterator[Figure]:
    """Yield a plan's duration, and its end if it began when it was planned."""
    if (plan := content.source.plan) is None or not plan.send:
        return
    if plan.estimate_s is None:
        yield "Would take", "unknown", "no limit gives a time"
        return
    yield (
        "Would take",
        duration(plan.estimate_s),
        f"at the limits of the manifest{of_it_pauses(plan.pauses_s)}",
    )
    planned_at = seconds_or_none(content.source.run.started_at)
    if planned_at is not None and plan.window is None and plan.ends_at is None:
        end = datetime.fromtimestamp(planned_at + plan.estimate_s, UTC)
        yield "Would end", f"{end:%H:%M:%S}", f"{end:%Y-%m-%d}, UTC, if it began as it was planned"


def _plan_schedule(plan: PlanFigures) -> Iterator[Figure]:
    """Yield a plan's waves, failure threshold and window."""
    if plan.waves:
        sizes = [f"{size:,}" for size in wave_sizes(plan.waves)]
        more = ["…"] if len(sizes) > WAVES_NAMED else []
        shown = ", ".join(sizes[:WAVES_NAMED] + more)
        yield "Waves", f"{len(sizes):,}", f"of {shown} transfers"
    if plan.max_failures is not None:
        at_once = f"; at most {plan.at_once:,} in flight" if plan.at_once is not None else ""
        yield (
            "Failures allowed",
            f"{plan.max_failures:,}",
            f"the run stops at the next one{at_once}",
        )
    begins, ends = (plan.window.not_before, plan.window.not_after) if plan.window else (None, None)
    span = " ".join(filter(None, (begins and f"from {begins}", ends and f"until {ends}")))
    if plan.ends_at is None:
        if plan.window is not None:
            yield "Window", "set", span
        return
    when = "after the window has closed" if plan.misses_window else "within the window"
    day, _, clock = plan.ends_at.partition("T")
    yield "Would end", clock, f"{day}, {when}{f' ({span})' if span else ''}"


def _option(value: Any) -> str:
    value = plain(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
