"""Prepares the windows of a run or a plan for the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from runner.core.frozen import frozen
from runner.core.records.run_record import OpeningRecord, RunWindows, WindowRecord
from runner.report.model import Content

_FULL, _WEEK = "%a %Y-%m-%d %H:%M", 7


@frozen
class ShownWindows:
    """What the page says of windows."""

    texts: tuple[str, ...]
    zone: str | None
    openings: tuple[tuple[str, str], ...]  # in the zone's time, and in UTC


def windows(content: Content) -> ShownWindows | None:
    """Return when frames may leave; None: at any time, or it is not known."""
    plan, run = content.source.plan, content.source.run.windows
    if plan is not None:
        if plan.window is None and plan.zone is None:
            return None
        return ShownWindows(tuple(_dated(plan.window)), plan.zone, _shown(plan.openings))
    if run is None:
        return None
    return ShownWindows((*_closed(run), *_dated(run.window)), run.zone, _shown(run.openings))


def _closed(run: RunWindows) -> Iterator[str]:
    if run.closed_at is None:
        return
    zone = f" {run.zone}" if run.zone else ""
    utc = "" if run.zone == "UTC" else f" ({_moment(run.closed_at_utc)} UTC)"
    yield f"The window closed while the run went on: {_moment(run.closed_at)}{zone}{utc}."


def _dated(window: WindowRecord | None) -> Iterator[str]:
    if window is None:
        return
    begins = f" from {window.not_before}" if window.not_before else ""
    ends = f" until {window.not_after}" if window.not_after else ""
    yield f"Nothing is sent but{begins}{ends} (policy.window)."


def _shown(openings: Sequence[OpeningRecord]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (_span(each.opens, each.closes), _span(each.opens_utc, each.closes_utc))
        for each in openings
    )


def _span(opens: str, closes: str | None) -> str:
    """Return an opening as `Wed 2026-12-02 22:00` to `Thu 04:00`, as its zone's clocks show it."""
    if closes is None:
        return f"{_moment(opens)}, and from then on"
    try:
        days = (datetime.fromisoformat(closes).date() - datetime.fromisoformat(opens).date()).days
    except ValueError:  # a journal that was changed
        days = _WEEK
    form = "%H:%M" if days == 0 else "%a %H:%M" if days < _WEEK else _FULL
    return f"{_moment(opens)} \N{EN DASH} {_moment(closes, form)}"


def _moment(text: str | None, form: str = _FULL) -> str:
    """Return a time as `Wed 2026-12-02 22:00`, as its own zone's clocks show it."""
    try:
        return "" if text is None else format(datetime.fromisoformat(text), form)
    except ValueError:
        return text or ""
