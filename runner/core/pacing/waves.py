"""Computes waves and the failure threshold (manifest.md, `policy.waves` and `max_failures`).

Both refer to the batch: the transfers to send in this run. It does not include transfers that are
unchanged, not selected, or left in doubt by an earlier run.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

from runner.core.gates import UNCONDITIONAL, WaveConditions
from runner.core.manifest.quantity import EVERYTHING, Amount
from runner.core.number_text import duration

_ROUNDING = 1e-9  # of a transfer: what floats lose when a share is taken


def wave_ends(waves: Sequence[Amount], total: int) -> tuple[int, ...]:
    """Return how many of a batch's `total` transfers are started by the end of each wave.

    Shares are rounded up, so that none is zero. A wave that would add no transfer to a small batch is
    left out; the last one ends with `total`. Empty without waves.
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
    """Return the ends of waves for a batch with `failed_before` transfers that failed before.

    These come last, in a wave of their own; if there are no others, `waves` apply to them.
    """
    others = total - failed_before
    if not others:
        return wave_ends(waves, total)
    ends = wave_ends(waves, others)
    return (*ends, total) if ends and failed_before else ends


def conditions_of(
    waves: Sequence[Amount],
    conditions: Sequence[WaveConditions],
    total: int,
    failed_before: int,
) -> tuple[WaveConditions, ...]:
    """Return what stands before each wave of `batch_ends`.

    A wave that turns out empty hands its conditions to the next one. What the last listed wave
    leaves, and a wave of its own for what failed before, inherit its gates and its confirmation.
    """
    ends = batch_ends(waves, total, failed_before)
    if not conditions:
        return (UNCONDITIONAL,) * len(ends)
    sent_first = total - failed_before or total
    found: list[WaveConditions] = []
    handed, begun = UNCONDITIONAL, 0
    for wave, given in zip(waves, conditions, strict=True):
        handed = handed.handed_over(given)
        end = min(sent_first, _rounded_up(wave, sent_first))
        if end > begun:
            found.append(handed)
            handed, begun = UNCONDITIONAL, end
    last = WaveConditions(gates=conditions[-1].gates, confirm=conditions[-1].confirm)
    rest = handed.handed_over(last)
    return (*found, *(rest,) * (len(ends) - len(found)))


def pauses_s(
    waves: Sequence[Amount],
    conditions: Sequence[WaveConditions],
    total: int,
    failed_before: int = 0,
) -> float:
    """Return how many seconds the pauses before a batch's waves take together."""
    found = conditions_of(waves, conditions, total, failed_before)
    return math.fsum(each.pause_s for each in found)


def of_it_pauses(paused_s: float) -> str:
    """Return what of a duration `paused_s` seconds of pauses are, to follow it; nothing for none."""
    return f", {duration(paused_s)} of it pauses before waves" if paused_s else ""


def wave_of(position: int, ends: Sequence[int]) -> int | None:
    """Return the wave, from 1, of the `position`-th transfer, from 1; None without waves."""
    return bisect_left(ends, position) + 1 if ends else None


class WaveCount:
    """Assigns transfers, in the manifest's order, to their waves.

    `failed_before` of the batch are sent after all others.
    """

    def __init__(self, ends: Sequence[int], failed_before: int = 0) -> None:
        self._ends = ends
        total = ends[-1] if ends else 0
        self._positions = [
            0,
            total - failed_before,
        ]  # of those sent first, and of those sent after them

    def next(self, *, failed_before: bool = False) -> int | None:
        """Return the wave of the next transfer to send; None without waves."""
        self._positions[failed_before] += 1
        return wave_of(self._positions[failed_before], self._ends)


def wave_sizes(ends: Sequence[int]) -> list[int]:
    """Return how many transfers each wave adds."""
    return [end - before for before, end in zip((0, *ends), ends, strict=False)]


def most_failures(limit: Amount | None, *, total: int) -> int | None:
    """Return the number of failures that a batch may have; None: any."""
    if limit is None:
        return None
    return limit if isinstance(limit, int) else math.floor(limit.of * total + _ROUNDING)


def seats(allowed: int, *, failed: int = 0) -> int:
    """Return how many transfers may be under way so that failures exceed `allowed` by one at most.

    `failed` have happened already. At least 1, so that the run continues.
    """
    return max(1, allowed - failed + 1)


def most_failures_of_wave(limit: Amount | None, *, size: int, total: int) -> int:
    """Return how many failures a healthy wave of `size` transfers may have.

    A share applies to the wave as to the batch. A count is scaled by the wave's share of the batch:
    a canary of one that fails is not healthy, even if thousands follow. Without a limit a wave may
    have none.
    """
    if limit is None:
        return 0
    if isinstance(limit, int):
        return limit * size // total
    return math.floor(limit.of * size + _ROUNDING)


def _rounded_up(amount: Amount, total: int) -> int:
    return amount if isinstance(amount, int) else math.ceil(amount.of * total - _ROUNDING)
