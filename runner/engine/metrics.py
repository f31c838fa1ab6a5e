"""Counts what a run does, while it does it: frames, peaks, the timeline."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping

from runner.core.pacing.rate import WINDOW_S
from runner.core.records.latency import LATENCIES_KEPT
from runner.core.records.recent_failures import FAILURES_KEPT, RecentFailure
from runner.core.records.run_record import (
    Figures,
    SessionClose,
    TimelineEvent,
    TimelineEventKind,
    TimelinePoint,
)
from runner.core.timestamps import timestamp
from runner.core.transfer.outcome import Outcome

MOST_POINTS = 600
"""The timeline's longest; beyond it the bins grow."""

MOST_EVENTS = 1000
"""Events that the story keeps: the first half, and the last."""

SHORTEST_SPAN_S = 0.1
"""The shortest time that a pace is measured over: five frames in a millisecond are no 5,000/s."""


class RunMetrics:
    """Counts one run's figures; times are the clock's monotonic seconds."""

    def __init__(self, started_at: float) -> None:
        self._started_at = started_at
        self._recent: deque[float] = deque()
        self._first_sent: float | None = None
        self._last_sent = started_at
        self._bin_s = 1.0
        self._bins: list[list[int]] = []  # [sent, settled, most in flight, thousandths of the pace]
        self.sent = 0
        self.in_flight = 0
        self.peak = 0
        self.throttled = 0
        self.outcomes: Counter[Outcome] = Counter()
        self.sessions_opened = 0
        self.closes: list[SessionClose] = []
        self.tls: str | None = None
        self.rate_per_s: float | None = None
        self._rate_in_bins: float | None = None
        self._pace = 0  # thousandths of it
        self._renewals = 0
        self._event_count = 0
        self._first_events: list[TimelineEvent] = []
        self._last_events: deque[TimelineEvent] = deque(maxlen=MOST_EVENTS // 2)
        self.recent_failures: deque[RecentFailure] = deque(maxlen=FAILURES_KEPT)
        self.decided = 0  # decisions and gates' verdicts in the chain
        self.latencies_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)

    def frame_left(self, now: float) -> None:
        """Count a frame that is handed to the socket."""
        self.sent += 1
        self.in_flight += 1
        self._last_sent = now
        if self._first_sent is None:
            self._first_sent = now
        self._bin(now)[0] += 1

    def frame_written(self, now: float) -> None:
        """Count a frame that the socket has, for the rate of the last second and its peak.

        It is dated apart from `frame_left`: the process may stand still between the two.
        """
        recent = self._recent
        recent.append(now)
        while recent[0] <= now - WINDOW_S:
            recent.popleft()
        self.peak = max(self.peak, len(recent))

    def frame_answered(self) -> None:
        """Count a delivery that is no longer under way, for whatever reason."""
        self.in_flight -= 1

    def settled(self, now: float, outcome: Outcome | None, before: Outcome | None) -> None:
        """Count a transfer's outcome, and uncount the one it replaces; None: under way."""
        if outcome is not None:
            self.outcomes[outcome] += 1
            self._bin(now)[1] += 1
        if before is not None:
            self.outcomes[before] -= 1

    def tick(self, now: float) -> None:
        """Note where the run stands, for the timeline."""
        self._bin(now)

    def add_event(
        self,
        kind: TimelineEventKind,
        now: float,
        wall: float,
        *,
        value: float | None = None,
        code: int | None = None,
        reason: str | None = None,
    ) -> None:
        """Add a line to the session's story; `wall` is in seconds since the epoch."""
        t_s = round(now - self._started_at, 3)
        event = TimelineEvent(t_s, timestamp(wall), kind.value, value, code, reason)
        self._event_count += 1
        if len(self._first_events) < MOST_EVENTS // 2:
            self._first_events.append(event)
        else:
            self._last_events.append(event)

    def saw_renewals(self, renewals: int, now: float, wall: float) -> None:
        """Note how many tokens have been renewed."""
        if renewals > self._renewals:
            self._renewals = renewals
            self.add_event(TimelineEventKind.RENEWED, now, wall, value=renewals)

    def in_last_second(self, now: float) -> int:
        """Return how many frames left in the last second: what the limit is promised of."""
        while self._recent and self._recent[0] <= now - WINDOW_S:
            self._recent.popleft()
        return len(self._recent)

    def achieved_per_s(self, now: float) -> float:
        """Return how fast frames left in the last second, or since the first if that is less."""
        if self._first_sent is None:
            return 0.0
        span_s = min(WINDOW_S, max(SHORTEST_SPAN_S, now - self._first_sent))
        return self.in_last_second(now) / span_s

    def figures(
        self, *, limit_per_s: float | None, token_renewals: int, burst: int | None = None
    ) -> Figures:
        """Return what was measured."""
        achieved = None
        if self._first_sent is not None and self.sent > 1:
            span_s = max(WINDOW_S, self._last_sent - self._first_sent)  # the limit's own measure
            achieved = (self.sent - 1) / span_s
        story = (*self._first_events, *self._last_events)
        return Figures(
            rate_limit_per_s=limit_per_s,
            rate_achieved_per_s=achieved,
            peak_in_any_second=self.peak,
            throttled=self.throttled,
            sessions_opened=self.sessions_opened,
            session_closes=tuple(self.closes),
            tls=self.tls,
            token_renewals=token_renewals,
            timeline_bin_s=self._bin_s,
            timeline=tuple(
                TimelinePoint(i * self._bin_s, sent, settled, in_flight, pace / 1000 or None)
                for i, (sent, settled, in_flight, pace) in enumerate(self._bins)
            ),
            story=story,
            story_omitted=self._event_count - len(story),
            burst=burst,
            decided=self.decided,
        )

    def counts(self) -> Mapping[str, int]:
        """Return how many transfers have each outcome so far."""
        return {outcome.value: count for outcome, count in self.outcomes.items() if count}

    def _bin(self, now: float) -> list[int]:
        index = int((now - self._started_at) / self._bin_s)
        while index >= MOST_POINTS:
            self._bins = [_merged(self._bins[i : i + 2]) for i in range(0, len(self._bins), 2)]
            self._bin_s *= 2
            index = int((now - self._started_at) / self._bin_s)
        if self.rate_per_s != self._rate_in_bins:
            self._rate_in_bins = self.rate_per_s
            self._pace = round((self.rate_per_s or 0) * 1000)
        pace = self._pace
        while len(self._bins) <= index:
            self._bins.append([0, 0, self.in_flight, pace])
        found = self._bins[index]
        found[2], found[3] = max(found[2], self.in_flight), _allowed(found[3], pace)
        return found


def _merged(pair: list[list[int]]) -> list[int]:
    first, last = pair[0], pair[-1]
    if first is last:
        return first
    return [
        first[0] + last[0],
        first[1] + last[1],
        max(first[2], last[2]),
        _allowed(first[3], last[3]),
    ]


def _allowed(one: int, other: int) -> int:
    """Return what was allowed at most, so that no frame seems to break a limit; 0: no limit."""
    return max(one, other) if one and other else 0
