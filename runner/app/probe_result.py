"""Renders the findings of `doctor --probe`, as text and as JSON."""

from __future__ import annotations

from pathlib import Path

from runner.console.log.redaction import redact
from runner.console.results.document import document
from runner.console.terminal_text import Paint, visible
from runner.drivers import ProbedMove, ProbeFindings

Shown = tuple[ProbeFindings, Path]


def probe_to_json(shown: Shown) -> str:
    """Return one JSON document, in ASCII: the findings, and the path of their file."""
    findings, file = shown
    return redact(document("probe", {"file": str(file), **findings.to_json()}))


def render_probe(shown: Shown, *, color: bool = False) -> str:
    """Return the moves, the answers and the path of the file as text."""
    findings, file = shown
    paint = Paint(color)
    lines = [_line(paint, move) for move in findings.moves()]
    lines.append("")
    for question, answer in findings.answers().items():
        lines += [f"{question}?", f"  {visible(redact(answer))}"]
    lines += ["", *_left_to_do(findings)]
    lines.append(
        f"written to {visible(str(file))}: no names, no addresses, no ids; attach it to a report"
    )
    return "\n".join(lines) + "\n"


def _line(paint: Paint, move: ProbedMove) -> str:
    if move.end is None:
        return f"{paint.yellow('not moved')}  {move.name}: {visible(move.text)}"
    painted = (paint.green if move.has_arrived else paint.red)(move.end)
    return f"{painted}  {move.name}: {visible(move.text)}"


def _left_to_do(findings: ProbeFindings) -> list[str]:
    """Return what a person has to do now."""
    if findings.is_in_doubt:
        return [
            "It is not known whether the conversation was moved.",
            (
                "help: look at it in the platform before anything else moves it; if it is not where it"
                " was, move it back by hand; do not probe it again"
            ),
            "",
        ]
    if sum(move.has_arrived for move in findings.moves()) == 1:
        return [
            "The conversation was moved, and not moved back.",
            "help: look at it in the platform; if it is still there, move it back by hand",
            "",
        ]
    return []
