"""Renders the result of `approvals`, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runner.console.results.document import document
from runner.console.terminal_text import Paint, visible
from runner.core.approval.decision import Approvals, SignatureVerdict
from runner.core.frozen import frozen
from runner.core.number_text import counted


@frozen
class RequiredApprovals:
    """Approvals that the manifest or the host requires, and those that were given."""

    source: str
    approvals: Approvals


@frozen
class ApprovalResult:
    """A plan's approvals."""

    plan: str
    id: str
    batch: str
    environment: str
    created_at: str
    author: tuple[str, ...]
    unbound: str | None  # why the plan file's owner does not vouch for its author
    sha256: str  # of the plan file
    required: tuple[RequiredApprovals, ...]
    faults: tuple[str, ...]  # reasons to refuse it, independently of its signatures
    sign: str  # the shell line by which a person signs

    @property
    def is_approved(self) -> bool:
        """Whether nothing is missing."""
        return not self.faults and not any(each.approvals.missing for each in self.required)


def approvals_to_json(result: ApprovalResult) -> str:
    """Return the result as one JSON document, in ASCII."""
    fields: dict[str, Any] = {
        "approved": result.is_approved,
        "plan": {
            "path": result.plan,
            "id": result.id,
            "batch": result.batch,
            "environment": result.environment,
            "created_at": result.created_at,
            "author": list(result.author),
            "author_unbound": result.unbound,
            "sha256": result.sha256,
        },
        "required": [
            {
                "by": each.source,
                "number": each.approvals.required,
                "missing": each.approvals.missing,
                "given": [_signature_json(given) for given in each.approvals.given],
                "not_counted": [_signature_json(other) for other in each.approvals.ignored],
            }
            for each in result.required
        ],
        "faults": list(result.faults),
        "sign": result.sign,
    }
    return document("approvals", fields)


def render_approvals(result: ApprovalResult, *, color: bool = False) -> str:
    """Return the result as text."""
    paint = Paint(color)
    word = paint.green("approved") if result.is_approved else paint.red("not approved")
    place = f"{visible(result.batch)}, environment {visible(result.environment)}"
    author = f" by {visible(', '.join(result.author))}" if result.author else ""
    lines = [f"{word}: plan {visible(result.id)} of {place}"]
    lines.append(f"  made {visible(result.created_at)}{author}")
    if result.unbound is not None:
        lines.append(
            f"  nothing binds its author, so one approval more is required: {visible(result.unbound)}"
        )
    if not result.required:
        lines.append("  no approvals are required, by the manifest or by this host")
    for each in result.required:
        lines += _required(each)
    lines += [f"  {paint.bold('cannot be applied:')} {visible(fault)}" for fault in result.faults]
    if any(each.approvals.missing for each in result.required):
        lines += ["  to approve, read the plan and sign it with an SSH key (KEY, NAME):"]
        lines += [f"    {result.sign}"]
    return "\n".join(lines) + "\n"


def _required(required: RequiredApprovals) -> Iterator[str]:
    approvals = required.approvals
    yield (
        f"  {len(approvals.given)} of {counted(approvals.required, 'approval')} ({required.source})"
    )
    for given in approvals.given:
        yield f"    {visible(given.who or '')}  {given.key}  {visible(given.file)}"
    for other in approvals.ignored:
        yield f"    not counted: {visible(other.file)}: {visible(other.why_not or '')}"


def _signature_json(verdict: SignatureVerdict) -> dict[str, str | None]:
    fields = {"file": verdict.file, "who": verdict.who, "key": verdict.key}
    return fields if verdict.why_not is None else fields | {"why": verdict.why_not}
