"""Lays out the live view: a pure function of a run's progress and the terminal's size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from runner.console.live.progress_text import outcome_counts, rate_text, share
from runner.console.log.redaction import harmless
from runner.core.frozen import frozen
from runner.core.number_text import counted, duration
from runner.core.records.recent_failures import RecentFailure
from runner.core.transfer.outcome import outcome_named, outcome_words
from runner.ports import Progress, SessionState

PROBLEMS_SHOWN = 5
KEYS_NAMED = 3
NARROWEST_BAR = 10
WORTH_A_CLOCK_S = 60.0
"""Time left from which the view also shows the expected end."""


class Style(Enum):
    """How a segment is coloured."""

    PLAIN = "plain"
    FAINT = "faint"
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


class Segment(NamedTuple):
    """A piece of a line; it is cut, never wrapped."""

    text: str
    tone: Style = Style.PLAIN


Line = tuple[Segment, ...]

SESSIONS = {
    SessionState.DIALLING: Segment("session: dialling", Style.WARN),
    SessionState.OPEN: Segment("session open"),
    SessionState.LOST: Segment("session lost, dialling again", Style.BAD),
    SessionState.CLOSED: Segment("session closed", Style.FAINT),
}


@frozen
class Warned:
    """A warning of the log, as one text."""

    at: float  # seconds since the epoch
    text: str


@frozen
class View:
    """A run at one moment, as the view shows it."""

    progress: Progress
    at: float  # seconds since the epoch
    title: str = ""
    elapsed_s: float | None = None
    left_s: float | None = None
    warnings: Sequence[Warned] = ()  # oldest first


class _Section(NamedTuple):
    """Lines that belong together; in a low window the highest `rank` is dropped first."""

    rank: int
    lines: list[Line]


def lines(view: View, columns: int, rows: int) -> list[Line]:
    """Return at most `rows` lines, none wider than `columns` cells."""
    columns, rows = max(1, columns), max(1, rows)
    sections = [
        _Section(
            6, _flow([Segment(harmless(view.title), Style.FAINT)] if view.title else [], columns)
        ),
        _Section(0, [_bar(view.progress, columns)]),
        _Section(4, _flow(list(_pace(view)), columns)),
        _Section(2, _flow(list(_state(view.progress)), columns)),
        _Section(1, _command(view.progress.command, columns)),
        _Section(3, _flow(list(_outcomes(view.progress)), columns)),
        _Section(5, [_cut((segment,), columns) for segment in _problems(view)]),
    ]
    return _fitting(sections, rows)


def _fitting(sections: Sequence[_Section], rows: int) -> list[Line]:
    """Drop the least important lines until the rest fits; the newest problems stay."""
    kept: dict[int, list[Line]] = {}
    for section in sorted(sections):
        room = rows - sum(map(len, kept.values()))
        kept[section.rank] = section.lines[:room]
    return [line for section in sections for line in kept[section.rank]]


def _bar(progress: Progress, columns: int) -> Line:
    figures = f"{progress.settled:,}/{progress.total:,} {share(progress)}%"
    width = columns - cell_len(figures) - 1
    if width < NARROWEST_BAR:
        return _cut((Segment(figures),), columns)
    done = width * progress.settled // progress.total if progress.total else width
    done = min(done, width)
    return (
        Segment("━" * done, Style.GOOD),
        Segment("─" * (width - done), Style.FAINT),
        Segment(f" {figures}"),
    )


def _pace(view: View) -> Iterator[Segment]:
    yield Segment(rate_text(view.progress))
    progress = view.progress
    if view.elapsed_s is not None:
        yield Segment(f"{duration(view.elapsed_s)} so far")
    if view.left_s is not None and progress.settled < progress.total:
        left = f"about {duration(view.left_s)} left"
        if view.left_s >= WORTH_A_CLOCK_S:
            left += f", till {_clock(view.at + view.left_s)[:5]}Z"
        yield Segment(left)
    if progress.latency_ms is not None:
        p50, p99 = progress.latency_ms
        yield Segment(f"latency p50 {p50:,.0f} ms, p99 {p99:,.0f} ms")


def _state(progress: Progress) -> Iterator[Segment]:
    if progress.stage:
        yield Segment(harmless(progress.stage))
    if progress.is_stopping:
        yield Segment("stopping: what is in flight settles", Style.WARN)
    lost = progress.session in {SessionState.LOST, SessionState.DIALLING}
    if progress.session is not None:
        yield SESSIONS[progress.session]
    # A lost session is shown already; what a person holds is not explained by it.
    if progress.waiting_for and (progress.command or not lost):
        yield Segment(f"waiting for {harmless(progress.waiting_for)}", Style.WARN)
    if progress.paced_by:
        yield Segment(f"paced by {harmless(progress.paced_by)}")
    yield Segment(f"in flight {progress.in_flight:,}")
    if progress.callbacks_owed:
        yield Segment(f"{counted(progress.callbacks_owed, 'callback')} owed")


def _command(command: str | None, columns: int) -> list[Line]:
    """Return the command that ends what holds the run, over two lines where it is too wide for one.

    They can be copied together: a shell reads them as one.
    """
    if command is None:
        return []
    text = f"go on by: {command}"
    before, option, rest = text.rpartition(" --journal ")
    parts = (
        [text] if cell_len(text) <= columns or not option else [f"{before} \\", f"{option}{rest}"]
    )
    return [_cut((Segment(part, Style.WARN),), columns) for part in parts]


def _outcomes(progress: Progress) -> Iterator[Segment]:
    for name, number in outcome_counts(progress.outcomes).items():
        yield Segment(f"{outcome_words(name)} {number:,}", _tone(name))


def _tone(name: str) -> Style:
    outcome = outcome_named(name)
    if outcome is None:
        return Style.PLAIN
    if outcome.is_done:
        return Style.GOOD
    if outcome.needs_attention:
        return Style.BAD if outcome.is_failure else Style.WARN
    return Style.PLAIN


def _problems(view: View) -> list[Segment]:
    """Return the newest problems first; transfers with the same outcome and reason share a line."""
    alike: dict[tuple[str, str | None], list[RecentFailure]] = {}
    for failure in view.progress.recent_failures:
        alike.setdefault((failure.outcome, failure.reason), []).append(failure)
    problems = [(group[-1].at, _problem(group)) for group in alike.values()]
    problems += [
        (warned.at, Segment(harmless(warned.text), Style.WARN)) for warned in view.warnings
    ]
    problems.sort(key=lambda each: each[0], reverse=True)
    return [
        segment._replace(text=f"{_clock(at)}Z {segment.text}")
        for at, segment in problems[:PROBLEMS_SHOWN]
    ]


def _problem(group: Sequence[RecentFailure]) -> Segment:
    last = group[-1]
    keys = ", ".join(harmless(failure.key) for failure in group[: -KEYS_NAMED - 1 : -1])
    more = ", …" if len(group) > KEYS_NAMED else ""
    reason = harmless(last.reason or "no reason given")
    text = f"{outcome_words(last.outcome)} {keys}{more}: {reason}"
    return Segment(text, _tone(last.outcome))


def _flow(segments: Sequence[Segment], columns: int) -> list[Line]:
    """Fill lines with segments, two spaces apart; a segment is not wrapped."""
    rows: list[list[Segment]] = []
    used = 0
    for segment in segments:
        width = cell_len(segment.text)
        if rows and used + 2 + width <= columns:
            rows[-1] += [Segment("  "), segment]
            used += 2 + width
        else:
            rows.append([segment])
            used = width
    return [_cut(tuple(row), columns) for row in rows]


def _cut(line: Line, columns: int) -> Line:
    """Return the line with its last segment cut to the width."""
    *before, last = line
    room = columns - sum(cell_len(segment.text) for segment in before)
    if cell_len(last.text) <= room:
        return line
    return (*before, last._replace(text=set_cell_size(last.text, room - 1) + "…"))


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")
