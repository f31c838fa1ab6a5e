"""Describes the session's events in sentences: opened, lost, slowed, renewed, each with its time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from runner.core.number_text import duration, figure
from runner.core.pacing.pace_left import WHY_TEXTS
from runner.core.records.run_record import TimelineEvent, TimelineEventKind
from runner.core.timestamps import clock_time, seconds_or_none
from runner.report.model import Content

LINES_SHOWN = 200
"""Most lines shown: half of them the first, half the last."""

TENTHS_BELOW_S = 60
"""Times below this show tenths of a second."""

_CODES = {
    1000: "normal closure",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported frame",
    1006: "connection cut",
    1007: "invalid text",
    1008: "policy violation",
    1009: "message too large",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
}
_SENTENCES: Mapping[str, str] = {
    TimelineEventKind.RENEWED: "The token was renewed.",
    TimelineEventKind.ANSWERED: "The gateway answered again: the circuit closed.",
}


class TimelineLine(NamedTuple):
    """One line of the timeline; `turn` is its style."""

    at: str
    since: str
    turn: str
    text: str
    said: str | None = None  # the gateway's own text


class SessionTimeline(NamedTuple):
    """The first lines, and the last lines if some in between are omitted."""

    first: tuple[TimelineLine, ...]
    omitted: int
    last: tuple[TimelineLine, ...]

    @property
    def lines(self) -> tuple[TimelineLine, ...]:
        """All lines shown."""
        return self.first + self.last


def session_timeline(content: Content, shown: int = LINES_SHOWN) -> SessionTimeline:
    """Return the session's events as sentences, from the run's beginning to its end."""
    lines = list(_lines(content))
    omitted, half = content.source.figures.story_omitted, shown // 2
    if len(lines) <= shown and not omitted:
        return SessionTimeline(tuple(lines), 0, ())
    middle = min(half, len(lines) // 2)
    first, last = lines[:middle], lines[max(middle, len(lines) - half) :]
    return SessionTimeline(tuple(first), omitted + len(lines) - len(first) - len(last), tuple(last))


def timeline_events(content: Content) -> tuple[TimelineEvent, ...]:
    """Return the recorded events; for runs that recorded none, the ends of their sessions."""
    figures = content.source.figures
    if figures.story:
        return figures.story
    start = seconds_or_none(content.source.run.started_at)
    return tuple(
        TimelineEvent(
            (seconds_or_none(close.at) or 0.0) - start if start is not None else 0.0,
            close.at,
            TimelineEventKind.CLOSED if close.code == 1000 else TimelineEventKind.LOST,  # noqa: PLR2004 - how we close
            code=close.code,
            reason=close.reason,
        )
        for close in figures.session_closes
    )


def _lines(content: Content) -> Iterator[TimelineLine]:
    run, tls = content.source.run, content.source.figures.tls
    start = seconds_or_none(run.started_at)
    yield TimelineLine(clock_time(run.started_at), "", "began", "The run began.")
    lost_s: float | None = None
    for event in timeline_events(content):
        at_s = seconds_or_none(event.at)
        if event.turn in {TimelineEventKind.LOST, TimelineEventKind.CLOSED}:
            lost_s = at_s
        gap_s = None if at_s is None or lost_s is None else at_s - lost_s
        text, said = _words(event, tls, gap_s)
        yield TimelineLine(clock_time(event.at), _since(start, at_s), event.turn, text, said)
    if run.finished_at is not None:
        end = seconds_or_none(run.finished_at)
        text = f"The run ended: {run.outcome}."
        yield TimelineLine(clock_time(run.finished_at), _since(start, end), "ended", text)


def _since(start: float | None, at_s: float | None) -> str:
    if start is None or at_s is None:
        return ""
    since_s = max(at_s - start, 0.0)
    return f"+{since_s:.1f} s" if since_s < TENTHS_BELOW_S else f"+{duration(since_s)}"


def _words(event: TimelineEvent, tls: str | None, gap_s: float | None) -> tuple[str, str | None]:
    """Return an event's sentence, and the gateway's own text."""
    value, known = event.value, WHY_TEXTS.get(event.reason or "")
    why, said = (f": {known}", None) if known else ("", event.reason)
    text = _SENTENCES.get(event.turn, "An event that this version does not know.")
    match event.turn:
        case TimelineEventKind.OPENED:
            text = _opened(value, tls, gap_s)
        case TimelineEventKind.LOST | TimelineEventKind.CLOSED:
            text = f"The session was {event.turn}{_code(event.code)}."
        case TimelineEventKind.SLOWED:
            text = f"Slowed to {figure(value)}/s{why}."
        case TimelineEventKind.RECOVERED:
            back = "without a limit" if value is None else f"at {figure(value)}/s"
            text = f"Back {back}, as the manifest allows."
        case TimelineEventKind.PAUSED:
            text = f"Silent for {duration(value or 0.0)}{why}."
        case TimelineEventKind.SHUT:
            text = f"{figure(value)} failures in a row: the circuit opened, only probes are sent."
        case TimelineEventKind.CONTROL:
            text, said = f"{event.reason or 'A command was given'}.", None
        case TimelineEventKind.WAVE:
            text, said = f"Wave {figure(value)} {event.reason or 'began'}.", None
    return text, said


def _opened(value: float | None, tls: str | None, gap_s: float | None) -> str:
    how = tls or "no TLS (a loopback address)"
    if value is None or value <= 1:
        return f"The session opened, with {how}."
    after = "" if gap_s is None else f", {duration(gap_s)} after the last one ended"
    return f"Dialled again: session {figure(value)} opened{after}."


def _code(code: int | None) -> str:
    if code is None:
        return " without a close code"
    name = _CODES.get(code)
    return f", code {code} ({name})" if name else f", code {code}"
