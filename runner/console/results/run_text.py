"""Renders the result of a run as text: verdict, counts, reasons, next steps.

`plan_text` renders the parts that only a plan's result has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from types import MappingProxyType

from runner.console.diagnostics.formats import github_command, without_commands
from runner.console.live.progress_text import allowed, outcome_counts
from runner.console.log.redaction import harmless, redact
from runner.console.results.plan_text import (
    doubts_text,
    plan_schedule,
    plan_steps,
    plan_verdict,
    planned_moves,
    planned_sums,
)
from runner.console.results.run_result import Group, RunResult
from runner.console.terminal_text import Paint, folded, shorten_apart, visible
from runner.core import next_steps
from runner.core.diagnostics.advice import advice
from runner.core.exit_code import ExitCode
from runner.core.next_steps import Step
from runner.core.number_text import counted, duration, was_or_were
from runner.core.records.batch_progress import done_so_far, previous_run, since_previous
from runner.core.records.undelivered import undelivered_text
from runner.core.transfer.outcome import BY_URGENCY, Outcome, outcome_words
from runner.core.transfer.reasons import Code

MAX_GROUPS = 10
MAX_EXAMPLES = 3
MAX_ADVICE = 3
REASON_LIMIT = 90
TEXT_WIDTH = 78
PAGE = "report.html"
"""The file of a report's folder that people open."""

DOUBT = "each may have been carried out or not; none is sent again blindly"
WELL = (ExitCode.OK, ExitCode.PENDING)


def render_result(
    result: RunResult, *, color: bool = False, width: int | None = None, links: bool = False
) -> str:
    """Return the result as text; with `links` the report's path is a link to its page.

    Lines wider than `width` are wrapped between words; None: lines are not wrapped.
    """
    paint = Paint(color, links)
    lines = [_verdict_line(result, paint), f"  {paint.faint(_where(result))}"]
    lines += _explanation(result)
    for section in (
        _counts(result),
        _progress(result, paint),
        planned_moves(result, paint),
        planned_sums(result, paint),
        _groups(result.groups, paint),
        _untold(result, paint),
        _next(result, paint),
    ):
        if texts := list(section):
            lines += ["", *texts]
    if result.report:
        lines += ["", f"report: {paint.path(result.report, Path(result.report, PAGE))}"]
    return "".join(f"{row}\n" for line in lines for row in folded(line, width))


def result_to_github(result: RunResult) -> str:
    """Return the verdict as a GitHub workflow command, and the rest as plain lines."""
    command = "notice" if result.exit_code in WELL else "error"
    body = without_commands(render_result(result))
    return f"{github_command(command, verdict(result), title=result.batch)}\n{body}"


def verdict(result: RunResult) -> str:
    """Return the verdict in one plain line: the exit code's name, a colon, and its meaning."""
    if result.plan is not None:
        return plan_verdict(result, result.plan)
    words, total = _WORDS.get(result.exit_code), counted(result.total, "transfer")
    lost = sum(number for outcome, number in result.counts.items() if outcome.is_failure)
    match result.exit_code:
        case ExitCode.OK:
            untold = f"; {undelivered_text(result.undelivered)}" if result.undelivered else ""
            return f"{_well(result)}{untold}"
        case ExitCode.FAILURES:
            others = f"; {result.not_selected:,} not selected" if result.not_selected else ""
            return f"failures: {lost:,} of {total} {was_or_were(lost)} rejected or failed{others}"
        case ExitCode.IN_DOUBT:
            return f"in doubt: {doubts_text(result.counts.get(Outcome.IN_DOUBT, 0), total)}"
    why = harmless(result.explanation or "") or (words or "the run ended early")
    nothing = "; nothing was sent" if result.exit_code is ExitCode.UNREACHABLE else ""
    return f"{result.exit_code.outcome}: {why}{nothing}"


_WORDS: Mapping[ExitCode, str] = MappingProxyType(
    {
        ExitCode.UNREACHABLE: "could not authenticate or connect",
        ExitCode.STORAGE: "journal or report could not be written",
        ExitCode.LOCKED: "another run holds the journal's lock",
        ExitCode.BUG: "an internal error of runner",
        ExitCode.INTERRUPTED: "SIGINT ended the run; transfers in flight were given time to settle",
        ExitCode.TERMINATED: "SIGTERM ended the run; transfers in flight were given time to settle",
        ExitCode.HANGUP: "SIGHUP ended the run; transfers in flight were given time to settle",
    }
)
_EXPLAINED_BELOW = (ExitCode.OK, ExitCode.FAILURES, ExitCode.IN_DOUBT)
"""Codes whose explanation is a line of its own, not the verdict."""


def _well(result: RunResult) -> str:
    total = counted(result.total, "transfer")
    if not result.total:
        return "ok: no transfers were listed or selected"
    if result.done < result.total:
        return f"ok: {result.done:,} of {total} done; {result.not_selected:,} not selected"
    if result.counts.get(Outcome.UNCHANGED, 0) == result.total:
        who = "the one transfer was" if result.total == 1 else f"all {total} were"
        earlier = "an earlier run" if result.total == 1 else "earlier runs"
        return f"ok: nothing to send, {who} carried out by {earlier}"
    return f"ok: all {total} done" if result.total != 1 else "ok: the one transfer is done"


def _verdict_line(result: RunResult, paint: Paint) -> str:
    word, colon, rest = verdict(result).partition(":")
    strong = paint.green if result.exit_code in WELL else paint.red
    return strong(word) + colon + rest


def _where(result: RunResult) -> str:
    parts = [f"batch {visible(result.batch)}", f"environment {visible(result.environment)}"]
    if result.run_id:
        parts.append(f"run {visible(result.run_id)}")
    if result.duration_s is not None:
        parts.append(f"{'' if result.plan else 'duration '}{duration(result.duration_s)}")
    return ", ".join(parts)


def _explanation(result: RunResult) -> Iterator[str]:
    if result.plan is not None:
        told = result.remarks or filter(None, [result.explanation])
        yield from (f"  {harmless(each)}" for each in told)
    elif result.explanation and result.exit_code in _EXPLAINED_BELOW:
        yield f"  {harmless(result.explanation)}"
    if result.plan is not None:
        asked = "the gateway was only queried" if result.connected else "no connection was made"
        yield f"  nothing was sent; {asked}"


def _counts(result: RunResult) -> Iterator[str]:
    """Yield a line for each count that is not zero, with the numbers aligned."""
    plan = result.plan
    rows = {outcome_words(name): n for name, n in outcome_counts(result.counts).items()}
    if plan is not None:
        rows = {"would be sent": plan.send, "unchanged": plan.unchanged}
        rows |= {"in doubt": plan.in_doubt} if plan.in_doubt else {}
        skipped = max(plan.skipped, result.counts.get(Outcome.SKIPPED, 0))
        rows |= {"skipped": skipped} if skipped else {}
    name_width = max(map(len, rows), default=0)
    width = max((len(f"{n:,}") for n in rows.values()), default=0)
    for name, n in rows.items():
        changed = plan.changed if plan is not None and name == "would be sent" else 0
        note = f"  {changed:,} of them carried to another destination before" if changed else ""
        yield f"  {name:<{name_width}}  {n:>{width},}{note}"
    if plan is not None and plan.send:
        yield from plan_schedule(plan)
    if (
        (figures := result.figures) is not None
        and figures.rate_limit_per_s
        and figures.peak_in_any_second
    ):
        bound = allowed(figures.rate_limit_per_s, figures.burst)
        yield f"  at most {figures.peak_in_any_second:,} sent in a second, of {bound}"


def _progress(result: RunResult, paint: Paint) -> Iterator[str]:
    """Yield what the run added to its batch; nothing where it is the first."""
    if (progress := result.progress) is None:
        return
    yield f"  {paint.bold('since')} {visible(previous_run(progress))}: {since_previous(progress)}"
    yield f"  {paint.bold('so far')} {done_so_far(progress, result.done, result.total, result.not_selected)}"


def _groups(groups: Sequence[Group], paint: Paint) -> Iterator[str]:
    """Yield the reasons of transfers that did not succeed, the most urgent outcome first."""
    ordered = sorted(
        (group for group in groups if group.outcome.needs_reason),
        key=lambda group: (group.outcome.rank, -group.count),
    )
    if not ordered:
        return
    yield paint.bold("reasons")
    width = max(len(f"{group.count:,}") for group in ordered[:MAX_GROUPS])
    reasons = [redact(group.reason or "no reason given") for group in ordered[:MAX_GROUPS]]
    shown = shorten_apart(reasons, REASON_LIMIT)
    for group, reason in zip(ordered, shown, strict=False):
        yield f"  {group.count:>{width},} {group.outcome.words}: {reason}"
        if names := group.names or group.examples:
            places = [visible(name) for name in names]
            rest = max(0, group.count - len(places[:MAX_EXAMPLES]))
            more = f" and {rest:,} more" if rest else ""
            yield paint.faint(f"  {'':>{width}}   {', '.join(places[:MAX_EXAMPLES])}{more}")
    if rest_groups := ordered[MAX_GROUPS:]:
        transfers = counted(sum(group.count for group in rest_groups), "transfer")
        yield f"  … and {counted(len(rest_groups), 'more reason')} for {transfers}: see the report"


def _untold(result: RunResult, paint: Paint) -> Iterator[str]:
    """Yield the callbacks that were not delivered."""
    if result.undelivered:
        yield paint.bold("callbacks not delivered")
    yield from (f"  {visible(redact(each.text))}" for each in result.undelivered)


def _next(result: RunResult, paint: Paint) -> Iterator[str]:
    """Yield advice on each outcome that needs action, and the commands."""
    counts = {
        outcome: number if outcome.was_begun else number - result.not_selected
        for outcome, number in result.counts.items()
    }
    if result.plan is not None:
        counts = {Outcome.IN_DOUBT: result.plan.in_doubt}
    if result.exit_code is ExitCode.IN_DOUBT:
        counts[Outcome.IN_DOUBT] = max(1, counts.get(Outcome.IN_DOUBT, 0))
    todo = [o for o in BY_URGENCY if o.advice is not None and counts.get(o, 0) > 0]
    told = _callback_steps(result)
    if todo or told or (result.plan is not None and any(step.argv for step in result.steps)):
        yield paint.bold("what to do next")
    for outcome in todo:
        for text in [DOUBT] if outcome is Outcome.IN_DOUBT else _advice(outcome, result.groups):
            yield from wrap(
                f"{outcome.words}: {text}",
                width=TEXT_WIDTH,
                initial_indent="  ",
                subsequent_indent="    ",
            )
        if outcome is Outcome.IN_DOUBT:
            yield from _doubt_steps(result)
    yield from _steps(told)
    if result.plan is not None:
        yield from plan_steps(result)
    elif result.exit_code is ExitCode.UNREACHABLE:
        yield from _steps(result.steps)
    elif todo and Outcome.IN_DOUBT not in todo and result.given is not None:
        yield f"    {next_steps.shell_line(next_steps.apply(result.given))}"


def _steps(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        yield from wrap(step.text, TEXT_WIDTH, initial_indent="  ", subsequent_indent="    ")
        yield from () if step.command is None else (f"    {step.command}",)


def _callback_steps(result: RunResult) -> Sequence[Step]:
    """Return what to do about callbacks where nothing else is left to do."""
    is_done = result.plan is None and result.exit_code is ExitCode.OK
    return result.steps if result.undelivered and is_done else ()


def _doubt_steps(result: RunResult) -> Iterator[str]:
    """Yield how to settle doubts: those of this run by key; others are listed first."""
    given = result.given
    if given is None:
        return
    journal = given.journal_path
    # A doubt of a plan, or one that the manifest does not list, belongs to another run.
    run = result.run_id if result.plan is None and result.doubt_key is not None else None
    looked_up = 1  # the number of this step: a plan comes before any `apply`
    if result.plan is None:
        yield "    1. apply again: it looks each one up, and settles those that show evidence"
        yield f"       {next_steps.shell_line(next_steps.apply(given))}"
        looked_up = 2
    if run is None or result.doubt_key is None:
        yield f"    {looked_up}. see which runs left the others, and the command that lists each"
        yield f"       {next_steps.shell_line(next_steps.status(journal))}"
        yield f"    {looked_up + 1}. look each up at the gateway, and state what you saw, as it says"
        return
    yield f"    {looked_up}. look up the others at the gateway, by the ids that this command lists"
    yield f"       {next_steps.shell_line(next_steps.status(journal, run))}"
    yield f"    {looked_up + 1}. state what you saw, for each one"
    first = next((g for g in result.groups if g.outcome is Outcome.IN_DOUBT), None)
    elsewhere = first is not None and first.code == Code.DOUBT_ELSEWHERE
    for step in next_steps.settle(journal, run, result.doubt_key, elsewhere=elsewhere):
        yield f"       {step.text}:"
        yield f"         {step.command}"


def _advice(outcome: Outcome, groups: Sequence[Group]) -> list[str]:
    """Return advice on an outcome by cause; general advice if there are many causes."""
    advised = {
        advice(group.outcome, group.code, group.status): None
        for group in sorted(groups, key=lambda group: -group.count)
        if group.outcome is outcome and group.code != Code.NOT_SELECTED
    }
    by_cause = [text for text in advised if text is not None]
    return by_cause if 0 < len(by_cause) <= MAX_ADVICE else [outcome.advice or ""]
