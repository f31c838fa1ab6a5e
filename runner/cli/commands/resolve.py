"""`runner resolve`: settles a transfer in doubt by a person's decision."""

# Commands import what they need when they run: `--help` and `--version` answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from runner.cli import options
from runner.cli.dataclass_options import expand_dataclasses


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
        str, typer.Argument(metavar="KEY", help="The transfer's key.", show_default=False)
    ],
    *,
    resolution: Annotated[
        ResolveAs, typer.Option("--as", help="What happened to it, as you saw at the gateway.")
    ],
    reason: Annotated[str, typer.Option("--reason", help="How you know; the audit log keeps it.")],
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
    """Settle a transfer in doubt by a person's decision, journalled with who and when."""
    from runner.app.find_journal import find_journal
    from runner.app.resolve import Resolution
    from runner.app.resolve import resolve as settle
    from runner.app.signals import Signals
    from runner.cli.output import boundary
    from runner.console.results.resolution import (
        ResolutionResult,
        render_resolution,
        resolution_to_json,
    )
    from runner.core import next_steps

    console, where = output.console(), journal.location()
    Signals().install()
    with boundary(console, where.manifest):
        path = find_journal(where)
        resolved = settle(
            *(path, run, key, Resolution(resolution.value), reason),
            lock_timeout_s=lock_timeout or 0.0,
            sender_is_dead=sender_is_dead,
        )
        found = resolved.found
        see_others = next_steps.Step("see what else is in doubt", next_steps.status(str(path)))
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
