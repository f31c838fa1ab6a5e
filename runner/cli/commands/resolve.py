"""`runner resolve`: settles transfers in doubt by a person's decision."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.app.find_journal import find_journal
from runner.app.resolve import Resolution, Verdict, doubts_of, resolve_many
from runner.app.resolve import resolve as settle
from runner.app.signals import Signals
from runner.app.verdict_file import read_verdicts
from runner.cli import options
from runner.cli.confirmation import ask_for_line, has_terminal
from runner.cli.dataclass_options import expand_dataclasses
from runner.cli.output import boundary
from runner.console.results.resolution import (
    ResolutionResult,
    render_resolution,
    resolution_to_json,
)
from runner.console.results.resolutions import (
    RefusedKey,
    ResolutionsResult,
    SettledDoubt,
    render_resolutions,
    resolutions_to_json,
)
from runner.console.terminal_text import visible
from runner.core import next_steps
from runner.core.errors import UsageError
from runner.core.exit_code import ExitCode
from runner.core.key_patterns import matcher_of, unmatched

if TYPE_CHECKING:
    from runner.app.resolve import ManyResolved
    from runner.cli.output import Console
    from runner.core.journal_location import JournalLocation
    from runner.ports.history import HeldTransfer


class ResolveAs(StrEnum):
    """The choices of `--as`."""

    TRANSFERRED = "transferred"
    FAILED = "failed"


@expand_dataclasses
def resolve(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's id, or `latest`.", show_default=False)
    ],
    key: Annotated[
        str | None,
        typer.Argument(
            metavar="[KEY]",
            help="The transfer's key; without one, and on a terminal, you are asked one by one.",
            show_default=False,
        ),
    ] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Settle all that the run left in doubt.")] = (
        False
    ),
    only: options.OnlyKeys = None,
    verdicts: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Settle what this CSV file lists, by its columns key, verdict and reason.",
            show_default=False,
        ),
    ] = None,
    resolution: Annotated[
        ResolveAs | None,
        typer.Option("--as", help="What happened, as you saw at the gateway.", show_default=False),
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option("--reason", help="How you know; the audit log keeps it.", show_default=False),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would be settled.")
    ] = False,
    sender_is_dead: Annotated[
        bool,
        typer.Option(
            "--sender-is-dead",
            help="You have seen that the process that sent it has ended; journalled as your word.",
        ),
    ] = False,
    journal: options.JournalSelection,
    lock_timeout: options.LockTimeout = None,
    output: options.OutputOptions,
) -> None:
    """Settle transfers in doubt by a person's decision, journalled with who and when."""
    console, where = output.console(), journal.location()
    Signals().install()
    with boundary(console, where.manifest):
        word = None if resolution is None else Resolution(resolution.value)
        asks = _check(run, [key is not None, every, bool(only), verdicts is not None],
                      complete=word is not None and reason is not None,
                      given=word is not None or reason is not None, dry_run=dry_run,
                      by_file=verdicts is not None)  # fmt: skip
        location = find_journal(where)
        wait_s = lock_timeout or 0.0
        if asks:
            _ask_one_by_one(console, location, run, wait_s)
        elif key is not None and word is not None and reason is not None and not dry_run:
            _settle(
                console,
                location,
                (run, key, word.value, reason),
                wait_s,
                sender_is_dead=sender_is_dead,
            )
        else:
            if verdicts is not None:
                chosen = read_verdicts(verdicts)
            else:
                assert word is not None  # noqa: S101 - checked, as is the reason
                keys = _keys(location, run, only or ()) if key is None else [key]
                chosen = [Verdict(each, word, reason or "") for each in keys]
            if dry_run:
                _show_dry_run(console, location, run, chosen)
                return
            settled = resolve_many(
                location, run, chosen, lock_timeout_s=wait_s, sender_is_dead=sender_is_dead
            )
            _show_many(console, settled)
            if settled.refused:
                raise SystemExit(ExitCode.FAILURES)


def _check(
    run: str,
    choices: Sequence[bool],
    *,
    complete: bool,
    given: bool,
    dry_run: bool,
    by_file: bool,
) -> bool:
    """Refuse options that do not go together; return whether to ask for each doubt."""
    if sum(choices) > 1:
        raise UsageError("choose one of KEY, --all, --only and --from")
    if by_file and given:
        raise UsageError("--from has verdicts and reasons of its own; leave --as and --reason out")
    if any(choices):
        if not by_file and not complete:
            raise UsageError("--as and --reason are needed: what happened, and how you know")
        return False
    if given or dry_run or not has_terminal():
        raise UsageError(
            f"which transfer of run {run}? name its KEY, or write --all, --only GLOB or --from FILE;"
            " on a terminal, `resolve RUN` alone asks for each"
        )
    return True


def _keys(location: JournalLocation, run: str, only: Sequence[str]) -> Sequence[str]:
    """Return the keys that a run left in doubt and that a pattern matches; without any: all."""
    run_id, doubts = doubts_of(location, run)
    keys = [doubt.key for doubt in doubts]
    for pattern in unmatched(only, keys):
        raise UsageError(
            f"--only {pattern} matches nothing that run {run_id} left in doubt; it is compared"
            " with whole keys"
        )
    return list(filter(matcher_of(only or ["*"]), keys))


def _settle(
    console: Console,
    location: JournalLocation,
    stated: tuple[str, str, str, str],
    wait_s: float,
    *,
    sender_is_dead: bool = False,
) -> None:
    run, key, word, reason = stated
    resolved = settle(
        *(location, run, key, Resolution(word), reason),
        lock_timeout_s=wait_s,
        sender_is_dead=sender_is_dead,
    )
    found = resolved.found
    see_others = next_steps.Step("see what else is in doubt", next_steps.status(str(location)))
    settled = ResolutionResult(
        run=found.run,
        key=found.row.key,
        interaction_id=found.row.interaction_id,
        destination_uri=found.row.destination_uri,
        outcome=resolved.outcome,
        by=resolved.by,
        reason=resolved.reason,
        callbacks=resolved.callbacks,
        doubts_left=resolved.doubts_left,
        steps=(see_others,) if resolved.doubts_left else (),
    )
    console.show(render_resolution, resolution_to_json, settled)


def _show_many(console: Console, settled: ManyResolved) -> None:
    shown = ResolutionsResult(
        run=settled.run,
        dry_run=False,
        resolved=[
            SettledDoubt(
                each.key,
                each.found.row.interaction_id,
                each.found.row.destination_uri,
                each.outcome,
                each.reason,
            )
            for each in settled.resolved
        ],
        refused=[RefusedKey(key, why) for key, why in settled.refused],
        callbacks=sum(each.callbacks for each in settled.resolved),
        doubts_left=settled.doubts_left,
    )
    console.show(render_resolutions, resolutions_to_json, shown)


def _show_dry_run(
    console: Console, location: JournalLocation, run: str, chosen: Sequence[Verdict]
) -> None:
    run_id, doubts = doubts_of(location, run)
    by_key = {doubt.key: doubt for doubt in doubts}
    would = [
        SettledDoubt(
            each.key,
            by_key[each.key].interaction_id,
            by_key[each.key].destination_uri,
            each.resolution,
            each.reason,
        )
        for each in chosen
        if each.key in by_key
    ]
    refused = [
        RefusedKey(each.key, f"{each.key} of run {run_id} is not in doubt")
        for each in chosen
        if each.key not in by_key
    ]
    shown = ResolutionsResult(
        run_id, dry_run=True, resolved=would, refused=refused, callbacks=0, doubts_left=len(doubts)
    )
    console.show(render_resolutions, resolutions_to_json, shown)
    if refused:
        raise SystemExit(ExitCode.FAILURES)


def _ask_one_by_one(console: Console, location: JournalLocation, run: str, wait_s: float) -> None:
    """Show each doubt with what is known of it, and journal each answer as it is given."""
    run_id, doubts = doubts_of(location, run)
    if not doubts:
        console.out.write(f"nothing of run {visible(run_id)} is in doubt\n")
        return
    for number, doubt in enumerate(doubts, 1):
        answer = _ask_for_word(_evidence(doubt, number, len(doubts)))
        if answer in {None, *_QUIT}:
            return
        if (word := _WORDS.get(answer or "")) is None:
            continue
        reason = ask_for_line("how do you know? ")
        if not reason:
            console.out.write(f"{visible(doubt.key)} stays in doubt: a reason is needed\n")
            continue
        _settle(console, location, (run_id, doubt.key, word, reason), wait_s)


def _ask_for_word(shown: str) -> str | None:
    """Ask until one of the words is typed, in lower case; None: the terminal is gone."""
    while True:
        answer = ask_for_line("[t]ransferred, [f]ailed, [s]kip, [q]uit: ", shown=shown)
        if answer is None or answer.lower() in {*_WORDS, *_SKIP, *_QUIT}:
            return None if answer is None else answer.lower()
        shown = ""


_SKIP = {"s", "skip"}
_QUIT = {"q", "quit"}
_WORDS = {
    "t": ResolveAs.TRANSFERRED.value,
    "transferred": ResolveAs.TRANSFERRED.value,
    "f": ResolveAs.FAILED.value,
    "failed": ResolveAs.FAILED.value,
}
"""What a person may answer."""


def _evidence(doubt: HeldTransfer, number: int, total: int) -> str:
    lines = [
        f"{number} of {total}: {visible(doubt.key)} ({visible(doubt.source)})",
        f"  interaction  {visible(doubt.interaction_id)}",
        f"  to           {visible(doubt.destination_uri)}",
        f"  message id   {visible(doubt.message_id or 'unknown')}",
        f"  sent by run  {visible(doubt.run)}",
        f"  known        {visible(doubt.reason or 'it was under way when its run ended')}",
    ]
    return "\n".join(lines) + "\n"
