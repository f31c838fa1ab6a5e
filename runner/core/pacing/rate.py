"""How fast and how often: the shared rate, its adaptation, backoff (protocol.md, "The shared rate").

Everything here is a value or a pure function: the time and the jitter are arguments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from runner.core.manifest.model import RetryPolicy

WINDOW_S = 1.0
"""The sliding window over which `rate + burst` is promised."""

LONGEST_OBEYED_S = 180.0
"""The longest `Retry-After` that is waited out; a longer one ends the run."""

SMALLEST_SHARE = 1 / 64
"""The share of the limit below which rate-limit answers cut no further."""

CLIMB_SHARE = 1 / 8
"""The share of the limit that the pace regains in each quiet second."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The state of a GCRA: `tat` is when the next frame is due by the schedule, in clock seconds.

    Source: ITU-T I.371, "virtual scheduling algorithm".
    """

    tat: float


def bucket_at_start(*, now: float, rate_per_s: float, burst: int) -> Bucket:
    """Return the bucket of a run that begins: its burst is spent, its first frame one interval off.

    A run that follows another (or a killed one) at once thus keeps the promise of both together.
    """
    interval_s = 1 / rate_per_s
    return Bucket(now + min(interval_s, WINDOW_S) + (burst - 1) * interval_s)


def take_token(
    bucket: Bucket,
    *,
    now: float,
    rate_per_s: float,
    burst: int,
    limit_per_s: float | None = None,
    slack_s: float = 0.0,
) -> tuple[Bucket, float]:
    """Take one frame's token, or learn when to look again; nothing is ever reserved.

    Returns the bucket after and 0.0 when granted; the same bucket and the seconds to wait when
    not. `rate_per_s` is the pace in force, `limit_per_s` (default: the same) the promise: the
    burst's tolerance and the lateness that may be made up are measured by the promise, so that a
    pace that slows or climbs never lets more than `limit + burst` frames into one window. With
    `slack_s` so much lateness is made up all the same, where the promise is of minutes.
    """
    wait_s = due_in(
        bucket,
        now=now,
        rate_per_s=rate_per_s,
        burst=burst,
        limit_per_s=limit_per_s,
        slack_s=slack_s,
    )
    if wait_s > 0:
        return bucket, wait_s
    slack_s = max(slack_s, _slack_s(limit_per_s or rate_per_s))
    return Bucket(max(bucket.tat, now - slack_s) + 1 / rate_per_s), 0.0


def due_in(
    bucket: Bucket,
    *,
    now: float,
    rate_per_s: float,
    burst: int,
    limit_per_s: float | None = None,
    ahead: int = 0,
    slack_s: float = 0.0,
) -> float:
    """Return the seconds until a frame behind `ahead` others could leave; 0.0: now."""
    limit = limit_per_s or rate_per_s
    due = max(bucket.tat, now - max(slack_s, _slack_s(limit))) + ahead / rate_per_s
    return max(0.0, due - (burst - 1) / limit - now)


def window_wait_s(written: Sequence[float], *, now: float, most: int) -> float:
    """Return how long to wait so that no window holds more than `most` frames, come what may.

    `written` are the times after the last writes, oldest first. The schedule keeps the promise by
    the clock; this keeps it also where the process was suspended between token and write: the
    frame `most` places back had left by its time after the write, and the next leaves after `now`.
    """
    if len(written) < most:
        return 0.0
    return max(0.0, written[-most] + WINDOW_S - now)


def _slack_s(limit_per_s: float) -> float:
    """How much lateness may be made up.

    With n frames in less than a window, n < burst + (1 + slack) * limit; the slack is what keeps
    n <= limit + burst true for every limit, whole or not, and half an interval at most.
    """
    to_next_whole = math.floor(limit_per_s) + 1 - limit_per_s
    return min(0.5, 0.9 * to_next_whole) / limit_per_s


@dataclass(frozen=True, slots=True)
class AdaptiveRate:
    """The rate in force (AIMD). `limit_per_s` None: unlimited until the gateway objects."""

    limit_per_s: float | None
    rate_per_s: float | None
    base_per_s: float | None = None  # what the steps and the floor are measured by
    cut_at: float = -math.inf
    climbed_at: float = -math.inf

    @classmethod
    def at_limit(cls, limit_per_s: float | None) -> AdaptiveRate:
        """Return the pace that a run begins with."""
        return cls(limit_per_s, limit_per_s, limit_per_s)


def slowed(
    pace: AdaptiveRate, *, now: float, sent_at: float, achieved_per_s: float
) -> AdaptiveRate:
    """Halve the pace, because a frame sent at `sent_at` was answered "too fast".

    At most one cut per round trip: a frame that left before the last cut says nothing about the
    pace since. `achieved_per_s` is what an unlimited pace is measured by.
    """
    if sent_at <= pace.cut_at:
        return pace
    base = pace.base_per_s or max(1.0, achieved_per_s)
    rate = max((pace.rate_per_s or base) / 2, base * SMALLEST_SHARE)
    return replace(pace, rate_per_s=rate, base_per_s=base, cut_at=now, climbed_at=now)


def climbed(pace: AdaptiveRate, *, now: float) -> AdaptiveRate:
    """Give back one step for each second since the last step or cut, never above the limit."""
    base, rate = pace.base_per_s, pace.rate_per_s
    if base is None or rate is None or rate == pace.limit_per_s or now - pace.climbed_at < 1:
        return pace
    steps = math.floor(now - pace.climbed_at)
    rate += steps * base * CLIMB_SHARE
    climbed_at = pace.climbed_at + steps
    if pace.limit_per_s is not None:
        return replace(pace, rate_per_s=min(rate, pace.limit_per_s), climbed_at=climbed_at)
    if rate > 4 * base:  # nothing has objected for long: unlimited again
        return AdaptiveRate.at_limit(None)
    return replace(pace, rate_per_s=rate, climbed_at=climbed_at)


def backoff_s(retry: RetryPolicy, n: int, *, jitter: float) -> float:
    """Return the wait before the n-th retry (from 1): exponential, jittered from base to cap.

    `jitter` is uniform in [0, 1).
    """
    ceiling = min(retry.cap_s, retry.base_s * 2.0 ** min(n, 60))
    floor = min(retry.base_s, ceiling)
    return floor + jitter * (ceiling - floor)


def estimate_s(
    *, sends: int, rate_per_s: float | None, http_rate_per_s: float | None, requests_each: int
) -> float | None:
    """Return how long `sends` transfers take by the limits alone; None where none limits them.

    `requests_each` is how many HTTP requests each takes.
    """
    waits = [sends / rate_per_s] if rate_per_s else []
    if requests_each and http_rate_per_s:
        waits.append(requests_each * sends / http_rate_per_s)
    return max(waits) if waits else None
