"""Renders the result of `resolve`, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from runner.console.log.redaction import redact
from runner.console.results.document import document
from runner.console.terminal_text import Paint, visible
from runner.core.frozen import frozen
from runner.core.next_steps import Step
from runner.core.number_text import counted
from runner.core.transfer.outcome import Outcome


@frozen
class ResolutionResult:
    """A transfer in doubt that a person settled."""

    run: str  # that delivered it
    key: str
    interaction_id: str
    destination_uri: str
    outcome: Outcome
    by: str  # user@host
    reason: str
    callbacks: int  # owed because of it
    doubts_left: int  # in the whole journal
    steps: Sequence[Step] = ()  # what to do next


def resolution_to_json(settled: ResolutionResult) -> str:
    """Return the result as one JSON document, in ASCII."""
    steps = [step.to_json() for step in settled.steps]
    fields = asdict(settled) | {"reason": redact(settled.reason)}
    fields = {name: value for name, value in fields.items() if name != "steps"}
    fields["next_steps"] = steps
    return document("resolution", fields)


def render_resolution(settled: ResolutionResult, *, color: bool = False) -> str:
    """Return the result as text."""
    paint = Paint(color)
    where = f"{visible(settled.interaction_id)} to {visible(settled.destination_uri)}"
    which = f"{visible(settled.key)} of run {visible(settled.run)}"
    lines = [
        f"{paint.green('resolved')}: {which} is {settled.outcome}",
        f"  interaction {where}",
        f"  stated by {visible(settled.by)}: {visible(redact(settled.reason))}",
        "",
        paint.bold("what comes next"),
        f"  {_NEXT[settled.outcome]}",
        "  later evidence, a reply or a look-up, overrides this statement",
    ]
    if settled.callbacks:
        lines.append(
            f"  {counted(settled.callbacks, 'callback')} owed, which its batch's next apply delivers"
        )
    if settled.doubts_left:
        left = counted(settled.doubts_left, "more transfer")
        lines.append(f"  {left} in doubt in this journal")
    for step in settled.steps:
        lines += [f"  {step.text}:", f"    {step.command}"]
    return "\n".join(lines) + "\n"


_NEXT = {
    Outcome.TRANSFERRED: "the next apply does not send it: it counts as carried out",
    Outcome.FAILED: (
        "the next apply looks it up, and sends it again unless the look-up shows it carried out"
    ),
}
