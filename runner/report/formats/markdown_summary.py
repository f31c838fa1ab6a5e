"""The summary of a run as Markdown: for a change ticket, a chat, the summary of a build's step.

A few kilobytes whatever the batch's size: it says how the run ended, why, and what to do next; the
transfers are in the other forms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from runner.core.exit_code import ExitCode
from runner.core.next_steps import RunArguments, Step
from runner.core.number_text import counted, duration, figure, milliseconds, times
from runner.core.pacing.waves import of_it_pauses
from runner.core.records.run_record import DecisionRecord, PlanFigures
from runner.core.records.summary import ReasonGroup
from runner.core.timestamps import clock_time
from runner.core.transfer.outcome import Outcome
from runner.report.formats.markdown_text import code, prose, table
from runner.report.html.page_figures import promised_rate
from runner.report.model import Content
from runner.report.verdict import verdict_of

BEGINNING = re.compile(
    "## [\N{MEMO}\N{WHITE HEAVY CHECK MARK}\N{BLACK QUESTION MARK ORNAMENT}\N{CROSS MARK}] [\\w-]+: <code>"
)
"""How each such file begins."""

MOST_GROUPS = 20
"""Reasons that are listed; the rest is counted."""

NAME_LIMIT = 100
STEP_LIMIT = 400
EXPLANATION_LIMIT = 1_000

Clean = Callable[[str], str]
"""Takes out of a foreign text what must not be shown."""


def render_md(content: Content, write: Callable[[str], object]) -> None:
    """Write the summary with links to the files beside it, or with the report folder's path."""
    if content.folder is not None:
        for part in summary(content, f"The run's report folder is {code(content.folder)}."):
            write(part)
        return
    beside = ["[the page](report.html)", "[all transfers as JSON](report.json)"]
    if content.audit.head is not None:
        beside.append("[the audit log](audit.jsonl)")
    for part in summary(content, f"Beside this file: {', '.join(beside)}."):
        write(part)


def summary(content: Content, whereabouts: str, clean: Clean = str) -> Iterator[str]:
    """Yield the summary's parts; `whereabouts` is Markdown that says where the report is."""
    verdict = verdict_of(content)
    yield f"## {_mark(content)} {code(content.source.run.batch, NAME_LIMIT)}\n\n"
    yield f"**{prose(verdict.headline)}** {prose(verdict.detail)}\n\n"
    if explanation := clean(content.source.run.explanation or ""):
        yield f"{code(explanation, EXPLANATION_LIMIT)}\n\n"
    for caveat in content.source.run.caveats:
        yield f"{code(clean(caveat), EXPLANATION_LIMIT)}\n\n"
    yield table(("", ""), [(f"**{name}**", text) for name, text in _figures(content)])
    yield "\n### What to do next\n\n"
    yield from (f"{n}. {_step(step)}\n" for n, step in enumerate(verdict.steps, start=1))
    folder = RunArguments.of(content.source.run).commands_folder
    if folder is not None and any(step.argv for step in verdict.steps):
        yield f"\nThe commands are for the folder {code(folder, len(folder))}.\n"
    if groups := _groups(content):
        yield "\n### Why\n\n"
        yield from _reasons(groups, clean)
    if decisions := content.source.decisions:
        yield "\n### Decisions\n\n"
        yield from _decisions(decisions, clean)
    yield f"\n{whereabouts}\n"


def _decisions(decisions: Sequence[DecisionRecord], clean: Clean) -> Iterator[str]:
    rows = [
        (each.at, code(clean(each.who), NAME_LIMIT), code(each.what), _why(each, clean))
        for each in decisions[:MOST_GROUPS]
    ]
    yield table(("At", "Who", "What", "Why"), rows)
    if rest := decisions[MOST_GROUPS:]:
        yield f"\nand {counted(len(rest), 'more decision')}: see the report.\n"


def _why(decision: DecisionRecord, clean: Clean) -> str:
    return "" if decision.why is None else code(clean(decision.why), STEP_LIMIT)


def _mark(content: Content) -> str:
    outcome = content.source.run.outcome
    if content.dry_run:
        return "\N{MEMO} planned:"
    if outcome == ExitCode.OK.outcome:
        return "\N{WHITE HEAVY CHECK MARK} ok:"
    doubt = outcome == ExitCode.IN_DOUBT.outcome or content.summary.counts[Outcome.IN_DOUBT]
    sign = "\N{BLACK QUESTION MARK ORNAMENT}" if doubt else "\N{CROSS MARK}"
    return f"{sign} {prose(outcome, NAME_LIMIT)}:"


def _figures(content: Content) -> Iterator[tuple[str, str]]:
    run, plan = content.source.run, content.source.plan
    yield "Run", code(run.id, NAME_LIMIT)
    where = f"{code(run.environment, NAME_LIMIT)}, gateway {code(run.gateway, NAME_LIMIT)}"
    yield "Environment", f"{where}, by {code(run.driver, NAME_LIMIT)}"
    yield "Manifest", f"{code(run.manifest_path)}, SHA-256 {code(run.manifest_sha256[:16])}…"
    if run.approvals:
        yield "Approved by", ", ".join(code(each.who) for each in run.approvals)
    started = f"{code(clock_time(run.started_at))} UTC"
    yield "Started", f"{started}, by {code(f'{run.user} on {run.host}')}"
    if run.duration_s is not None:
        yield "Duration", duration(run.duration_s)
    if plan is None:
        yield from _outcomes(content)
        yield from _pace(content)
        return
    yield from _planned(plan)


def _planned(plan: PlanFigures) -> Iterator[tuple[str, str]]:
    yield "Would be sent", f"{plan.send:,}, of them {plan.changed:,} to a new destination"
    yield "Unchanged", f"{plan.unchanged:,}"
    yield "In doubt", f"{plan.in_doubt:,}"
    if plan.waves:
        yield "Waves", f"{len(plan.waves):,}, the first of {plan.waves[0]:,}"
    if plan.estimate_s is not None:
        yield (
            "Takes",
            f"about {duration(plan.estimate_s)} at the limits{of_it_pauses(plan.pauses_s)}",
        )
    if plan.opens_at is not None:
        yield "Window opens at", code(plan.opens_at)
    if plan.ends_at is not None:
        late = ", **after its window's end**" if plan.misses_window else ""
        yield "Ends at the earliest", f"{code(plan.ends_at)}{late}"


def _outcomes(content: Content) -> Iterator[tuple[str, str]]:
    yield "Transfers", f"{content.summary.total:,}"
    for outcome, count in content.summary.counts.items():
        if count:
            yield outcome.words.capitalize(), f"{count:,}"


def _pace(content: Content) -> Iterator[tuple[str, str]]:
    counts, figures = content.summary, content.source.figures
    if counts.latency.p50 is not None:
        latency = counts.latency
        values = (latency.p50, latency.p90, latency.p99, latency.max)
        yield "Latency p50, p90, p99, most", ", ".join(map(milliseconds, values))
    if figures.rate_achieved_per_s is not None and figures.peak_in_any_second is not None:
        limit = promised_rate(figures)
        allowed = "" if limit is None else f" of {limit}"
        peak = f", at most {figures.peak_in_any_second:,} in a second"
        throttled = f", slowed down {times(figures.throttled)}" if figures.throttled else ""
        yield "Rate", f"{figure(figures.rate_achieved_per_s)}/s{allowed}{peak}{throttled}"
    if counts.attempts:
        again = f"{counted(counts.retries, 'retry', 'retries')}, {counted(counts.fallbacks, 'fallback')}"
        yield "Deliveries", f"{counts.attempts:,}, with {again}"
    if counts.callbacks_delivered or counts.callbacks_failed:
        delivered, failed = counts.callbacks_delivered, counts.callbacks_failed
        yield "Callbacks", f"{delivered:,} delivered, {failed:,} failed"


def _groups(content: Content) -> Sequence[ReasonGroup]:
    """Return what needs a reason; of a plan, what it sends needs none."""
    planned = content.dry_run
    return [g for g in content.summary.groups if not planned or g.outcome.was_begun]


def _reasons(groups: Sequence[ReasonGroup], clean: Clean) -> Iterator[str]:
    rows = [_reason(group, clean) for group in groups[:MOST_GROUPS]]
    yield table(("Count", "Outcome", "Reason", "First keys", "In the manifest"), rows)
    if rest := groups[MOST_GROUPS:]:
        transfers = sum(group.count for group in rest)
        yield f"\nand {counted(len(rest), 'more reason')} for {counted(transfers)}: see the report.\n"


def _reason(group: ReasonGroup, clean: Clean) -> Sequence[str]:
    more = f" and {group.count - len(group.keys):,} more" if group.count > len(group.keys) else ""
    keys = ", ".join(code(key, NAME_LIMIT) for key in group.keys) + more
    places = ", ".join(code(place, NAME_LIMIT) for place in group.examples)
    reason = code(clean(group.reason)) if group.reason else "no reason given"
    return f"{group.count:,}", group.outcome.words, reason, keys, places


def _step(step: Step) -> str:
    # A command that is cut is another command: without its journal it would begin a new one.
    command = "" if step.command is None else f"<br>{code(step.command, len(step.command))}"
    return f"{prose(step.text, STEP_LIMIT)}{command}"
