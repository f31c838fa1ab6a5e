"""A report's content before it is rendered: source, summary and end of the audit chain."""

from __future__ import annotations

from collections.abc import Sequence

from runner.core.frozen import frozen
from runner.core.records.run_record import PLANNED, ReportSource, TimelinePoint
from runner.core.records.summary import Summary, summarize

TIMELINE_LIMIT = 600
"""Most points of a report's timeline (cli.md, "A run leaves")."""


MOST_PLANNED = 100_000
"""Most rows of a plan that its report.json lists: of a million it would take 400 MB. A plan file has all."""


@frozen
class AuditEnd:
    """How many entries a run's segment of the audit chain has, and the hash of the last.

    `head` is None for a dry run, which has no audit log.
    """

    entries: int
    head: str | None


@frozen
class Content:
    """A report before it is rendered in a format."""

    source: ReportSource
    summary: Summary
    audit: AuditEnd
    folder: str | None = None  # the report folder, if this file is written elsewhere
    rendered_at: str | None = None  # None: when the run ended

    @property
    def dry_run(self) -> bool:
        """Whether this is the report of a plan, which sent nothing."""
        return is_dry_run(self.source)

    @property
    def omitted(self) -> int:
        """How many rows of a plan report.json leaves out."""
        return max(0, self.summary.total - MOST_PLANNED) if self.source.plan is not None else 0


def is_dry_run(source: ReportSource) -> bool:
    """Return whether `source` is of a plan: `run.outcome` is `planned`."""
    return source.plan is not None or source.run.outcome == PLANNED


def build_content(source: ReportSource, audit: AuditEnd | None = None) -> Content:
    """Return the content of `source`; pass `audit` if the chain has been read already."""
    if audit is None:
        audit = _audit_end(source)
    return Content(source, summarize(source.transfers(), source.figures), audit)


def coarsened(
    points: Sequence[TimelinePoint], bin_s: float
) -> tuple[float, tuple[TimelinePoint, ...]]:
    """Return the bins' length and the points, merged to at most `TIMELINE_LIMIT` points.

    Counts are added. Of frames in flight and of the allowed rate the maximum is kept: a lower rate
    would look as if frames had broken it.
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
    rates = [point.rate_per_s for point in points]
    return TimelinePoint(
        points[0].t_s,
        sum(point.sent for point in points),
        sum(point.settled for point in points),
        max(point.in_flight for point in points),
        None if None in rates else max(rate for rate in rates if rate is not None),
    )


def _audit_end(source: ReportSource) -> AuditEnd:
    if source.audit is None:
        return AuditEnd(0, None)
    entries, head = 0, source.audit_previous
    for entry in source.audit():
        entries, head = entries + 1, entry.hash
    return AuditEnd(entries, head)
