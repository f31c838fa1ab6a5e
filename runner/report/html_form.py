"""report.html: one page that opens offline and asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup

from runner.core.outcome import Outcome
from runner.core.summary import OTHER_REASONS, Summary
from runner.report.content import Content, coarsened
from runner.report.json_form import plain
from runner.report.plots import duration, milliseconds, number, plot_histogram, plot_timeline
from runner.report.rows import moment, packed_rows
from runner.report.verdict import judge

TEMPLATES = Path(__file__).parent / "templates"

GROUPS_SHOWN = 100
"""Rows of the table of reasons."""

CLOSES_SHOWN = 100
"""Rows of the table of sessions' ends, the last ones."""

Figure = tuple[str, str, str | None]
"""A figure's name, its value and a note."""


@dataclass(frozen=True, slots=True)
class Share:
    """An outcome's part of the whole, in percents of the width."""

    outcome: Outcome
    count: int
    x: float
    width: float


def render_html(content: Content, write: Callable[[str], object]) -> None:
    """Write the page, its rows as they are read."""
    template = _templates().get_template("report.html.j2")
    for part in template.generate(_everything(content)):
        write(part)


def _everything(content: Content) -> dict[str, Any]:
    source, summary = content.source, content.summary
    bin_s, points = coarsened(source.figures.timeline, source.figures.timeline_bin_s)
    style, script = _packaged("page.css"), _packaged("page.js")
    return {
        "content": content,
        "run": source.run,
        "summary": summary,
        "verdict": judge(content),
        "shares": tuple(_shares(summary)),
        "figures": tuple(_figures(content)),
        "timeline": plot_timeline(points, bin_s),
        "histogram": plot_histogram(summary.histogram, summary.latency),
        "groups": summary.groups[:GROUPS_SHOWN],
        "grouped": sum(group.count for group in summary.groups),
        "other_reasons": OTHER_REASONS,
        "session": _session(content),
        "closes": [
            (_to_the_second(close.at), close)
            for close in source.figures.session_closes[-CLOSES_SHOWN:]
        ],
        "closes_told": _closes_told(len(source.figures.session_closes)),
        "about": tuple(_about(content)),
        "rows": packed_rows(content),
        "style": Markup(style),  # noqa: S704 - a file of this package
        "script": Markup(script),  # noqa: S704 - a file of this package
        "policy": _policy(style, script),
    }


def _policy(style: str, script: str) -> str:
    """Return a policy that lets this page's own style and script in, and nothing else."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _shares(summary: Summary) -> Iterator[Share]:
    x = 0.0
    for outcome, count in summary.counts.items():
        if count:
            width = count / summary.total * 100
            yield Share(outcome, count, x, width)
            x += width


def _figures(content: Content) -> Iterator[Figure]:
    summary, measured = content.summary, content.source.figures
    yield "Transfers", f"{summary.total:,}", None
    for outcome, count in summary.counts.items():
        if count:
            yield (
                outcome.value.replace("_", " ").capitalize(),
                f"{count:,}",
                _percent(count, summary),
            )
    if content.dry_run:
        yield from _plan_figures(content)
        return
    yield "Deliveries", f"{summary.attempts:,}", _extra_deliveries(summary)
    yield "Latency, median", milliseconds(summary.latency.p50), _tail(summary)
    limit = _pace(measured.rate_limit_per_s) if measured.rate_limit_per_s else "none"
    yield "Rate achieved", _pace(measured.rate_achieved_per_s), f"limit {limit}"
    peak = measured.peak_in_any_second
    yield "Peak in any second", f"{peak:,}", f"{measured.throttled:,} rate-limit answers"
    called = summary.callbacks_delivered
    yield "Callbacks delivered", f"{called:,}", f"{summary.callbacks_failed:,} failed"


def _pace(rate_per_s: float | None) -> str:
    return number(rate_per_s) if rate_per_s is None else f"{number(rate_per_s)}/s"


def _percent(count: int, summary: Summary) -> str:
    """Return a share that never rounds to all or nothing while it is neither."""
    per_mille = round(count / summary.total * 1000)
    if count < summary.total:
        per_mille = min(max(per_mille, 1), 999)
    return f"{per_mille / 10:.1f}".removesuffix(".0") + " %"


def _extra_deliveries(summary: Summary) -> str:
    retries = "1 retry" if summary.retries == 1 else f"{summary.retries:,} retries"
    fallbacks = "1 fallback" if summary.fallbacks == 1 else f"{summary.fallbacks:,} fallbacks"
    return f"{retries}, {fallbacks}"


def _tail(summary: Summary) -> str:
    latency = summary.latency
    return f"p99 {milliseconds(latency.p99)}, max {milliseconds(latency.max)}"


def _plan_figures(content: Content) -> Iterator[Figure]:
    if (plan := content.source.plan) is None:
        return
    yield "To send", f"{plan.send:,}", f"{plan.changed:,} to a new destination"
    yield "In doubt before", f"{plan.in_doubt:,}", None
    estimate = "unknown" if plan.estimate_s is None else duration(plan.estimate_s)
    yield "Estimated time", estimate, "at the limits of the manifest"


def _session(content: Content) -> str:
    figures = content.source.figures
    if not figures.sessions_opened:
        return "No session was opened."
    opened, renewals = figures.sessions_opened, figures.token_renewals
    times = "once" if opened == 1 else f"{opened:,} times"
    tls = figures.tls or "no TLS (a loopback address)"
    renewed = "not renewed" if not renewals else f"renewed {renewals:,} time{'s'[: renewals > 1]}"
    return f"Opened {times}, with {tls}; the token was {renewed}."


def _closes_told(count: int) -> str:
    if count > CLOSES_SHOWN:
        return f"The last {CLOSES_SHOWN} of {count:,} ends of the session; times are UTC; report.json has them all"
    return "Each end of the session, the last one included; times are UTC"


def _to_the_second(text: str) -> str:
    at_s = moment(text)
    if at_s is None:
        return text
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S}"


def _about(content: Content) -> Iterator[tuple[str, str]]:
    run = content.source.run
    yield "Manifest", run.manifest_path
    yield "Its SHA-256", run.manifest_sha256
    yield "Environment", f"{run.environment}: driver {run.driver}, gateway {run.gateway}"
    yield "Started", run.started_at
    if not content.dry_run:
        yield "Finished", run.finished_at or "not yet"
    start, end = moment(run.started_at), moment(run.finished_at or "")
    if start is not None and end is not None:
        yield "Took", duration(max(end - start, 0.0))
    yield "By", f"{run.user} on {run.host}"
    code = "no exit code" if run.exit_code is None else f"exit code {int(run.exit_code)}"
    yield "Ended as", f"{run.outcome}, {code}"
    yield from ((f"Label {name}", str(value)) for name, value in run.labels.items())
    yield from ((f"Option {name}", _option(value)) for name, value in run.options.items())


def _option(value: Any) -> str:
    value = plain(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_Compiled(),
    )


class _Compiled(FileSystemBytecodeCache):
    """Templates compiled once, beside their source as Python keeps its own, where that can be."""

    def __init__(self) -> None:
        super().__init__(str(TEMPLATES / "__pycache__"))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if sys.dont_write_bytecode:
            return
        with suppress(OSError):  # an installed program may be read-only; it compiles each time
            Path(self.directory).mkdir(exist_ok=True)
            super().dump_bytecode(bucket)


def _packaged(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")
