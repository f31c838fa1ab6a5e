"""What `doctor --probe` found, in words and as JSON."""

from __future__ import annotations

from pathlib import Path

from runner.console.log.redaction import redact
from runner.console.results.document import document
from runner.console.text import Paint, visible
from runner.gateways.genesys_cloud.protocol.probe import Attempt, End, Findings, answers

Shown = tuple[Findings, Path]


def probe_to_json(shown: Shown) -> str:
    """Return one JSON document, in ASCII: the file's content, and where the file is."""
    findings, file = shown
    return redact(document("probe", {"file": str(file), **findings.to_json()}))


def render_probe(shown: Shown, *, color: bool = False) -> str:
    """Return it as a person reads it: what was moved, what was learned, and where that is kept."""
    findings, file = shown
    paint = Paint(color)
    lines = [_line(paint, "there", findings.there, findings.unfit)]
    if findings.there is not None:
        lines.append(_line(paint, "back", findings.back, findings.not_back))
    lines.append("")
    for question, answer in answers(findings).items():
        lines += [f"{question}?", f"  {visible(redact(answer))}"]
    lines += ["", *_doubt(findings)]
    lines.append(
        f"written to {visible(str(file))}: no names, no addresses, no ids; attach it to a report"
    )
    return "\n".join(lines) + "\n"


def _line(paint: Paint, name: str, attempt: Attempt | None, why_not: str | None) -> str:
    if attempt is None:
        return f"{paint.yellow('not moved')}  {name}: {visible(why_not or 'nothing was sent')}"
    said = str(attempt.end or End.IN_DOUBT)
    painted = (paint.green if attempt.end is End.ARRIVED else paint.red)(said)
    took = "" if attempt.took_s is None else f", watched for {attempt.took_s:g} s"
    why = f": {visible(attempt.lost)}" if attempt.lost else ""
    return f"{painted}  {name}: {attempt.operation} of {attempt.leg}{took}{why}"


def _doubt(findings: Findings) -> list[str]:
    moves = [each for each in (findings.there, findings.back) if each is not None]
    if not any(each.end in {End.IN_DOUBT, None} for each in moves):
        return []
    return [
        "It is not known whether the conversation was moved.",
        "help: look at it in the platform before anything else moves it; do not probe it again",
        "",
    ]
