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


class Throughput:
    """Measures transfers settled per second over the last half minute."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()
        self._latest: tuple[float, int] | None = None

    def add(self, now: float, settled: int) -> None:
        """Record that `settled` transfers are final at `now` (monotonic seconds)."""
        samples = self._samples
        self._latest = (now, settled)
        if not samples or now - samples[-1][0] >= SAMPLE_S:
            samples.append(self._latest)
        while len(samples) > 1 and samples[1][0] <= now - WINDOW_S:
            samples.popleft()

    @property
    def per_s(self) -> float | None:
        """Transfers per second; None before two samples."""
        if self._latest is None:
            return None
        (then, before), (now, settled) = self._samples[0], self._latest
        return (settled - before) / (now - then) if now - then >= SAMPLE_S else None

    def left_s(self, total: int) -> float | None:
        """Return the seconds until `total` are settled at this pace, or None if unknown."""
        pace = self.per_s
        if self._latest is None or not pace or pace <= 0:
            return None
        return max(0, total - self._latest[1]) / pace


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
    left = pace.left_s(progress.total)
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
        f"in flight {progress.in_flight:,}",
        rate_text(progress) if progress.rate_per_s or progress.sent_per_s else "",
        left_text(progress, pace),
        f"waiting for {visible(progress.waiting_for)}" if progress.waiting_for else "",
        f"go on by: {progress.command}" if progress.command else "",
    ]
    return "; ".join(part for part in parts if part)


def progress_fields(progress: Progress, pace: Throughput) -> dict[str, Any]:
    """Return the progress as fields of a log line."""
    left_s = pace.left_s(progress.total)
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
        "command": progress.command,
    }
