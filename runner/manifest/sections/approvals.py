"""Checks who must approve a plan, and builds that as a frozen value."""

from __future__ import annotations

from pathlib import Path

from runner.core.approval.ssh_signature import PLAN_NAMESPACE
from runner.core.diagnostics.problem import Place, Problem
from runner.core.manifest.model import ApprovalPolicy
from runner.core.manifest.quantity import parse_duration
from runner.core.number_text import counted
from runner.manifest.problem_collector import Collector
from runner.manifest.schema.check import Document
from runner.manifest.signers_file import read_signers
from runner.manifest.suggestions import offer


def check_approvals(document: Document, problems: Collector, *, is_submitted: bool) -> None:
    """Add the problems of `policy.approvals`, and of its file of signers."""
    written = document.section("policy").get("approvals")
    if written is None:
        return
    if is_submitted:
        message = "a worker carries nothing that needs approvals"
        fix = "apply its plan where it was approved, with --journal and the journal of the fleet"
        place = document.where(document.section("policy"), "approvals")
        problems.add(Problem("R012", message, place, fix))
        return
    known = document.defined["environments"]
    for index, name in enumerate(written.get("environments", ())):
        if name not in known:
            fix = offer(name, known, kind="environment", written=name)
            place = document.where(written, "environments", index)
            problems.add(Problem("R001", f"unknown environment `{name}`", place, fix))
    approvals = build_approvals(document)
    if approvals is not None:
        _check_signers(document, approvals, problems)


def build_approvals(document: Document) -> ApprovalPolicy | None:
    """Return who must approve; None: the manifest requires no approvals."""
    written = document.section("policy").get("approvals")
    if written is None:
        return None
    absent = ApprovalPolicy(1, "")
    return ApprovalPolicy(
        required=int(written["required"]),
        signers=str((Path(document.tree.source.name).parent / written["signers"]).absolute()),
        max_age_s=parse_duration(written["max_age"]) if "max_age" in written else absent.max_age_s,
        environments=tuple(written.get("environments", ())),
    )


def _check_signers(document: Document, approvals: ApprovalPolicy, problems: Collector) -> None:
    written = document.section("policy")["approvals"]
    place = document.where(written, "signers")
    try:
        signers, _ = read_signers(Path(approvals.signers), PLAN_NAMESPACE)
    except OSError as error:
        message = f"the file `{written['signers']}` cannot be read: {_reason(error)}"
        fix = "relative paths start at the manifest's folder; check path and permissions"
        problems.add(Problem("R012", message, place, fix))
        return
    for fault in signers.faults:
        message, _, fix = fault.text.partition("; ")
        at = Place(written["signers"], fault.line, 1)
        problems.add(Problem("R012", message, at, fix or "correct the line, or remove it"))
    people = len(set(signers.people().values()))
    if not signers.faults and people < approvals.required:
        message = (
            f"{counted(approvals.required, 'approval')} cannot be given: `{written['signers']}`"
            f" names {counted(people, 'person', 'people')}"
        )
        fix = "add a line `NAME KEY-TYPE KEY` for each, or require fewer"
        problems.add(Problem("R012", message, document.where(written, "required"), fix))


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown").lower()
