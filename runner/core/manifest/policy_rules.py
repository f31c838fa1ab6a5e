"""Checks a policy's waves and window (S011, R008, R011)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.core.diagnostics.problem import Severity
from runner.core.manifest.dated_window import Window
from runner.core.manifest.model import Limits
from runner.core.manifest.quantity import EVERYTHING, Amount, Share
from runner.core.manifest.recurring_window import NEVER_AGAIN, NEVER_AGAIN_FIX, Windows
from runner.core.manifest.rules import Finding
from runner.core.number_text import duration
from runner.core.pacing.destination_times import SlowestDestination
from runner.core.pacing.rate import estimate_s
from runner.core.pacing.waves import most_failures, of_it_pauses, seats

ASSUMED_REPLY_S = 0.1
"""Assumed reply time where the in-flight limit bounds the rate.

The real one is unknown before the run. This one is short, so that every warning is justified.
"""


def duration_s(
    *,
    sends: int,
    limits: Limits,
    requests_each: int,
    max_failures: Amount | None = None,
    slowest: SlowestDestination | None = None,
) -> float:
    """Return how long `sends` transfers take within the limits on rates and on those in flight.

    `max_failures` limits those in flight too (`waves.seats`), and so do the limits of the `slowest`
    destination.
    """
    by_rates_s = estimate_s(
        sends=sends,
        rate_per_s=limits.rate_per_s,
        http_rate_per_s=limits.http_rate_per_s,
        requests_each=requests_each,
    )
    at_once = in_flight(limits, max_failures, sends=sends)
    there_s = 0.0 if slowest is None else slowest.takes_s
    return max(by_rates_s or 0.0, sends * ASSUMED_REPLY_S / at_once, there_s)


def in_flight(limits: Limits, max_failures: Amount | None, *, sends: int) -> int:
    """Return how many of `sends` transfers may be under way at once."""
    allowed = most_failures(max_failures, total=sends)
    return limits.in_flight if allowed is None else min(limits.in_flight, seats(allowed))


def check_waves(waves: Sequence[Amount]) -> Iterator[Finding]:
    """Yield waves that do not ascend (S011).

    What the last wave leaves is sent as another. Counts are compared with counts, and shares with
    shares: how a count compares with a share depends on the batch. A
    count of 1 after a share sends nothing in any batch, which is a warning.
    """
    largest: dict[type[Amount], Amount] = {}
    for index, wave in enumerate(waves):
        before = largest.get(type(wave))
        if before is not None and _number(wave) <= _number(before):
            message = f"wave {index + 1} ({wave}) is not larger than {before} before it"
            fix = "waves are cumulative; write them ascending: `waves: [1, 10%, 100%]`"
            yield Finding("S011", message, fix, (index,))
        elif EVERYTHING in waves[:index]:
            message = f"wave {index + 1} comes after 100% and has nothing to send"
            yield Finding("S011", message, "delete what follows `100%`", (index,))
        elif wave == 1 and (share := _share_before(waves[:index])) is not None:
            message = (
                f"wave {index + 1} (1) sends nothing: the wave before it, {share}, is at least"
                " 1 transfer"
            )
            fix = "waves are cumulative; write `1` first, or delete it"
            yield Finding("S011", message, fix, (index,), Severity.WARNING)
        largest[type(wave)] = wave


def _share_before(waves: Sequence[Amount]) -> Share | None:
    return next((each for each in reversed(waves) if isinstance(each, Share) and each.of), None)


def _number(amount: Amount) -> float:
    return amount if isinstance(amount, int) else amount.of


def check_window(window: Window, *, now_s: float) -> Iterator[Finding]:
    """Yield the reason why nothing can be sent in a window (R008)."""
    opens, closes = window.not_before, window.not_after
    if closes is None:
        return
    if opens is not None and opens.at_s >= closes.at_s:
        message = f"the window opens at {opens}, which is not before it closes at {closes}"
        yield Finding("R008", message, "write a `not_before` that is earlier than `not_after`")
    elif closes.at_s <= now_s:
        message = f"the window closed at {closes}"
        fix = "write the next window's times, or delete `window` to send at once"
        yield Finding("R008", message, fix, ("not_after",))


def check_windows(windows: Windows, *, now_s: float) -> Iterator[Finding]:
    """Yield that recurring windows do not open again (R008)."""
    if not windows.openings(now_s):
        yield Finding("R008", NEVER_AGAIN, NEVER_AGAIN_FIX)


def check_ending(
    window: Window,
    *,
    sends: int,
    limits: Limits,
    requests_each: int,
    now_s: float,
    max_failures: Amount | None = None,
    pauses_s: float = 0.0,
    slowest: SlowestDestination | None = None,
    part: tuple[str, ...] = ("not_after",),
) -> Iterator[Finding]:
    """Yield a warning if a batch of `sends` transfers cannot end within its window (R011).

    `pauses_s` is how long the pauses before its waves take together; `part` is where the window's end
    is written.
    """
    closes = window.not_after
    if closes is None or not sends:
        return
    sending_s = duration_s(
        sends=sends,
        limits=limits,
        requests_each=requests_each,
        max_failures=max_failures,
        slowest=slowest,
    )
    takes_s = sending_s + pauses_s
    ends_s = window.ends_at_s(now_s=now_s, lasts_s=takes_s)
    if ends_s <= closes.at_s:
        return
    fits = max(0, int(sends * (closes.at_s - ends_s + sending_s) / sending_s))
    because = ""
    if slowest is not None and sending_s == slowest.takes_s:
        because = f" of its destination {slowest.uri}"
    elif sending_s > duration_s(sends=sends, limits=limits, requests_each=requests_each):
        at_once = in_flight(limits, max_failures, sends=sends)
        because = f" and `max_failures: {max_failures}` (at most {at_once:,} in flight)"
    is_there = slowest is not None and sending_s == slowest.takes_s
    raised = "the destination's limits" if is_there else "`limits`"
    shorten = " shorten the pauses," if pauses_s else ""
    message = (
        f"by the limits{because}, sending {sends:,} takes {duration(takes_s, round_up=True)}"
        f"{of_it_pauses(pauses_s)}, until {closes.like(ends_s)} at the earliest; the window closes at {closes}"
    )
    fix = (
        f"about {fits:,} fit: raise {raised} if the gateway allows it,{shorten} extend the window, or"
        " send the rest in a later window"
    )
    yield Finding("R011", message, fix, part, Severity.WARNING)
