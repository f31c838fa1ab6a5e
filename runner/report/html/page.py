"""Renders report.html: one page that opens offline and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import (
    Environment,
    FileSystemBytecodeCache,
    FileSystemLoader,
    StrictUndefined,
    Template,
)
from jinja2.bccache import Bucket
from markupsafe import Markup

from runner.core import next_steps
from runner.core.manifest.model import SIMULATOR
from runner.core.records.breakdown import Breakdown, Part
from runner.core.records.run_record import UNFINISHED, RunRecord
from runner.core.timestamps import clock_time
from runner.core.transfer.outcome import Outcome
from runner.report.html import page_figures
from runner.report.html.embedded_rows import embedded
from runner.report.html.manifest_lines import links, shown_lines
from runner.report.html.outcome_categories import CategoryCounts, categories, count_categories
from runner.report.html.page_rows import packed_rows, without_scripts
from runner.report.html.page_windows import windows
from runner.report.html.plots import plot_histogram, plot_timeline
from runner.report.html.session_timeline import session_timeline, timeline_events
from runner.report.model import Content, coarsened
from runner.report.verdict import verdict_of

BEGINNING = re.compile(
    r'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    r'<meta name="generator" content="runner">\n'
)
"""How each page begins that `report` writes: a run's, a comparison, and the list of batches."""

TEMPLATES = Path(__file__).parent / "templates"

STYLES = ("page.css", "charts.css", "transfers.css", "narrow.css", "print.css", "forced.css")
SCRIPTS = ("rows.js", "detail.js", "chart.js", "list.js", "page.js")


_A_COUNT = re.compile(r"(\d) (?=[a-z])")
"""A number and its noun, which a line break must not separate."""


class BreakdownRow(NamedTuple):
    """A row of a breakdown: a part of the batch, as a bar."""

    name: str
    names: int
    total: int
    shares: tuple[page_figures.BarSegment, ...]


def render_html(
    content: Content, write: Callable[[str], object], *, paper: str | None = None
) -> None:
    """Write the page in pieces; rows are not held in memory.

    `paper` is the size that it is printed on, as CSS names it; None: the printer's own.
    """
    template = _templates().get_template("report.html.j2")
    for part in template.generate(_variables(content, paper)):
        write(part)


def _variables(content: Content, paper: str | None) -> dict[str, Any]:
    source, summary = content.source, content.summary
    bin_s, points = coarsened(source.figures.timeline, source.figures.timeline_bin_s)
    style, script = _style() + _page_foot(source.run) + _page_size(paper), _script()
    verdict, given = verdict_of(content), next_steps.RunArguments.of(source.run)
    category_counts, manifest = count_categories(content), shown_lines(source)
    return {
        "content": content,
        "run": source.run,
        "summary": summary,
        "verdict": verdict,
        "headline": _A_COUNT.sub("\\1\N{NO-BREAK SPACE}", verdict.headline),
        "folder": given.folder,
        "commands_folder": given.commands_folder,
        "checks": _checks(content),
        "windows": windows(content),
        "progress": page_figures.progress(content),
        "started": clock_time(source.run.started_at),
        "clock_time": clock_time,
        "kinds": categories(content),
        "kinds_json": [each.to_json() for each in categories(content)],
        "counts": category_counts.counts,
        "shares": page_figures.bar_segments(content, category_counts.counts, summary.total),
        "percents": page_figures.percents(content, category_counts.counts),
        "figures": tuple(page_figures.figures(content)),
        "timeline": plot_timeline(points, bin_s, timeline_events(content)),
        "histogram": plot_histogram(summary.histogram, summary.latency),
        "breakdowns": tuple(_breakdowns(content, category_counts)),
        "reasons": page_figures.reasons(content),
        "grouped": sum(group.count for group in summary.groups),
        "session": page_figures.session(content),
        "story": session_timeline(content),
        "manifest": manifest,
        "links": links(manifest),
        "settle": _settle(content),
        "simulated": source.run.driver == SIMULATOR,
        "sections": tuple(_sections(content)),
        "about": tuple(page_figures.about(content)),
        "unscripted": without_scripts(content),
        "rows": embedded(packed_rows(content)),
        "style": Markup(style),  # noqa: S704 - files of this package
        "script": Markup(script),  # noqa: S704 - files of this package
        "policy": _policy(style, script),
    }


_KEY = "THE-KEY-OF-THE-ROW"


def _settle(content: Content) -> dict[str, Any] | None:
    """Return the commands that settle a doubt, with a mark in the key's place; None: there are none yet."""
    run = content.source.run
    is_over = run.outcome != UNFINISHED  # what is under way may still be answered
    if content.dry_run or not is_over or not content.summary.counts[Outcome.IN_DOUBT]:
        return None
    steps = next_steps.settle(next_steps.RunArguments.of(run).journal_path, run.id, _KEY)
    return {"key": _KEY, "steps": [[step.text, next_steps.shell_line(step.argv)] for step in steps]}


def _sections(content: Content) -> Iterator[tuple[str, str]]:
    """Yield the page's sections, as anchor and name."""
    source = content.source
    yield "figures", "Figures"
    if source.figures.timeline:
        yield "course", "Timeline"
    if content.summary.groups:
        yield "reasons", "Reasons"
    yield "breakdowns", "Destinations"
    if source.decisions:
        yield "decisions", "Decisions"
    if source.gates:
        yield "gates", "Gates"
    if windows(content) is not None:
        yield "windows", "Windows"
    if not content.dry_run:
        yield "session", "Session"
    yield "transfers", "Transfers"
    yield "manifest", "Manifest"
    yield "about", "About"
    if content.audit.head:
        yield "audit", "Audit"


def _checks(content: Content) -> tuple[tuple[str, str], ...]:
    """Return how to check the record and who signed it, as texts and commands."""
    run = content.source.run
    given = next_steps.RunArguments.of(run)
    file = f"{given.report_dir}/{run.batch}/{run.id}/audit.jsonl"
    steps = (
        ("The audit log beside this page:", next_steps.verify_file(file)),
        ("The journal itself:", next_steps.verify_run(given, run.id)),
        (
            "The journal, these reports, and who signed them:",
            next_steps.verify_run(given, run.id, signers="FILE"),
        ),
        ("To sign it, once it checks:", next_steps.sign_run(given, run.id)),
    )
    return tuple((text, next_steps.shell_line(argv)) for text, argv in steps)


def _breakdowns(
    content: Content, category_counts: CategoryCounts
) -> Iterator[tuple[Breakdown, tuple[BreakdownRow, ...]]]:
    for breakdown in category_counts.breakdowns:
        parts = breakdown.parts if breakdown.rest is None else (*breakdown.parts, breakdown.rest)
        yield breakdown, tuple(_row(content, part, breakdown.largest) for part in parts)


def _row(content: Content, part: Part, largest: int) -> BreakdownRow:
    return BreakdownRow(
        part.name, part.names, part.total, page_figures.bar_segments(content, part.counts, largest)
    )


def _style() -> str:
    return "".join(map(_packaged, STYLES))


def _page_foot(run: RunRecord) -> str:
    """Return the rule that names the run at the foot of each printed page."""
    name = re.sub(r"[^\w. -]", "", f"{run.batch} {run.environment} {run.id}", flags=re.ASCII)
    return (
        f'@media print {{ @page {{ @bottom-left {{ content: "{name}"; font: 8pt system-ui; }} }} }}'
    )


def _page_size(paper: str | None) -> str:
    """Return the rules that choose the paper; the list is printed across it."""
    if paper is None:
        return ""
    return f"@page {{ size: {paper}; }} @page list {{ size: {paper} landscape; }}"


def page_style() -> tuple[Markup, str]:
    """Return the style of a page without scripts, and the policy that allows it alone."""
    style = _style()
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; base-uri 'none'; form-action 'none'"
    )
    return Markup(style), policy  # noqa: S704 - files of this package


def template(name: str) -> Template:
    """Return a template of this package."""
    return _templates().get_template(name)


def _script() -> str:
    """Return the page's script; its files share one private scope."""
    return '"use strict";\n(() => {\n' + "".join(map(_packaged, SCRIPTS)) + "})();\n"


def _policy(style: str, script: str) -> str:
    """Return a Content-Security-Policy that allows only this page's style and script."""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_Compiled(),
        finalize=_shown,
    )


_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def _shown(value: object) -> object:
    """Escape control characters in a text: a page is read in terminals too."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), value)


class _Compiled(FileSystemBytecodeCache):
    """Caches compiled templates beside their source, as Python does, if that is writable."""

    def __init__(self) -> None:
        # The number changes with the environment's settings: older compiled templates are not used.
        super().__init__(str(TEMPLATES / "__pycache__"), "__jinja2_2_%s.cache")

    def dump_bytecode(self, bucket: Bucket) -> None:
        if sys.dont_write_bytecode:
            return
        with suppress(OSError):  # a read-only installation compiles each time
            Path(self.directory).mkdir(exist_ok=True)
            super().dump_bytecode(bucket)


def _packaged(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")
