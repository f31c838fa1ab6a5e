"""When a manifest's windows are open, as plans and runs record it."""

from __future__ import annotations

from runner.core.manifest.dated_window import Window
from runner.core.manifest.model import Policy
from runner.core.manifest.recurring_window import Windows, utc_text, zone_of
from runner.core.records.run_record import OpeningRecord, RunWindows, WindowRecord

OPENINGS = 5
"""How many openings of recurring windows are named."""


def openings_from(windows: Windows, at_s: float) -> tuple[OpeningRecord, ...]:
    """Return when recurring windows are next open, the present opening included."""
    if not windows:
        return ()
    return tuple(
        OpeningRecord(
            windows.spelt(opens),
            None if closes is None else windows.spelt(closes),
            utc_text(opens),
            None if closes is None else utc_text(closes),
        )
        for opens, closes in windows.openings(at_s, OPENINGS)
    )


def window_record(window: Window) -> WindowRecord:
    """Return a dated window as it is written."""
    opens, closes = window.not_before, window.not_after
    return WindowRecord(*(None if end is None else end.text for end in (opens, closes)))


def run_windows(policy: Policy, began_s: float, ended_s: float) -> RunWindows | None:
    """Return the windows of a run that has ended: the closing that it met, and the next openings.

    None: frames may leave at any time.
    """
    window, windows = policy.window, policy.windows
    if window is None and not windows:
        return None
    span = policy.next_span(began_s)
    closed = None if span is None else span.not_after
    if closed is not None and closed.at_s > ended_s:
        closed = None
    return RunWindows(
        window=None if window is None else window_record(window),
        zone=zone_of(windows.rules) if windows else None,
        closed_at=None if closed is None else closed.text,
        closed_at_utc=None if closed is None else utc_text(closed.at_s),
        openings=openings_from(windows, ended_s),
    )
