"""`runner submit`, `cancel`, `drain` and `status --fleet`: the fleet from outside."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from runner.app.signals import Signals
from runner.app.status import fleet_holds
from runner.app.submit import (
    cancel_submission,
    drain_worker,
    fleet_state,
    moment_of,
    submit_manifest,
    waiting,
)
from runner.cli import options
from runner.cli.dataclass_options import expand_dataclasses
from runner.cli.output import boundary
from runner.console.diagnostics.formats import OutputFormat
from runner.console.diagnostics.problem_text import MAX_PROBLEMS
from runner.console.results.fleet import fleet_to_json, render_fleet
from runner.console.terminal_text import visible
from runner.core import next_steps
from runner.core.errors import Interrupted, UsageError
from runner.core.exit_code import ExitCode, worst

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.cli.output import Console
    from runner.core.journal_location import JournalLocation
    from runner.ports.fleet import Submission

POLL_S = 0.5

_Journal = options.Journal


@expand_dataclasses
def submit(
    manifest: options.Manifest,
    *,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", envvar="RUNNER_WAIT", help="Wait for its end; exit as `apply` would have."
        ),
    ] = False,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="Begin at this time, such as 2026-12-01T02:00:00+01:00; not sooner.",
            show_default=False,
        ),
    ] = None,
    environment: options.Envs = None,
    batch: options.SharedOptions,
    max_problems: options.MaxProblems = MAX_PROBLEMS,
    output: options.OutputOptions,
) -> None:
    """Store a manifest and its row files in the journal, for a worker to carry."""
    Signals().install()
    console = output.console(no_progress=True, max_problems=max_problems)
    with boundary(console, manifest):
        journal = _named(batch.journal)
        not_before = None if at is None else moment_of(at)
        requests = batch.requests(manifest, environment, validate_only=True)
        submitted = submit_manifest(requests, journal, not_before)
        console.show_problems(submitted.warnings, manifest.parent, result=False)
        for number in submitted.ids:
            _show_submitted(console, number, journal)
        if wait:
            raise SystemExit(_wait_for_all(console, journal, submitted.ids))


def cancel(
    submission: Annotated[int, typer.Argument(metavar="SUBMISSION", help="Its number.")],
    *,
    journal: _Journal = None,
) -> None:
    """End a submission: one that waits never begins, one that runs sends nothing more."""
    console = options.OutputOptions().console()
    with boundary(console):
        before = cancel_submission(_named(journal), submission)
        if before.state.is_over:
            console.out.write(f"submission {submission} was over already ({before.state})\n")
        else:
            console.out.write(
                f"submission {submission} is to end: nothing more of it is begun;"
                f" what is in flight gets its time to settle\n"
            )


def drain(
    worker: Annotated[str, typer.Argument(metavar="WORKER", help="Its name.")],
    *,
    journal: _Journal = None,
) -> None:
    """Let a worker hand over what it runs and take nothing more, until it is started again."""
    console = options.OutputOptions().console()
    with boundary(console):
        drain_worker(_named(journal), worker)
        console.out.write(f"worker {worker} hands over what it runs; restart it to use it again\n")


def show_fleet(console: Console, journal: JournalLocation | None) -> None:
    """Show who owns what since when, what waits, and the last takeovers."""
    with boundary(console):
        state = fleet_state(_named(journal))
        held = fleet_holds(_named(journal), state)
        console.show(partial(render_fleet, held=held), partial(fleet_to_json, held=held), state)


def _named(journal: JournalLocation | None) -> JournalLocation:
    """Return the journal. Raises `UsageError` if none was named."""
    if journal is None:
        raise UsageError(
            "which fleet? Name its journal with --journal postgresql://HOST/DATABASE, or set"
            " RUNNER_JOURNAL"
        )
    return journal


def _show_submitted(console: Console, number: int, journal: JournalLocation) -> None:
    if console.output is not OutputFormat.JSON:
        again = next_steps.shell_line(next_steps.fleet(str(journal)))
        console.err.write(f"submission {number} waits for a worker; to see it:\n  {again}\n")
    else:
        console.out.write(f'{{"submission": {number}}}\n')


def _wait_for_all(console: Console, journal: JournalLocation, numbers: Sequence[int]) -> int:
    """Wait until submissions are over; return the worst exit code, or that of a signal."""
    left, codes = [*numbers], list[int]()
    try:
        while left:
            codes.append(_wait(console, journal, left[0]))
            del left[0]
    except Interrupted as interrupted:
        console.err.write(_stay_text(left, journal))
        return interrupted.code
    return worst(codes)


def _stay_text(numbers: Sequence[int], journal: JournalLocation) -> str:
    """Return what becomes of submissions that are no longer waited for, and how to end them."""
    if len(numbers) == 1:
        stay = f"submission {numbers[0]} stays, and a worker carries it out"
    else:
        stay = f"submissions {' and '.join(map(str, numbers))} stay, and workers carry them out"
    see = next_steps.fleet(str(journal))
    ends = (next_steps.cancel(str(journal), number) for number in numbers)
    lines = [f"stopped waiting: {stay}; to see it:", f"  {next_steps.shell_line(see)}"]
    lines += ["to end it:", *(f"  {next_steps.shell_line(each)}" for each in ends)]
    return "".join(f"{line}\n" for line in lines)


def _wait(console: Console, journal: JournalLocation, number: int) -> int:
    """Wait until a submission is over; return its exit code."""
    told: tuple[object, ...] = ()
    for found in waiting(journal, number, time.sleep, POLL_S):
        now = (found.state, found.worker)
        if now != told and not found.state.is_over:
            by = "" if found.worker is None else f" by worker {found.worker}"
            console.err.write(f"submission {number}: {found.state}{by}\n")
        told, last = now, found
    console.out.write(_end_text(last, journal))
    return last.exit_code if last.exit_code is not None else ExitCode.INTERRUPTED


def _end_text(found: Submission, journal: JournalLocation) -> str:
    code = "" if found.exit_code is None else f", exit code {found.exit_code}"
    lines = [f"submission {found.id} ({found.batch}): {found.state}{code}"]
    if found.explanation:
        lines.append(f"  {visible(found.explanation)}")
    if found.run is not None and found.lane is not None:
        where = str(journal) + ("&" if "?" in str(journal) else "?") + f"lane={found.lane}"
        again = next_steps.render(where, found.run)
        lines += ["its report:", f"  {next_steps.shell_line(again)}"]
    return "".join(f"{line}\n" for line in lines)
