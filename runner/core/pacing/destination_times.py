"""How long the limits of single destinations make a batch take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from runner.core.frozen import frozen
from runner.core.manifest.destinations import DestinationLimits, DestinationTable, key_of


@frozen
class SlowestDestination:
    """The destination whose own limits take the longest, and for how long."""

    uri: str  # as the first row writes it
    takes_s: float


def slowest_destination(
    sends: Mapping[str, int], destinations: DestinationTable, *, reply_s: float = 0.0
) -> SlowestDestination | None:
    """Return which destination takes the longest by its `rate` and `in_flight`; None: none is limited.

    `sends` is the number of transfers by destination; spellings of one count together. `reply_s` is how
    long each is in flight; by default that of none counts.
    """
    limited: dict[str, tuple[str, DestinationLimits]] = {}
    counts: Counter[str] = Counter()
    for uri, number in sends.items():
        if (limits := destinations.limits_of(uri)) is not None:
            counts[key_of(uri)] += number
            limited.setdefault(key_of(uri), (uri, limits))
    found = [
        SlowestDestination(uri, _takes_s(limits, counts[key], reply_s))
        for key, (uri, limits) in limited.items()
    ]
    slowest = max(found, key=lambda each: each.takes_s, default=None)
    return slowest if slowest is not None and slowest.takes_s else None


def _takes_s(limits: DestinationLimits, sends: int, reply_s: float) -> float:
    by_rate_s = sends / limits.rate_per_s if limits.rate_per_s else 0.0
    held_s = sends * reply_s / limits.in_flight if limits.in_flight else 0.0
    return max(by_rate_s, held_s)
