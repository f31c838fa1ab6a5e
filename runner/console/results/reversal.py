"""Renders the result of `revert`, as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from runner.console.results.document import document
from runner.console.terminal_text import Paint, visible
from runner.core.frozen import frozen
from runner.core.next_steps import Step
from runner.core.number_text import counted
from runner.core.transfer.reversal import Irreversible


@frozen
class ReversalResult:
    """An undo that was written."""

    run: str  # the run that it carries back
    batch: str
    manifest: str
    rows: str
    reverted: int  # rows of the undo
    left_out: Mapping[Irreversible, int]  # how many are not carried back, by reason
    manifest_changed: bool  # the run's manifest has changed since
    earlier_runs: Sequence[str] = ()  # that sent what is left out as `SENT_BEFORE`
    steps: Sequence[Step] = ()


def reversal_to_json(undo: ReversalResult) -> str:
    """Return the result as one JSON document, in ASCII."""
    fields = {name: value for name, value in asdict(undo).items() if name != "steps"}
    fields["left_out"] = {str(why): number for why, number in undo.left_out.items()}
    return document("reversal", fields | {"next_steps": [step.to_json() for step in undo.steps]})


def render_reversal(undo: ReversalResult, *, color: bool = False) -> str:
    """Return the result as text."""
    paint = Paint(color)
    left = sum(undo.left_out.values())
    rows = counted(undo.reverted, "transfer")
    head = paint.green("written") if undo.reverted else paint.bold("nothing to carry back")
    lines = [
        f"{head}: {visible(undo.manifest)} carries back {rows} of run {visible(undo.run)}"
        + (f"; {left:,} stay" if left else "")
    ]
    lines += [f"  {number:,} {why.words}" for why, number in undo.left_out.items()]
    lines += [f"    run {visible(run)}" for run in undo.earlier_runs]
    if undo.manifest_changed:
        lines.append("  the run's manifest has changed since: check environment and gateway")
    if undo.reverted:
        lines += [
            f"  rows are in {visible(undo.rows)}",
            "  each is moved only while it waits where the run left it",
            "  the time that somebody waited, and the place in a queue, do not come back",
        ]
    for step in undo.steps:
        lines += [f"  {step.text}:", f"    {step.command}"]
    return "\n".join(lines) + "\n"
