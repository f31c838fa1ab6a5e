"""The shared rate, its adaptation, and backoff (protocol.md, "The shared rate").

All functions are pure: time and jitter are arguments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from runner.core.frozen import frozen
from runner.core.manifest.model import RetryPolicy

WINDOW_S = 1.0
"""The sliding window over which `rate + burst` is promised."""

LONGEST_OBEYED_S = 180.0
"""The longest `Retry-After` that is obeyed; a longer one ends the run."""

SMALLEST_SHARE = 1 / 64
"""The share of the limit below which rate-limit answers cut no further."""

CLIMB_SHARE = 1 / 8
"""The share of the limit that the pace regains in each quiet second."""


@frozen
class Bucket:
    """The state of a GCRA: `tat` is when the next frame is due by the schedule, in clock seconds.

    Source: ITU-T I.371, "virtual scheduling algorithm".
    """

    tat: float


def bucket_at_start(
    *, now: float, rate_per_s: float, burst: int, limit_per_s: float | None = None
) -> Bucket:
    """Return the bucket at the start of a run: the burst is spent, the first frame is due later.

    So a run that follows another immediately, perhaps a killed one, keeps the limit of both together.
    The burst is measured by `limit_per_s` (default: `rate_per_s`), as in `take_token`: a run that
    begins at a lower rate waits no longer for its first frame than one interval.
    """
    spent_s = (burst - 1) / (limit_per_s or rate_per_s)
    return Bucket(now + min(1 / rate_per_s, WINDOW_S) + spent_s)


def take_token(
    bucket: Bucket,
    *,
    now: float,
    rate_per_s: float,
    burst: int,
    limit_per_s: float | None = None,
    slack_s: float = 0.0,
) -> tuple[Bucket, float]:
    """Take one frame's token, or return the time to wait; nothing is reserved.

    Returns the new bucket and 0.0, or the same bucket and the seconds to wait. `rate_per_s` is the
    present rate, `limit_per_s` (default: the same) the promised limit. The burst's tolerance and the
    lateness that may be made up are measured by the limit, so that a changing rate never lets more
    than `limit + burst` frames into one window. At least `slack_s` of lateness is made up, for
    limits per minute.
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
    """Return the seconds until a frame behind `ahead` others could be sent; 0.0: now."""
    limit = limit_per_s or rate_per_s
    due = max(bucket.tat, now - max(slack_s, _slack_s(limit))) + ahead / rate_per_s
    return max(0.0, due - (burst - 1) / limit - now)


def window_wait_s(written: Sequence[float], *, now: float, most: int) -> float:
    """Return how long to wait so that no window has more than `most` frames.

    `written` are the times after the last writes, oldest first. The schedule alone keeps the limit
    unless the process was suspended between token and write. This keeps it then too: the frame `most`
    places back was sent before its time in `written`, and the next one is sent after `now`.
    """
    if len(written) < most:
        return 0.0
    return max(0.0, written[-most] + WINDOW_S - now)


def _slack_s(limit_per_s: float) -> float:
    """Return how much lateness may be made up, in seconds.

    With n frames in less than a window, n < burst + (1 + slack) * limit. The slack is chosen so that
    n <= limit + burst for every limit, whole or not; it is at most half an interval.
    """
    to_next_whole = math.floor(limit_per_s) + 1 - limit_per_s
    return min(0.5, 0.9 * to_next_whole) / limit_per_s


@frozen
class AdaptiveRate:
    """The present rate (AIMD). `limit_per_s` None: unlimited until the gateway limits it."""

    limit_per_s: float | None
    rate_per_s: float | None
    base_per_s: float | None = None  # the rate that steps and floor are shares of
    cut_at: float = -math.inf
    climbed_at: float = -math.inf

    @classmethod
    def at_limit(cls, limit_per_s: float | None) -> AdaptiveRate:
        """Return the pace at the start of a run."""
        return cls(limit_per_s, limit_per_s, limit_per_s)


def relimited(pace: AdaptiveRate, limit_per_s: float | None) -> AdaptiveRate:
    """Return the pace under another limit; a rate that was cut stays cut, and climbs to the new one."""
    was_cut = pace.rate_per_s is not None and pace.rate_per_s != pace.limit_per_s
    if pace.rate_per_s is None or limit_per_s is None or not was_cut:
        return replace(AdaptiveRate.at_limit(limit_per_s), cut_at=pace.cut_at)
    rate = min(pace.rate_per_s, limit_per_s)
    return replace(pace, limit_per_s=limit_per_s, rate_per_s=rate, base_per_s=limit_per_s)


def slowed(
    pace: AdaptiveRate, *, now: float, sent_at: float, achieved_per_s: float
) -> AdaptiveRate:
    """Halve the rate, because a frame sent at `sent_at` was answered "too fast".

    It is cut at most once per round trip: a frame sent before the last cut gives no evidence of the
    rate since. `achieved_per_s` is the base of an unlimited rate.
    """
    if sent_at <= pace.cut_at:
        return pace
    base = pace.base_per_s or max(1.0, achieved_per_s)
    rate = max((pace.rate_per_s or base) / 2, base * SMALLEST_SHARE)
    return replace(pace, rate_per_s=rate, base_per_s=base, cut_at=now, climbed_at=now)


def climbed(pace: AdaptiveRate, *, now: float) -> AdaptiveRate:
    """Raise the rate by one step for each second since the last step or cut, up to the limit."""
    base, rate = pace.base_per_s, pace.rate_per_s
    if base is None or rate is None or rate == pace.limit_per_s or now - pace.climbed_at < 1:
        return pace
    steps = math.floor(now - pace.climbed_at)
    rate += steps * base * CLIMB_SHARE
    climbed_at = pace.climbed_at + steps
    if pace.limit_per_s is not None:
        return replace(pace, rate_per_s=min(rate, pace.limit_per_s), climbed_at=climbed_at)
    if rate > 4 * base:  # no rate limit for long: unlimited again
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
    """Return how long `sends` transfers take at the limits; None if there is no limit.

    `requests_each` is the number of HTTP requests of each.
    """
    waits = [sends / rate_per_s] if rate_per_s else []
    if requests_each and http_rate_per_s:
        waits.append(requests_each * sends / http_rate_per_s)
    return max(waits) if waits else None
