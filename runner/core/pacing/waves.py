"""Waves and the failure threshold, as figures (manifest.md, `policy.waves` and `max_failures`).

Both are counted on the batch: the transfers that are to be sent in this run. What is unchanged,
not selected, or was left in doubt by an earlier run is not among them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

from runner.core.manifest.quantity import EVERYTHING, Amount

_ROUNDING = 1e-9  # of a transfer: what floats lose when a share is taken


def wave_ends(waves: Sequence[Amount], total: int) -> tuple[int, ...]:
    """Return how many of a batch's `total` transfers have been begun by the end of each wave.

    Shares are rounded up, so that none comes to nothing. A wave that would add no transfer to a
    small batch is left out; the last one ends with `total`. Empty where there are no waves.
    """
    if not waves or total <= 0:
        return ()
    ends: list[int] = []
    for wave in (*waves, EVERYTHING):
        end = min(total, _rounded_up(wave, total))
        if not ends or end > ends[-1]:
            ends.append(end)
    return tuple(ends)


def batch_ends(waves: Sequence[Amount], total: int, failed_before: int) -> tuple[int, ...]:
    """Return the same for a batch of which `failed_before` were rejected or failed before.

    These come after all others, in a wave of their own; if nothing else is left, `waves` are theirs.
    """
    others = total - failed_before
    if not others:
        return wave_ends(waves, total)
    ends = wave_ends(waves, others)
    return (*ends, total) if ends and failed_before else ends


def wave_of(position: int, ends: Sequence[int]) -> int | None:
    """Return the wave, from 1, of the `position`-th transfer, from 1; None: there are no waves."""
    return bisect_left(ends, position) + 1 if ends else None


class WaveCount:
    """Assigns transfers, in the manifest's order, to their waves.

    Of the batch `failed_before` are sent after all others.
    """

    def __init__(self, ends: Sequence[int], failed_before: int = 0) -> None:
        self._ends = ends
        total = ends[-1] if ends else 0
        self._positions = [0, total - failed_before]  # of those sent first, and of those after

    def next(self, *, failed_before: bool = False) -> int | None:
        """Return the wave of the next transfer that is to be sent; None: there are no waves."""
        self._positions[failed_before] += 1
        return wave_of(self._positions[failed_before], self._ends)


def wave_sizes(ends: Sequence[int]) -> list[int]:
    """Return how many transfers each wave adds."""
    return [end - before for before, end in zip((0, *ends), ends, strict=False)]


def most_failures(limit: Amount | None, *, total: int) -> int | None:
    """Return how many failures a batch may have; None: any number."""
    if limit is None:
        return None
    return limit if isinstance(limit, int) else math.floor(limit.of * total + _ROUNDING)


def seats(allowed: int, *, failed: int = 0) -> int:
    """Return how many transfers may be under way at once so that one failure too many is the worst.

    `allowed` failures are accepted, `failed` have happened. At least 1: one has to go on.
    """
    return max(1, allowed - failed + 1)


def most_failures_of_wave(limit: Amount | None, *, size: int, total: int) -> int:
    """Return how many failures leave a wave of `size` transfers healthy.

    The wave is measured by the same share as the batch, a count by the share that it is of the
    batch: a canary of one that fails is not healthy because thousands are to follow. Without a
    limit a wave may have none.
    """
    if limit is None:
        return 0
    if isinstance(limit, int):
        return limit * size // total
    return math.floor(limit.of * size + _ROUNDING)


def _rounded_up(amount: Amount, total: int) -> int:
    return amount if isinstance(amount, int) else math.ceil(amount.of * total - _ROUNDING)
