"""Renders a run's progress as text: counts, rate, time left, and what it waits for."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runner.console.terminal_text import visible
from runner.core.number_text import duration, figure
from runner.core.transfer.outcome import Outcome, outcome_words

if TYPE_CHECKING:  # a dry run, which has no progress, shares these words
    from runner.ports import Progress

WINDOW_S = 30.0
SAMPLE_S = 0.5
MEASURED_S = 5.0
"""How long a run goes on before its pace says more than the limits; a burst is over by then."""


class Throughput:
    """Measures transfers settled per second over the last half minute in which nothing held the run.

    Another limit begins another measurement.
    """

    def __init__(self) -> None:
        self._samples = deque([(0.0, 0)])  # seconds without a hold, and what was settled in them
        self._going: tuple[float, int] = self._samples[0]
        self._latest: tuple[float, Progress] | None = None

    def add(self, now: float, progress: Progress) -> None:
        """Take where the run stands at `now` (monotonic seconds)."""
        latest, self._latest = self._latest, (now, progress)
        if latest is None:
            return
        then, before = latest
        if before.limit_per_s != progress.limit_per_s:
            self._going = (0.0, 0)
            self._samples = deque([self._going])
        elif before.waiting_for is None and progress.waiting_for is None:
            going_s, settled = self._going
            self._going = (going_s + now - then, settled + progress.settled - before.settled)
            self._keep()

    def _keep(self) -> None:
        samples, going_s = self._samples, self._going[0]
        if going_s - samples[-1][0] >= SAMPLE_S:
            samples.append(self._going)
        while len(samples) > 1 and samples[1][0] <= going_s - WINDOW_S:
            samples.popleft()

    @property
    def _measured_s(self) -> float:
        return self._going[0] - self._samples[0][0]

    @property
    def per_s(self) -> float | None:
        """Transfers per second; None before two samples."""
        if self._measured_s < SAMPLE_S:
            return None
        return (self._going[1] - self._samples[0][1]) / self._measured_s

    @property
    def left_s(self) -> float | None:
        """Seconds until all is settled, planned pauses included; None: not known, or the run is held.

        It begins with what the limits let the rest take.
        """
        if self._latest is None:
            return None
        _, progress = self._latest
        if progress.waiting_for is not None or progress.is_stopping:
            return None
        each_s = self._each_s(progress)
        if each_s is None:
            return None
        return max(0, progress.total - progress.settled) * each_s + progress.pauses_left_s

    def _each_s(self, progress: Progress) -> float | None:
        planned_s = _planned_each_s(progress)
        if planned_s and self._measured_s < MEASURED_S:
            return planned_s
        return 1 / self.per_s if self.per_s else None


def _planned_each_s(progress: Progress) -> float:
    """Return how long the limits let a transfer take; 0.0: they do not say."""
    by_plan_s = (progress.sending_s or 0.0) / max(1, progress.total)
    return max(by_plan_s, 1 / progress.limit_per_s if progress.limit_per_s else 0.0)


def outcome_counts(outcomes: Mapping[str, int] | Mapping[Outcome, int]) -> dict[str, int]:
    """Return the counts that are not zero, in the order that reports use."""
    named = {str(name): n for name, n in outcomes.items() if n}
    order = [outcome.value for outcome in Outcome if outcome.value in named]
    return {visible(name): named[name] for name in (*order, *(sorted(named.keys() - set(order))))}


def allowed(rate_per_s: float, burst: int | None) -> str:
    """Return the limit on frames in one second: `25/s + 5 burst`."""
    return f"{figure(rate_per_s)}/s" + (f" + {burst:,} burst" if burst else "")


def rate_text(progress: Progress) -> str:
    """Return `24/s of 25/s + 5 burst`: the rate of the last second, and the limit.

    After a slow-down the last second may still show the earlier rate, so the new one is added.
    """
    now = "" if progress.sent_per_s is None else f"{figure(progress.sent_per_s)}/s"
    pace, limit = progress.rate_per_s, progress.limit_per_s
    if pace is None:
        return now or "rate unlimited"
    bound = allowed(pace if limit is None else limit, progress.burst)
    text = f"{now} of {bound}" if now else f"at most {bound}"
    slowed = limit is not None and pace < limit
    return f"{text}, slowed down to {figure(pace)}/s" if slowed else text


def left_text(progress: Progress, pace: Throughput) -> str:
    """Return `about 2 min 33 s left`; empty if unknown."""
    left = pace.left_s
    return (
        "" if left is None or progress.settled >= progress.total else f"about {duration(left)} left"
    )


def share(progress: Progress) -> int:
    """Return the percentage of settled transfers; 100 only if all are."""
    return 100 * progress.settled // progress.total if progress.total else 100


def progress_line(progress: Progress, pace: Throughput) -> str:
    """Return the progress as one plain line."""
    counts = outcome_counts(progress.outcomes)
    parts = [
        f"{progress.settled:,} of {progress.total:,} settled ({share(progress)}%)",
        ", ".join(f"{outcome_words(name)} {n:,}" for name, n in counts.items()),
        visible(progress.stage) if progress.stage else "",
        f"in flight {progress.in_flight:,}",
        rate_text(progress) if progress.rate_per_s or progress.sent_per_s else "",
        left_text(progress, pace),
        f"waiting for {visible(progress.waiting_for)}" if progress.waiting_for else "",
        f"paced by {visible(progress.paced_by)}" if progress.paced_by else "",
        f"go on by: {progress.command}" if progress.command else "",
    ]
    return "; ".join(part for part in parts if part)


def progress_fields(progress: Progress, pace: Throughput) -> dict[str, Any]:
    """Return the progress as fields of a log line."""
    left_s = pace.left_s
    return {
        "total": progress.total,
        "settled": progress.settled,
        "in_flight": progress.in_flight,
        "sent": progress.sent,
        "outcomes": outcome_counts(progress.outcomes),
        "pace_per_s": None if pace.per_s is None else round(pace.per_s, 1),
        "rate_per_s": progress.rate_per_s,
        "limit_per_s": progress.limit_per_s,
        "sent_per_s": None if progress.sent_per_s is None else round(progress.sent_per_s, 1),
        "session": None if progress.session is None else progress.session.value,
        "latency_ms": None if progress.latency_ms is None else progress.latency_ms._asdict(),
        "callbacks_owed": progress.callbacks_owed,
        "left_s": None if left_s is None else round(left_s),
        "waiting_for": progress.waiting_for,
        "paced_by": progress.paced_by,
        "command": progress.command,
    }
