"""Composes a report's verdict, its meaning, and the next steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from runner.core import next_steps
from runner.core.exit_code import ExitCode
from runner.core.frozen import frozen
from runner.core.next_steps import RunArguments, Step
from runner.core.number_text import counted, duration, was_or_were
from runner.core.records.run_record import UNFINISHED, RunRecord
from runner.core.records.undelivered import count_owed, undelivered_text
from runner.core.timestamps import clock_time, seconds_between
from runner.core.transfer.outcome import BY_URGENCY, Outcome
from runner.core.transfer.reasons import Code
from runner.report.model import Content


@frozen
class RunVerdict:
    """The head of a report. `tone` is good, doubt, bad or calm."""

    tone: str
    headline: str
    detail: str
    steps: tuple[Step, ...]


_CLAUSES = {Outcome.UNCHANGED: "unchanged since an earlier run"}

_IN_DOUBT = ExitCode.IN_DOUBT.outcome

_OTHERS = "Transfers that are not of this batch were in doubt when the run ended."
_SETTLES = (
    "Applying again settles those of which the gateway shows enough; the others need a person."
)
_SETTLES_ONE = "Applying again settles it if the gateway shows enough; otherwise it needs a person."
_SETTLED = "What was in doubt when the run ended has been settled since."

_IS_OR_DIED = "The run is running, or it died: these are the journal's figures now"
_ENDS = {
    "stopped": "The run stopped early",
    "interrupted": "The run was interrupted",
    "unreachable": "The gateway could not be reached",
    "storage": "The run ended because it could not write its journal or report",
    "bug": "The run ended with an internal error",
    "locked": "Another process took the journal over",
}

_NONE = "There was nothing to do: the manifest lists no transfers, or its selections found none."
_NOT_BEGUN = "No transfer was begun."
_UNKNOWN = "the run did not get as far as to know whom it would move"


def verdict_of(content: Content) -> RunVerdict:
    """Return the verdict; doubts come before any other failure."""
    if content.dry_run:
        return _planned(content)
    counts = content.summary.counts
    return RunVerdict(
        _tone(content),
        _headline(content),
        f"{_meaning(content)}{_untold(content)}",
        tuple(_steps(content, counts[Outcome.IN_DOUBT])),
    )


def _untold(content: Content) -> str:
    """Return what was not told to the receivers of callbacks, as sentences."""
    if not (undelivered := content.source.undelivered):
        return ""
    each = "; ".join(callback.text for callback in undelivered)
    return f" {undelivered_text(undelivered)}: {each}.".removeprefix(
        "" if _meaning(content) else " "
    )


def _tone(content: Content) -> str:
    counts, outcome = content.summary.counts, content.source.run.outcome
    if counts[Outcome.IN_DOUBT] or (outcome == _IN_DOUBT and content.source.run.others_in_doubt):
        return "doubt"
    is_done = not content.summary.failures and not _left(content)
    return "good" if outcome == "ok" or (outcome == _IN_DOUBT and is_done) else "bad"


def _headline(content: Content) -> str:
    """Return the run's counts and duration in one sentence."""
    total, counts = content.summary.total, content.summary.counts
    if not total:
        return _NONE if content.source.run.outcome in {"ok", _IN_DOUBT} else _NOT_BEGUN
    parts = [f"{counts[Outcome.TRANSFERRED]:,} of {total:,} transferred"]
    parts += [
        f"{counts[outcome]:,} {_CLAUSES.get(outcome, outcome.words)}"
        for outcome in BY_URGENCY
        if counts[outcome] and outcome is not Outcome.TRANSFERRED
    ]
    if not counts[Outcome.IN_DOUBT]:
        parts.append("none in doubt")
    duration_s = content.source.run.duration_s
    if duration_s is not None:
        parts.append(f"in {duration(duration_s)}")
    return ", ".join(parts) + "."


def _meaning(content: Content) -> str:
    """Return what the headline's figures mean."""
    counts, outcome = content.summary.counts, content.source.run.outcome
    end = _ENDS.get(outcome)
    doubts = counts[Outcome.IN_DOUBT]
    if outcome == UNFINISHED:
        return f"{_IS_OR_DIED}{', and what is under way is in doubt' if doubts else ''}."
    if doubts:
        doubt = f"{counted(doubts)} may or may not have been carried out"
        return (
            f"{doubt}. {_SETTLES_ONE if doubts == 1 else _SETTLES}"
            if end is None
            else f"{end}, and {doubt}."
        )
    if end is not None:
        left = content.summary.not_begun
        return f"{end}; {_not_attempted(left) if content.summary.total else _UNKNOWN}."
    if outcome == "ok":
        return _done(content)
    if outcome == _IN_DOUBT:
        settled = _OTHERS if content.source.run.others_in_doubt else _SETTLED
        left = _left(content)
        rest = f" {counted(left)} {was_or_were(left)} not attempted." if left else ""
        return f"{settled}{rest}"
    lost, left = content.summary.failures, content.summary.not_begun
    others = f"; {counted(left)} {was_or_were(left)} left out" if left else ""
    total = counted(content.summary.total)
    return f"{lost:,} of {total} {was_or_were(lost)} rejected or failed{others}."


def _left(content: Content) -> int:
    """Return how many of those that the run was asked to move it did not begin."""
    return content.summary.not_begun - content.summary.not_selected


def _not_attempted(number: int) -> str:
    if not number:
        return "no transfer was left waiting"
    return f"{counted(number)} {was_or_were(number)} not attempted"


def _done(content: Content) -> str:
    total, counts = content.summary.total, content.summary.counts
    if not total:
        return ""
    if left := content.summary.not_begun:
        return f"Everything selected is done; {counted(left)} {was_or_were(left)} left out."
    if counts[Outcome.UNCHANGED] == total:
        return f"Nothing to do: an earlier run carried out {'the transfer' if total == 1 else f'all {counted(total)}'}."
    return "The transfer is done." if total == 1 else f"All {counted(total)} are done."


def _steps(content: Content, doubts: int) -> Iterator[Step]:
    if doubts and content.source.run.outcome != UNFINISHED:
        yield from _doubt_steps(content)
    yield from _NEXT.get(content.source.run.outcome, _nothing)(content)
    yield from _tell(content)


def _doubt_steps(content: Content) -> Iterator[Step]:
    yield _go_on(
        content,
        "{again}. What is in doubt is looked up first, and is sent again only where the gateway's "
        "promises make a second move impossible",
    )
    first = next(g for g in content.summary.groups if g.outcome is Outcome.IN_DOUBT)
    run, journal = content.source.run.id, _given(content).journal_path
    yield Step("See what is still in doubt then.", next_steps.status(journal, run))
    elsewhere = first.code == Code.DOUBT_ELSEWHERE
    was, was_not = next_steps.settle(journal, run, first.first_key, elsewhere=elsewhere)
    yield Step(
        "Find each of these at the gateway by its interaction id. It is not sent again until you state "
        f"what you found. If {was.text}:",
        was.argv,
    )
    yield Step(f"If {was_not.text}, so that the next apply sends it:", was_not.argv)


def _nothing(content: Content) -> Iterator[Step]:
    """Yield that nothing is left to do, unless callbacks were not delivered."""
    if count_owed(content.source.undelivered):
        yield _go_on(
            content,
            "See to it that the callbacks can be delivered, and {again}: it delivers those that are"
            " owed, and moves nobody twice",
        )
    elif not content.source.undelivered:
        yield Step("Nothing is left to do.")


def _tell(content: Content) -> Iterator[Step]:
    """Yield what a person does about callbacks that no run tries again."""
    if given_up := [each.callback for each in content.source.undelivered if each.given_up]:
        yield Step(
            f"Tell the receiver of {' and '.join(given_up)} what it was not told: no run tries again what"
            " was given up. Correct its address before the next batch."
        )


def _fix(content: Content) -> Iterator[Step]:
    has_doubts = content.summary.counts[Outcome.IN_DOUBT] > 0
    has_others = not has_doubts and content.source.run.others_in_doubt > 0
    if has_others:
        yield Step(
            "See which of them are in doubt still, look each interaction up at the gateway by its id, "
            "and state what you found.",
            next_steps.status(_given(content).journal_path),
        )
    if has_doubts:  # applying again is the first step there
        if content.summary.failures:
            yield Step(
                "Read below why others were rejected or failed, and fix what the reasons name: the "
                "next apply sends them too."
            )
    elif content.summary.failures:
        yield from _fix_and_apply(content)
    elif _left(content):
        yield _go_on(content, "{again}: only what has not been carried out is sent")
    elif not has_others:
        yield from _nothing(content)


def _fix_and_apply(content: Content) -> Iterator[Step]:
    yield _go_on(
        content,
        "Read the reasons below, fix what they name, and {again}: only what has not been carried "
        "out is sent",
    )


def _resume(content: Content) -> Iterator[Step]:
    yield _go_on(
        content,
        f"{_when(content.source.run)}: it continues with what has not been carried out, "
        "and sends nothing twice",
    )


def _when(run: RunRecord) -> str:
    """Return when a run that ended early is to be continued."""
    if run.outcome == "interrupted":
        return "When the batch may go on, {again}"
    if run.outcome != "stopped" or run.windows is None or run.windows.closed_at is None:
        return "When the cause is removed, {again}"
    if not run.windows.openings:
        return "The windows closed: when the manifest has one that opens, {again}"
    opens = clock_time(run.windows.openings[0].opens_utc)
    return f"When the windows open again, at {opens} UTC, {{again}}"


def _follow(content: Content) -> Iterator[Step]:
    """Yield what to do with a run that had not ended when it was reported."""
    run, journal = content.source.run.id, _given(content).journal_path
    yield Step("See whether it goes on, and what holds it.", next_steps.status(journal, run))
    yield _go_on(
        content,
        "if it has died, {again}: it continues with what has not been carried out, and sends nothing "
        "twice",
    )


def _diagnose(content: Content) -> Iterator[Step]:
    given, host = _given(content), content.source.run.host
    if given.submission is None:
        yield Step("Find the obstacle.", next_steps.doctor(given))
    else:  # its secrets, and its way to the gateway, are the worker's
        yield Step(f"Find the obstacle on the worker's host, {host}: see the explanation above.")
    yield from _resume(content)


def _store(content: Content) -> Iterator[Step]:
    yield Step("Free space, or fix the permissions, where journal and report are stored.")
    yield from _resume(content)


def _report_bug(content: Content) -> Iterator[Step]:
    yield Step("The log file holds the trace: attach it to a bug report.")
    yield from _resume(content)


def _overtaken(content: Content) -> Iterator[Step]:
    given = _given(content)
    yield Step("See how the run goes that took it over.", next_steps.status(given.journal_path))
    yield from _resume(content)


_NEXT: dict[str, Callable[[Content], Iterator[Step]]] = {
    _IN_DOUBT: _fix,
    UNFINISHED: _follow,
    "failures": _fix_and_apply,
    "stopped": _resume,
    "interrupted": _resume,
    "unreachable": _diagnose,
    "storage": _store,
    "bug": _report_bug,
    "locked": _overtaken,
}


def _given(content: Content) -> RunArguments:
    return RunArguments.of(content.source.run)


def _go_on(content: Content, sentence: str) -> Step:
    return _as_sentence(next_steps.go_on(_given(content), sentence))


def _as_sentence(step: Step) -> Step:
    return replace(step, text=f"{step.text[0].upper()}{step.text[1:]}.")


def _plan_steps(content: Content, send: int) -> Iterator[Step]:
    """Yield how to carry out a plan; with `--again` by a plan file, so that it moves only once."""
    given, plan, run = _given(content), content.source.plan, content.source.run
    approvals = plan.approvals if plan is not None else 0
    if not send and not (plan is not None and plan.selections):
        if plan is None or not plan.in_doubt:
            yield from _nothing(content)
    elif given.plan is None and (given.options.again or approvals):
        again = given.options.again
        name = f"{run.id}.json" if again else next_steps.plan_name(run.reverts)
        given = replace(given, plan=name)
        needs_preflight = plan is not None and plan.needs_preflight
        yield Step(
            _SAVE_AGAIN if again else _SAVE_TO_SIGN,
            next_steps.plan(given, out=given.plan, preflight=needs_preflight),
        )
        yield from _carry_out(given, "Carry it out.", approvals, _waits_s(content))
    else:
        if given.plan is None and plan is not None and plan.selections:
            yield Step(_ASK, next_steps.plan(given, preflight=True))
        text = "Read the plan below, then carry it out."
        waits_s = _waits_s(content)
        if plan is not None and next_steps.WAIT in next_steps.apply(given, waits_s=waits_s):
            text = _WAIT.format(plan.opens_at)
        yield from _carry_out(given, text, approvals, waits_s)
    if plan is not None and plan.in_doubt:
        yield Step("See what is in doubt.", next_steps.status(given.journal_path))


def _waits_s(content: Content) -> float | None:
    """Return how long after a plan its windows open; None: they were open, or there are none."""
    plan = content.source.plan
    opens_at = None if plan is None else plan.opens_at
    return seconds_between(content.source.run.started_at, opens_at)


def _carry_out(
    given: RunArguments, text: str, approvals: int, waits_s: float | None
) -> Iterator[Step]:
    """Yield how a plan is applied, once `approvals` people have signed it and its window opens."""
    if not approvals or given.plan is None:
        yield Step(text, next_steps.apply(given, waits_s=waits_s))
        return
    yield from map(_as_sentence, next_steps.approve(given, approvals, waits_s=waits_s))


_WAIT = (
    "Read the plan below. Nothing is sent before the window opens, at {}: wait for that and carry it"
    " out, or have at or cron run it then, without --wait."
)
_ASK = "See whom the selections find now; nobody is moved."
_SAVE_AGAIN = (
    "Read the plan below, then save it: what it moves again is moved only once, however often the"
    " file is applied."
)
_SAVE_TO_SIGN = "Read the plan below, then save it: people approve a file, not a manifest."


def _planned(content: Content) -> RunVerdict:
    plan = content.source.plan
    send = plan.send if plan is not None else content.summary.not_begun
    steps = tuple(_plan_steps(content, send))
    parts = [f"Applying this would send {counted(send)}"]
    if plan is None:
        return RunVerdict("calm", f"Nothing was sent. {parts[0]}.", "", steps)
    doubts = f"{plan.in_doubt:,} in doubt" if plan.in_doubt else "none in doubt"
    if plan.selections:
        parts.append(f"and what {counted(plan.selections, 'selection')} will find")
    parts += [f"{plan.unchanged:,} unchanged", doubts]
    if send and plan.estimate_s is not None:
        parts.append(f"in about {duration(plan.estimate_s)}")
    detail = "Nothing was sent: this is the plan."
    if plan.changed:
        detail += (
            f" {plan.changed:,} of them were carried to another destination by an earlier run."
        )
    if plan.opens_at is not None:
        detail += f" Nothing would be sent before the window opens, at {plan.opens_at}."
    if plan.misses_window:
        detail += (
            f" At the limits it would not end within its window, which closes at"
            f" {plan.closes_at}: the rest would not be sent."
        )
    tone = "doubt" if plan.in_doubt or plan.misses_window else "calm"
    return RunVerdict(tone, ", ".join(parts) + ".", detail, steps)
