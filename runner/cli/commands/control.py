"""`runner control`: pauses, slows down, or stops a running batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from runner.app.control import control as use_case
from runner.app.control import control_all, parse_words
from runner.app.find_journal import find_journal
from runner.cli import options
from runner.cli.dataclass_options import expand_dataclasses
from runner.cli.error_exit_codes import exit_code_of
from runner.cli.output import boundary
from runner.console.results.control import RunAnswer, control_to_json, render_control
from runner.core.exit_code import ExitCode

if TYPE_CHECKING:
    from runner.app.control import Controlled

Words = Annotated[
    list[str],
    typer.Argument(
        metavar="[RUN] COMMAND [VALUE]",
        help="pause, resume, rate 10/s, http-rate 300/min, in-flight 8, max-failures 3%, continue,"
        " stop, or show; before it a run's id, by default the latest.",
        show_default=False,
    ),
]


@expand_dataclasses
def control(
    words: Words,
    *,
    for_: Annotated[
        str | None,
        typer.Option("--for", metavar="TIME", help="With pause: resume after this time, as 20m."),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why; the audit log and the report keep it.")
    ] = None,
    every_run: Annotated[
        bool,
        typer.Option(
            "--all",
            help="With pause or stop: every run with a journal in this folder, or of the database.",
        ),
    ] = False,
    journal: options.JournalSelection,
    output: options.OutputOptions,
) -> None:
    """Pause, resume, slow down, confirm or stop a batch while it runs, or show where it stands."""
    console, where = output.console(), journal.location()
    with boundary(console, where.manifest):
        given = parse_words(words, for_, reason)
        if every_run:
            answers = control_all(where, given)
        else:
            answers = iter([use_case(find_journal(where), given)])
        given_answers = list(answers)
        console.show(render_control, control_to_json, [_as_shown(each) for each in given_answers])
        raise SystemExit(max(map(_code, given_answers), default=ExitCode.OK))


def _as_shown(controlled: Controlled) -> RunAnswer:
    if (answer := controlled.answer) is None:
        return RunAnswer(
            controlled.run, controlled.journal, is_done=False, text=str(controlled.error), state={}
        )
    return RunAnswer(controlled.run, controlled.journal, answer.is_done, answer.text, answer.state)


def _code(controlled: Controlled) -> int:
    if controlled.answer is None:
        return ExitCode.OK if controlled.error is None else exit_code_of(controlled.error)
    return ExitCode.OK if controlled.answer.is_done else ExitCode.FAILURES
