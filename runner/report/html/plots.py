"""Computes the page's plots as coordinates and paths; the templates draw them.

Coordinates are percentages of width and height (0 is the top), so that shapes scale with the page
while text keeps its size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from runner.core.number_text import duration, figure, milliseconds, times
from runner.core.records.latency import Latency, LatencyBin
from runner.core.records.run_record import TimelineEvent, TimelineEventKind, TimelinePoint

_TICKS = 5
_LEAST_DISTANCE = 0.8  # least distance of two marks of a kind, in percent of the width
_DECADE = (1, 2, 5)
_TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800)
_DAY_S = 86_400


class Tick(NamedTuple):
    """A labelled position on an axis, in percent."""

    at: float
    label: str


class Curve(NamedTuple):
    """One panel of the timeline: an area, lines, and the ticks of its axis."""

    area: str  # an SVG path in percents
    line: str  # the upper edge of the area
    second_line: str
    limit_line: str
    y_ticks: tuple[Tick, ...]


class Mark(NamedTuple):
    """An interval of the timeline with an event, in percent of its width."""

    kind: str  # lost | slowed | renewed | paused | wave | decision | gate
    x: float
    width: float
    caption: str


class TimelinePlot(NamedTuple):
    """The timeline: frames sent and transfers settled per second above, frames in flight below."""

    pace: Curve
    in_flight: Curve
    x_ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    caption: str  # a description of the plot
    limit_above: str | None  # the highest rate allowed, if it is off the scale
    values: tuple[tuple[str, ...], ...]  # of each step: its time, and what a reader may ask for
    starts: tuple[float, ...]  # where each step begins, in percent
    span_s: float

    @property
    def marked(self) -> frozenset[str]:
        """The kinds of marks, for the legend."""
        return frozenset(mark.kind for mark in self.marks)


class Bar(NamedTuple):
    """One bar of the histogram, in percent, with its caption."""

    x: float
    width: float
    y: float
    height: float
    caption: str


class HistogramPlot(NamedTuple):
    """The distribution of latencies on a logarithmic axis."""

    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    marks: tuple[Tick, ...]  # p50, p90, p99
    caption: str


LIMIT_SHOWN = 2.0
"""How many times the highest step the allowed rate may be; higher, it would flatten the rest."""


def plot_timeline(
    points: Sequence[TimelinePoint], bin_s: float, events: Sequence[TimelineEvent] = ()
) -> TimelinePlot | None:
    """Return the timeline with marks for what happened; None without points."""
    if not points:
        return None
    sent = [point.sent / bin_s for point in points]
    settled = [point.settled / bin_s for point in points]
    paces = [point.rate_per_s for point in points]
    in_flight = [float(point.in_flight) for point in points]
    start_s = points[0].t_s
    span_s = points[-1].t_s + bin_s - start_s
    edges = [((p.t_s - start_s) / span_s * 100, bin_s / span_s * 100) for p in points]
    highest, allowed = max(*sent, *settled), max(pace or 0 for pace in paces)
    is_shown = allowed <= LIMIT_SHOWN * max(highest, 1)
    top = _ceiling(max(highest, allowed) if is_shown else highest)
    flight_top = _ceiling(max(in_flight))
    pace = Curve(
        _area(edges, sent, top),
        _steps(edges, sent, top),
        _steps(edges, settled, top),
        _steps(edges, [pace if pace is not None and pace <= top else None for pace in paces], top),
        _y_ticks(top),
    )
    flight = Curve(
        _area(edges, in_flight, flight_top),
        _steps(edges, in_flight, flight_top),
        "",
        "",
        _y_ticks(flight_top),
    )
    caption = (
        f"Counted in steps of {duration(bin_s)}, the highest step shows"
        f" {figure(max(sent))} frames sent a second, with at most {figure(max(in_flight))} in"
        f" flight. {_event_counts(events)}"
    )
    marks = _marks(events, start_s, span_s)
    return TimelinePlot(
        pace,
        flight,
        _time_ticks(start_s, span_s),
        marks,
        caption,
        None if is_shown else f"{figure(allowed)}/s",
        tuple(_values(point, bin_s) for point in points),
        tuple(x for x, _ in edges),
        span_s,
    )


def _values(point: TimelinePoint, bin_s: float) -> tuple[str, ...]:
    """Return a step's time since the start, sent and settled a second, in flight, and its limit."""
    limit = "none" if point.rate_per_s is None else f"{figure(point.rate_per_s)}/s"
    rates = (figure(count / bin_s) for count in (point.sent, point.settled))
    return (duration(point.t_s), *rates, figure(float(point.in_flight)), limit)


def plot_histogram(bins: Sequence[LatencyBin], latency: Latency) -> HistogramPlot | None:
    """Return the histogram of latencies; None if none was measured."""
    if not bins or latency.p50 is None or latency.p99 is None:
        return None
    low, high = bins[0].low_ms, bins[-1].high_ms
    place = _logarithmic(low, high)
    top = _ceiling(max(bin_.count for bin_ in bins))
    bars = tuple(_bar(bin_, place, top) for bin_ in bins if bin_.count)
    values = (("p50", latency.p50), ("p90", latency.p90), ("p99", latency.p99))
    marks = tuple(
        Tick(place(value), f"{name} {milliseconds(value)}")
        for name, value in values
        if value is not None
    )
    caption = (
        f"Half of the replies came within {milliseconds(latency.p50)}, 90 % within "
        f"{milliseconds(latency.p90)}, 99 % within {milliseconds(latency.p99)}; "
        f"the slowest took {milliseconds(latency.max)}."
    )
    return HistogramPlot(bars, _latency_ticks(low, high, place), _y_ticks(top), marks, caption)


def _event_counts(events: Sequence[TimelineEvent]) -> str:
    turns = [event.turn for event in events]
    slowed, lost = turns.count(TimelineEventKind.SLOWED), turns.count(TimelineEventKind.LOST)
    parts = [f"it was slowed down {times(slowed)}"] if slowed else []
    parts += [f"its session was lost {times(lost)}"] if lost else []
    if steered := turns.count(TimelineEventKind.CONTROL):
        parts.append(f"people steered it {times(steered)}")
    *others, last = parts or ["nothing slowed or interrupted it"]
    text = f"{', '.join(others)} and {last}" if others else last
    return f"{text[0].upper()}{text[1:]}."


def _marks(events: Sequence[TimelineEvent], start_s: float, span_s: float) -> tuple[Mark, ...]:
    """Return the marks: intervals without a session or of silence, and moments of the others."""

    def place(at_s: float) -> float:
        return min(max((at_s - start_s) / span_s * 100, 0.0), 100.0)

    marks: list[Mark] = []
    last: dict[str, float] = {}  # where the last mark of each kind ends
    for kind, begin_s, end_s, caption in _intervals(events, start_s + span_s):
        x, end = place(begin_s), place(end_s)
        if x - last.get(kind, -math.inf) >= _LEAST_DISTANCE:
            marks.append(Mark(kind, x, end - x, caption))
            last[kind] = end
    return tuple(marks)


def _intervals(
    events: Sequence[TimelineEvent], end_s: float
) -> Iterator[tuple[str, float, float, str]]:
    """Yield kind, begin, end and caption of each mark."""
    lost: TimelineEvent | None = None
    for event in events:
        at = event.t_s
        if event.turn == TimelineEventKind.LOST:
            lost = event
        elif event.turn == TimelineEventKind.OPENED and lost is not None:
            caption = f"no session for {duration(max(at - lost.t_s, 0.0))}"
            yield "lost", lost.t_s, at, caption
            lost = None
        elif event.turn == TimelineEventKind.SLOWED:
            yield "slowed", at, at, f"slowed to {figure(event.value)}/s"
        elif event.turn == TimelineEventKind.RENEWED:
            yield "renewed", at, at, "token renewed"
        elif event.turn == TimelineEventKind.PAUSED:
            pause_s = event.value or 0.0
            yield "paused", at, at + pause_s, f"nothing sent for {duration(pause_s)}, as asked for"
        elif event.turn == TimelineEventKind.WAVE:
            yield "wave", at, at, f"wave {figure(event.value)} {event.reason or 'began'}"
        elif event.turn == TimelineEventKind.CONTROL:
            yield "decision", at, at, event.reason or "a command was given"
    if lost is not None:
        yield "lost", lost.t_s, end_s, "no session from here on"


def _area(edges: Sequence[tuple[float, float]], values: Sequence[float], top: float) -> str:
    return "".join(
        f"M{x:.3f},100V{_y(value, top):.2f}h{width:.3f}V100Z"
        for (x, width), value in zip(edges, values, strict=True)
        if value
    )


def _steps(edges: Sequence[tuple[float, float]], values: Sequence[float | None], top: float) -> str:
    """Return a path with one level per bin; adjacent bins with values are joined."""
    path, end = "", math.nan
    for (x, width), value in zip(edges, values, strict=True):
        if value is None:
            end = math.nan
            continue
        joined = math.isclose(x, end, abs_tol=1e-6)
        path += f"{'L' if joined else 'M'}{x:.3f},{_y(value, top):.2f}h{width:.3f}"
        end = x + width
    return path


def _y(value: float, top: float) -> float:
    return 100 - value / top * 100


def _ceiling(highest: float) -> float:
    """Return the smallest round number not below `highest`."""
    if highest <= 1:
        return 1
    decade = 10.0 ** math.floor(math.log10(highest))
    return next(
        step * decade
        for step in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
        if step * decade >= highest
    )


def _y_ticks(top: float) -> tuple[Tick, ...]:
    shares = (0.5, 1.0) if top > 1 else (1.0,)
    return tuple(Tick(100 - share * 100, figure(top * share)) for share in shares)


def _time_ticks(start_s: float, span_s: float) -> tuple[Tick, ...]:
    rough = span_s / _TICKS
    step = next((s for s in _TIME_STEPS_S if s >= rough), math.ceil(rough / _DAY_S) * _DAY_S)
    first = math.ceil(start_s / step) * step
    count = math.floor((start_s + span_s - first) / step) + 1
    times = [first + i * step for i in range(count)]
    return tuple(Tick((at - start_s) / span_s * 100, duration(at)) for at in times)


def _logarithmic(low: float, high: float) -> Callable[[float], float]:
    low = max(low, 0.001)
    if high <= low:
        return lambda _value: 50.0
    span = math.log(high / low)
    return lambda value: math.log(max(value, low) / low) / span * 100


def _latency_ticks(low: float, high: float, place: Callable[[float], float]) -> tuple[Tick, ...]:
    values = [
        step * 10.0**power
        for power in range(math.floor(math.log10(max(low, 0.001))), 8)
        for step in _DECADE
        if low <= step * 10.0**power <= high
    ]
    if len(values) < 2:  # noqa: PLR2004 - an axis is read between two places
        values = sorted({low, math.sqrt(low * high), high}) if low > 0 else [high]
    thinned = values[:: math.ceil(len(values) / _TICKS)]
    return tuple(Tick(place(value), milliseconds(value)) for value in thinned)


def _bar(bin_: LatencyBin, place: Callable[[float], float], top: float) -> Bar:
    start, end = place(bin_.low_ms), place(bin_.high_ms)
    if end <= start:  # every latency is the same
        start, end = 48.0, 52.0
    height = bin_.count / top * 100
    caption = f"{milliseconds(bin_.low_ms)} to {milliseconds(bin_.high_ms)}: {bin_.count:,}"
    return Bar(start, (end - start) * 0.92, 100 - height, height, caption)
