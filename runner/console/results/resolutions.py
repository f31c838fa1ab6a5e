"""Renders the result of several resolutions, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from runner.console.log.redaction import redact
from runner.console.results.document import document
from runner.console.terminal_text import Paint, visible
from runner.core.frozen import frozen
from runner.core.number_text import counted


@frozen
class SettledDoubt:
    """A transfer that was settled, or that would be."""

    key: str
    interaction_id: str
    destination_uri: str
    outcome: str
    reason: str


@frozen
class RefusedKey:
    """A key whose transfer is not in doubt."""

    key: str
    why: str


@frozen
class ResolutionsResult:
    """The result of several resolutions; with `dry_run` nothing was settled."""

    run: str
    dry_run: bool
    resolved: Sequence[SettledDoubt]
    refused: Sequence[RefusedKey]
    callbacks: int  # owed because of them
    doubts_left: int  # in the whole journal


def resolutions_to_json(result: ResolutionsResult) -> str:
    """Return the result as one JSON document, in ASCII."""
    resolved = [asdict(each) | {"reason": redact(each.reason)} for each in result.resolved]
    return document("resolutions", asdict(result) | {"resolved": resolved})


def render_resolutions(result: ResolutionsResult, *, color: bool = False) -> str:
    """Return the result as text."""
    paint = Paint(color)
    verb = "would resolve" if result.dry_run else "resolved"
    count = counted(len(result.resolved), "transfer")
    lines = [f"{paint.green(verb)}: {count} of run {visible(result.run)}"]
    lines += [
        f"  {visible(each.key)} is {each.outcome}: {visible(each.interaction_id)} to"
        f" {visible(each.destination_uri)}"
        for each in result.resolved
    ]
    lines += [f"  {paint.red('refused')}: {visible(each.why)}" for each in result.refused]
    if result.callbacks:
        lines.append(
            f"  {counted(result.callbacks, 'callback')} owed, which its batch's next apply delivers"
        )
    if not result.dry_run and result.doubts_left:
        lines.append(f"  {counted(result.doubts_left, 'more transfer')} in doubt in this journal")
    return "\n".join(lines) + "\n"
