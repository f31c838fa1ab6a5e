"""`runner revert`: writes the manifest that carries back what a run moved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runner.app.find_journal import find_journal
from runner.app.revert import revert as write_undo
from runner.app.signals import Signals
from runner.cli import options
from runner.cli.dataclass_options import expand_dataclasses
from runner.cli.output import boundary
from runner.console.results.reversal import ReversalResult, render_reversal, reversal_to_json
from runner.core import next_steps


@expand_dataclasses
def revert(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's id, or `latest`.", show_default=False)
    ],
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Write the manifest here, beside the run's; its rows go to FILE.jsonl beside it.",
            show_default=False,
        ),
    ],
    only: options.OnlyKeys = None,
    journal: options.JournalSelection,
    output: options.OutputOptions,
) -> None:
    """Write a manifest that carries back what a run moved; nothing is sent until you apply it."""
    console, where = output.console(), journal.location()
    Signals().install()
    with boundary(console, where.manifest):
        location = find_journal(where)
        undo = write_undo(location, run, out, only=tuple(only or ()), manifest=where.manifest)
        arguments = next_steps.RunArguments(
            str(undo.manifest),
            undo.environment,
            submission=None if undo.approvals else undo.submission,  # workers take no signed plan
        )
        if undo.journal is not None:
            arguments = arguments.at(undo.journal.text)
        written = ReversalResult(
            run=undo.run,
            batch=undo.batch,
            manifest=str(undo.manifest),
            rows=str(undo.rows),
            reverted=undo.reverted,
            left_out=undo.left_out,
            earlier_runs=undo.earlier_runs,
            manifest_changed=undo.is_changed,
            steps=next_steps.carry_back(arguments, approvals=undo.approvals)
            if undo.reverted
            else (),
        )
        console.show(render_reversal, reversal_to_json, written)
