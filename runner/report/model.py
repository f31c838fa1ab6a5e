"""A report's content before it is rendered: the source, and its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runner.core.records.run_record import ReportSource, TimelinePoint
from runner.core.records.summary import Summary, summarize

TIMELINE_LIMIT = 600
"""Points that a report's timeline may have (cli.md, "A run leaves")."""


@dataclass(frozen=True, slots=True)
class AuditEnd:
    """How many entries a run's segment of the audit chain has, and the hash of the last.

    `head` is None for a dry run, which leaves no audit log.
    """

    entries: int
    head: str | None


@dataclass(frozen=True, slots=True)
class Content:
    """A report before it is rendered in a format."""

    source: ReportSource
    summary: Summary
    audit: AuditEnd
    folder: str | None = None  # the report folder, where this form does not lie in it

    @property
    def dry_run(self) -> bool:
        """Whether this is a plan's report: nothing was sent."""
        return is_dry_run(self.source)


def is_dry_run(source: ReportSource) -> bool:
    """Return whether `source` is a plan's: `run.outcome` is `planned`."""
    return source.plan is not None or source.run.outcome == "planned"


def build_content(source: ReportSource, audit: AuditEnd | None = None) -> Content:
    """Count `source`; pass `audit` where the chain has been read already."""
    if audit is None:
        audit = _audit_end(source)
    return Content(source, summarize(source.transfers(), source.figures), audit)


def coarsened(
    points: Sequence[TimelinePoint], bin_s: float
) -> tuple[float, tuple[TimelinePoint, ...]]:
    """Return (`bin_s`, `points`), adjacent bins merged until at most `TIMELINE_LIMIT` are left.

    Counts add up; of frames in flight the most is kept and of the pace the slowest, for the
    peaks and the cuts are what one looks for.
    """
    if not points:
        return bin_s, ()
    start_s = points[0].t_s
    numbers = [round((point.t_s - start_s) / bin_s) for point in points]
    factor = -(-(numbers[-1] + 1) // TIMELINE_LIMIT)
    bins: dict[int, list[TimelinePoint]] = {}
    for number, point in zip(numbers, points, strict=True):
        bins.setdefault(number // factor, []).append(point)
    return bin_s * factor, tuple(_merged(bin_points) for bin_points in bins.values())


def _merged(points: Sequence[TimelinePoint]) -> TimelinePoint:
    rates = [point.rate_per_s for point in points if point.rate_per_s is not None]
    return TimelinePoint(
        points[0].t_s,
        sum(point.sent for point in points),
        sum(point.settled for point in points),
        max(point.in_flight for point in points),
        min(rates) if rates else None,
    )


def _audit_end(source: ReportSource) -> AuditEnd:
    if source.audit is None:
        return AuditEnd(0, None)
    entries, head = 0, source.audit_previous
    for entry in source.audit():
        entries, head = entries + 1, entry.hash
    return AuditEnd(entries, head)
