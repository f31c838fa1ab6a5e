"""Counts what a run does to each destination with limits, and keeps what it observed there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from runner.core.manifest.destinations import key_of
from runner.core.pacing.destinations import WAITING, Figures, number_of
from runner.core.records.run_record import DestinationFigures, WaitingPoint

Forecast = Callable[[str, Figures], float | None]
"""Returns by a destination's figures in how many seconds its part of the batch is sent."""

MOST_DESTINATIONS = 50
"""Destinations whose figures are kept."""

MOST_POINTS = 300
"""Points of a curve; beyond it every other one is left out."""


LONGEST_STEP_S = 1.0
"""Of two looks further apart, the time between is not counted: what was so then is not known."""


@dataclass(slots=True)
class _Wait:
    """The time through which something was waited for, by looks that found it so."""

    total_s: float = 0.0
    seen_at: float = -math.inf

    def goes_on(self, now: float) -> None:
        if now - self.seen_at <= LONGEST_STEP_S:
            self.total_s += now - self.seen_at
        self.seen_at = now


@dataclass(slots=True)
class _Counted:
    uri: str
    sent: int = 0
    held: _Wait = field(default_factory=_Wait)
    limited: _Wait = field(default_factory=_Wait)
    points: list[WaitingPoint] = field(default_factory=list)
    every_s: float = 1.0  # the least distance of two points
    most_waiting: float | None = None
    last: WaitingPoint | None = None
    last_sent_at: float | None = None
    forecast_s: float | None = None
    is_forecast: bool = False


class DestinationMetrics:
    """Counts by destination, as the first row has it; times are the clock's monotonic seconds."""

    def __init__(self, started_at: float, forecast: Forecast = lambda _uri, _figures: None) -> None:
        self._started_at = started_at
        self._forecast = forecast
        self._counted: dict[str, _Counted] = {}

    def frame_left(self, uri: str, now: float) -> None:
        """Count a frame to a destination."""
        if (one := self._of(uri)) is not None:
            one.sent += 1
            one.last_sent_at = now

    def held(self, uri: str, now: float) -> None:
        """Count the time since the last call as held, if the destination was full then too."""
        if (one := self._of(uri)) is not None:
            one.held.goes_on(now)

    def limited(self, uri: str, now: float) -> None:
        """Count the time since the last call, if transfers waited for its own limits then too."""
        if (one := self._of(uri)) is not None:
            one.limited.goes_on(now)

    def observed(self, uri: str, figures: Figures | None, now: float) -> None:
        """Keep how many waited at a destination."""
        waiting = number_of(figures or {}, WAITING)
        if figures is None or waiting is None or (one := self._of(uri)) is None:
            return
        if not one.is_forecast:
            ends_s = self._forecast(uri, figures)
            one.is_forecast = True
            one.forecast_s = None if ends_s is None else now - self._started_at + ends_s
        one.most_waiting = waiting if one.most_waiting is None else max(one.most_waiting, waiting)
        point = WaitingPoint(round(now - self._started_at, 1), waiting)
        one.last = point
        if not one.points or point.t_s - one.points[-1].t_s >= one.every_s:
            one.points.append(point)
        if len(one.points) > MOST_POINTS:
            one.points, one.every_s = one.points[::2], one.every_s * 2

    def figures(self) -> tuple[DestinationFigures, ...]:
        """Return what was counted, in the order in which destinations came up."""
        return tuple(
            DestinationFigures(
                one.uri,
                one.sent,
                round(one.held.total_s, 1),
                round(one.limited.total_s, 1),
                one.most_waiting,
                None if one.forecast_s is None else round(one.forecast_s, 1),
                None if one.last_sent_at is None else round(one.last_sent_at - self._started_at, 1),
                tuple(
                    one.points
                    if one.last is None or one.last in one.points[-1:]
                    else [*one.points, one.last]
                ),
            )
            for one in self._counted.values()
        )

    def _of(self, uri: str) -> _Counted | None:
        key = key_of(uri)
        one = self._counted.get(key)
        if one is None and len(self._counted) < MOST_DESTINATIONS:
            one = self._counted[key] = _Counted(uri)
        return one
