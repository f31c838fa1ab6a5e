"""Renders a plan as text: verdict, rows that would be sent, schedule, next steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runner.console.results.run_result import RunResult
from runner.console.terminal_text import Paint, visible
from runner.core.exit_code import ExitCode
from runner.core.next_steps import WAIT
from runner.core.number_text import counted, duration
from runner.core.pacing.waves import of_it_pauses, wave_sizes
from runner.core.records.run_record import PlanFigures

MAX_WAVES = 8
MAX_MOVES = 20
MAX_DESTINATIONS = 10


def plan_verdict(result: RunResult, plan: PlanFigures) -> str:
    """Return what applying the plan would send, in one line."""
    # After a preflight, none of the plan's numbers includes what would be skipped or rejected.
    planned = plan.send + plan.unchanged + plan.in_doubt + plan.skipped
    total = counted(max(planned, result.total - result.not_selected), "transfer")
    if result.exit_code is ExitCode.IN_DOUBT:
        return f"in doubt: {doubts_text(plan.in_doubt, total)}; {plan.send:,} would be sent"
    if plan.selections:
        found = f"what {counted(plan.selections, 'selection')} will find"
        return f"valid: {plan.send:,} of {total} would be sent, and {found}"
    if not planned and not result.total:
        return "valid: nothing to send, there are no transfers"
    if not plan.send:
        skipped = f", {plan.skipped:,} skipped" if plan.skipped else ""
        return f"valid: nothing to send, {plan.unchanged:,} of {total} unchanged{skipped}"
    return f"valid: {plan.send:,} of {total} would be sent"


def doubts_text(doubts: int, total: str) -> str:
    """Return how many transfers are in doubt, for a plan or a run.

    Not how many need a person: the next run may settle them.
    """
    if not doubts:
        return "a transfer outside this selection may or may not have been carried out"
    return f"{doubts:,} of {total} may or may not have been carried out"


def planned_moves(result: RunResult, paint: Paint) -> Iterator[str]:
    """Yield the rows that would be sent; those moved elsewhere before come first."""
    if result.plan is None or not result.moves:
        return
    yield paint.bold("would move")
    for move in result.moves[:MAX_MOVES]:
        places = filter(None, (move.origin_uri, move.destination_uri))
        way = " \N{RIGHTWARDS ARROW} ".join(_place(uri, result.place_names) for uri in places)
        yield f"  {visible(move.key)}  {way}"
    if (rest := result.plan.send - len(result.moves[:MAX_MOVES])) > 0:
        yield f"  … and {rest:,} more{_see_report(result)}"


def planned_sums(result: RunResult, paint: Paint) -> Iterator[str]:
    """Yield how many rows would be sent to each destination, the largest first."""
    sums = result.destinations
    if not sums:
        return
    yield paint.bold("to each destination")
    width = len(f"{sums[0][1]:,}")
    for uri, number in sums[:MAX_DESTINATIONS]:
        yield f"  {number:>{width},}  {_place(uri, result.place_names)}"
    if rest := sums[MAX_DESTINATIONS:]:
        sends = sum(number for _, number in rest)
        yield (
            f"  … and {sends:,} to {counted(len(rest), 'further destination')}{_see_report(result)}"
        )


def _see_report(result: RunResult) -> str:
    return ": see the report" if result.report else ""


def _place(uri: str, names: Mapping[str, str]) -> str:
    """Return a destination as "queue NAME (ID)" where its name is known, else as it is written."""
    if (name := names.get(uri)) is None:
        return visible(uri)
    kind, _, place_id = uri.removeprefix("genesys://").partition("/")
    return f"{visible(kind)} {visible(name)} ({visible(place_id)})"


def plan_schedule(plan: PlanFigures) -> Iterator[str]:
    """Yield how the plan would be sent: duration, waves, failure threshold, window."""
    if plan.estimate_s is not None:
        yield f"  takes about {duration(plan.estimate_s)} at the limits{of_it_pauses(plan.pauses_s)}"
    if plan.waves:
        sizes = [f"{size:,}" for size in wave_sizes(plan.waves)]
        shown = [*sizes[:MAX_WAVES], "…"] if len(sizes) > MAX_WAVES else sizes
        yield f"  in {counted(len(sizes), 'wave')}: {', then '.join(shown)}"
    if plan.failed_before:
        others = "" if plan.failed_before == plan.send else ", after all others"
        yield f"  {plan.failed_before:,} of them rejected or failed before, and are tried again{others}"
    if plan.max_failures is not None:
        at_once = f": at most {plan.at_once:,} in flight" if plan.at_once is not None else ""
        yield f"  stops when more than {plan.max_failures:,} of {plan.send:,} fail{at_once}"
    if (window := plan.window) is not None:
        begins = f" from {window.not_before}" if window.not_before else ""
        ends = f" until {window.not_after}" if window.not_after else ""
        yield f"  is sent only{begins}{ends}"
    if plan.openings:
        in_utc = "" if plan.zone == "UTC" else " (in UTC)"
        yield f"  is sent only while a window is open, in {plan.zone}{in_utc}:"
    for opening in plan.openings:
        in_utc = f" ({_span(opening.opens_utc, opening.closes_utc)})"
        own = _span(opening.opens, opening.closes)
        yield f"    {own}{'' if plan.zone == 'UTC' else in_utc}"
    if plan.opens_at is not None:
        yield f"  the window is shut until {plan.opens_at}: nothing is sent before"
    if plan.ends_at is not None:
        late = ", after the window has closed: the rest would not be sent"
        yield f"  ends at about {plan.ends_at} at the limits{late if plan.misses_window else ''}"


def _span(opens: str, closes: str | None) -> str:
    """Return an opening for people: the date of its end only where it differs."""
    day, _, begins = opens.partition("T")
    if closes is None:
        return f"{day} {begins[:5]}, and from then on"
    last_day, _, ends = closes.partition("T")
    return f"{day} {begins[:5]} to {'' if last_day == day else f'{last_day} '}{ends[:5]}"


def plan_steps(result: RunResult) -> Iterator[str]:
    """Yield the commands that carry out the plan."""
    approvals = 0 if result.plan is None else result.plan.approvals
    for step in result.steps:
        if step.line is not None or step.argv[1:2] == ("approvals",):
            text: str | None = step.text[0].lower() + step.text[1:].removesuffix(".")
        elif step.argv[1:2] == ("plan",) and "--out" not in step.argv:
            text = "see whom the selections find now; nobody is moved"
        elif WAIT in step.argv:
            text = "wait for the window and carry it out; or have `at` or cron run it then, without --wait"
        elif approvals and step.argv[1:2] == ("plan",) and "--again" not in step.argv:
            text = "save the plan first: people approve a file, not a manifest"
        else:
            text = _STEP_TITLES.get("".join(step.argv[1:2]))
        if text is not None:
            yield f"  {text}:"
            yield f"    {step.command}"


_STEP_TITLES = {
    "plan": "save the plan first, so that what it moves again is moved only once",
    "apply": "carry it out",
}
"""What the commands after a plan do, by command."""
