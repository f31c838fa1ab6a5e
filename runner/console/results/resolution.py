"""What a person's word did to a transfer in doubt, and what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from runner.console.log.redaction import redact
from runner.console.results.document import document
from runner.console.terminal_text import Paint, visible
from runner.core.next_steps import Step
from runner.core.number_text import counted
from runner.core.transfer.outcome import Outcome


@dataclass(frozen=True, slots=True)
class ResolutionResult:
    """A transfer that a person settled."""

    run: str  # which delivered it
    key: str
    interaction_id: str
    destination_uri: str
    outcome: Outcome
    by: str  # user@host
    reason: str
    callbacks: int  # that are owed because of it
    doubts_left: int  # in the whole journal
    steps: Sequence[Step] = ()  # what to do next


def resolution_to_json(settled: ResolutionResult) -> str:
    """Return one JSON document, in ASCII."""
    steps = [step.to_json() for step in settled.steps]
    fields = asdict(settled) | {"reason": redact(settled.reason)}
    fields = {name: value for name, value in fields.items() if name != "steps"}
    fields["next_steps"] = steps
    return document("resolution", fields)


def render_resolution(settled: ResolutionResult, *, color: bool = False) -> str:
    """Return it as a person reads it."""
    paint = Paint(color)
    where = f"{visible(settled.interaction_id)} to {visible(settled.destination_uri)}"
    which = f"{visible(settled.key)} of run {visible(settled.run)}"
    lines = [
        f"{paint.green('resolved')}: {which} is {settled.outcome}",
        f"  interaction {where}",
        f"  said by {visible(settled.by)}: {visible(redact(settled.reason))}",
        "",
        paint.bold("what comes next"),
        f"  {_NEXT[settled.outcome]}",
        "  evidence that comes later, a reply or a look-up, overrides this word",
    ]
    if settled.callbacks:
        lines.append(
            f"  {counted(settled.callbacks, 'callback')} owed: the next apply delivers it all"
        )
    if settled.doubts_left:
        left = counted(settled.doubts_left, "more transfer")
        lines.append(f"  {left} in doubt in this journal")
    for step in settled.steps:
        lines += [f"  {step.text}:", f"    {step.command}"]
    return "\n".join(lines) + "\n"


_NEXT = {
    Outcome.TRANSFERRED: "the next apply leaves it alone: it counts as carried out",
    Outcome.FAILED: (
        "the next apply takes it up: it is looked up, and sent again unless it shows there"
    ),
}
