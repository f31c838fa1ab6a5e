"""Renders a comparison of two runs, as text and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from runner.console.log.redaction import redact
from runner.console.results.document import document
from runner.console.terminal_text import Paint, shorten, shorten_apart, visible
from runner.core.number_text import duration, figure
from runner.core.records.comparison import (
    Change,
    ChangeKind,
    ComparedRun,
    ComparedTransfer,
    Comparison,
    Difference,
)
from runner.core.transfer.outcome import Outcome

REASON_LIMIT = 80
NONE = "-"

FigureRow = tuple[str, str, str, str]
"""A figure's name, its value before and after, and the change."""


def compared_to_json(compared: Comparison) -> str:
    """Return the comparison as one JSON document, in ASCII."""
    fields = {
        "before": _side(compared.before),
        "after": _side(compared.after),
        "alike": compared.alike,
        "changes": [_change(change) for change in compared.changes],
        "warnings": list(compared.warnings),
    }
    return document("comparison", fields)


def render_compared(compared: Comparison, *, color: bool = False) -> str:
    """Return the comparison as text."""
    paint = Paint(color)
    lines = [
        f"before  {_headline(compared.before, paint)}",
        f"after   {_headline(compared.after, paint)}",
        *(f"{paint.yellow('warning')}: {visible(warning)}" for warning in compared.warnings),
        "",
        *_table(list(figure_rows(compared))),
        "",
        paint.bold("transfer by transfer"),
    ]
    for change in compared.changes:
        lines += _change_lines(change, paint)
    lines.append(f"  {compared.alike:,} as before")
    return "\n".join(lines) + "\n"


def figure_rows(compared: Comparison) -> Iterator[FigureRow]:
    """Yield the figures that at least one run has."""
    before, after = compared.before.summary, compared.after.summary
    yield _number("total", before.total, after.total)
    for outcome in Outcome:
        counts = before.counts[outcome], after.counts[outcome]
        if any(counts):
            yield _number(outcome.words, *counts)
    yield _number("deliveries", before.attempts, after.attempts)
    took_s = compared.before.duration_s, compared.after.duration_s
    yield _measured("duration", *took_s, shown=duration)
    for name in ("p50", "p90", "p99"):
        latencies: tuple[float | None, float | None]
        latencies = getattr(before.latency, name), getattr(after.latency, name)
        if latencies != (None, None):
            yield _measured(f"latency {name}", *latencies, shown=_milliseconds)
    rates = before.figures.rate_achieved_per_s, after.figures.rate_achieved_per_s
    if rates != (None, None):
        yield _measured("rate", *rates, shown=_rate)


def change_in_words(change: Change) -> str:
    """Return `rejected, now transferred`, `newly listed: skipped`."""
    before, after = (None if o is None else o.words for o in (change.before, change.after))
    match change.kind:
        case ChangeKind.LISTED:
            return f"newly listed: {after}"
        case ChangeKind.UNLISTED:
            return f"no longer listed: {before}"
        case ChangeKind.TARGET:
            return f"{after} as before, of another interaction or to another destination"
    note = ", for an earlier run carried them out" if change.expected else ""
    return f"{before}, now {after}{note}"


def _headline(side: ComparedRun, paint: Paint) -> str:
    run = side.run
    return f"{paint.bold(visible(run.id))}  {visible(run.outcome)}  batch {visible(run.batch)}"


def _table(rows: list[FigureRow]) -> Iterator[str]:
    rows = [("", "before", "after", ""), *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for name, *cells in rows:
        columns = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        yield f"  {name:<{widths[0]}}  {'  '.join(columns)}".rstrip()


def _change_lines(change: Change, paint: Paint) -> Iterator[str]:
    yield f"  {change.count:,} {change_in_words(change)}"
    if change.expected:
        return
    for example in change.examples:
        yield paint.faint(f"      {visible(example.key)}{_why(change, example)}")
    if (rest := change.count - len(change.examples)) > 0:
        yield paint.faint(f"      and {rest:,} more")


def _why(change: Change, example: Difference) -> str:
    before, after = example.before, example.after
    if change.kind is ChangeKind.TARGET and before is not None and after is not None:
        moves = [f"{side.interaction_id} to {side.destination_uri}" for side in (before, after)]
        return f": {', now '.join(shorten_apart(moves, REASON_LIMIT))}"
    side = after or before
    reason = None if side is None else side.reason
    return f": {shorten(redact(reason), REASON_LIMIT)}" if reason else ""


def _number(name: str, before: int, after: int) -> FigureRow:
    return name, f"{before:,}", f"{after:,}", f"{after - before:+,}" if after != before else ""


def _measured(
    name: str, before: float | None, after: float | None, *, shown: Callable[[float], str]
) -> FigureRow:
    first, second = (NONE if value is None else shown(value) for value in (before, after))
    return name, first, second, _share(before, after)


def _milliseconds(value: float) -> str:
    return f"{figure(value)} ms"


def _rate(value: float) -> str:
    return f"{figure(value)}/s"


def _share(before: float | None, after: float | None) -> str:
    if not before or after is None:
        return ""
    return f"{round(100 * (after - before) / before):+d} %"


def _side(side: ComparedRun) -> dict[str, Any]:
    run = side.run
    return {
        "run": run.id,
        "batch": run.batch,
        "outcome": run.outcome,
        "exit_code": run.exit_code,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "duration_s": side.duration_s,
        "summary": side.summary.to_json(),
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind.value,
        "before": change.before,
        "after": change.after,
        "count": change.count,
        "examples": [
            {"key": each.key, "before": _transfer(each.before), "after": _transfer(each.after)}
            for each in change.examples
        ],
    }


def _transfer(transfer: ComparedTransfer | None) -> dict[str, Any] | None:
    if transfer is None:
        return None
    return {
        "outcome": transfer.outcome.value,
        "reason": redact(transfer.reason or "") or None,
        "interaction_id": transfer.interaction_id,
        "destination_uri": transfer.destination_uri,
    }
