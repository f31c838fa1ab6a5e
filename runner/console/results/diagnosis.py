"""Renders the checks of `doctor`, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from runner.console.log.redaction import redact
from runner.console.results.document import document
from runner.console.terminal_text import Paint, visible
from runner.core.diagnostics.diagnosis import Check, Health, is_well

_WIDTH = 7  # of "warning", "skipped"


def checks_to_json(checks: Sequence[Check]) -> str:
    """Return the checks as one JSON document, in ASCII."""
    fields = {"ok": is_well(checks), "checks": [_check(each) for each in checks]}
    return redact(document("checkup", fields))


def render_checks(checks: Sequence[Check], *, color: bool = False) -> str:
    """Return a line per check, with the fix below it where one is needed."""
    paint = Paint(color)
    painted = {
        Health.OK: paint.green,
        Health.WARNING: paint.yellow,
        Health.FAILED: paint.red,
        Health.SKIPPED: paint.blue,
    }
    name_width = max((len(visible(check.name)) for check in checks), default=0)
    lines = []
    for check in checks:
        word = painted[check.health](check.health.ljust(_WIDTH))
        name = visible(check.name).ljust(name_width)
        lines.append(f"{word}  {name}  {visible(redact(check.seen))}")
        if check.fix is not None:
            lines.append(f"{' ' * _WIDTH}  {' ' * name_width}  -> {visible(check.fix)}")
    failed = sum(check.health is Health.FAILED for check in checks)
    warned = sum(check.health is Health.WARNING for check in checks)
    lines += ["", _verdict(paint, failed, warned)]
    return "\n".join(lines) + "\n"


def _verdict(paint: Paint, failed: int, warned: int) -> str:
    beside = f", {warned} to look at" if warned else ""
    if failed:
        failures = paint.red(f"{failed} of these would stop a run")
        return f"{failures}{beside}; nothing was moved"
    return f"{paint.green('a run could begin')}{beside}; nothing was moved"


def _check(check: Check) -> dict[str, str | None]:
    """Return a check as JSON, by the names that its schema fixes."""
    return {
        "name": check.name,
        "health": check.health.value,
        "seen": check.seen,
        "mend": check.fix,
    }
