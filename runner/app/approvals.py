"""Holds a run to the approvals that its plan needs (operations.md, "Approval")."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from runner.app.plan_file import PlanFile, plan_problem, replan_help
from runner.app.run_options import RunOptions
from runner.app.signature_files import judge_signatures
from runner.core import next_steps
from runner.core.approval.allowed_signers import Signers
from runner.core.approval.decision import Approvals, Author, count_approvals
from runner.core.approval.ssh_signature import PLAN_NAMESPACE
from runner.core.diagnostics.problem import Place, Problem
from runner.core.errors import ManifestInvalid, UsageError
from runner.core.frozen import frozen
from runner.core.gates import CommandGate
from runner.core.manifest.model import Manifest
from runner.core.manifest.quantity import rate_text
from runner.core.number_text import counted, duration
from runner.core.records.run_record import ApprovalRecord
from runner.manifest.regular_file import open_regular
from runner.manifest.signers_file import read_signers

VARIABLE = "RUNNER_APPROVALS"
"""The variable by which a host requires approvals, beside those of the manifest: `N:FILE`."""

AHEAD_S = 300.0
"""How far a plan's time may be ahead of this clock."""

HOST_MAX_AGE_S = 86_400.0
"""How long a plan may be applied where only the host requires approvals."""

MOST_NAMED = 10
"""Signatures that a refusal names."""


@frozen
class Requirement:
    """Approvals that somebody requires: the manifest or the host."""

    source: str
    required: int
    signers: Path
    max_age_s: float


@frozen
class Judged:
    """What the signatures beside a plan are worth for one requirement."""

    requirement: Requirement
    approvals: Approvals
    signers_sha256: str


def requirements_of(manifest: Manifest, environ: Mapping[str, str]) -> tuple[Requirement, ...]:
    """Return who requires approvals. Raises `UsageError` for a variable that is not valid."""
    found = []
    policy = manifest.policy.approvals
    if policy is not None and manifest.environment.name in (
        policy.environments or [manifest.environment.name]
    ):
        signers = Path(policy.signers)
        found.append(Requirement("policy.approvals", policy.required, signers, policy.max_age_s))
    if (hosts := _requirement_of_host(environ)) is not None:
        found.append(hosts)
    return tuple(found)


def people_required(manifest: Manifest, environ: Mapping[str, str]) -> int:
    """Return how many people must approve what a manifest plans; 0: nobody."""
    return max((each.required for each in requirements_of(manifest, environ)), default=0)


def required_people(policy: Mapping[str, Any], environment: str, environ: Mapping[str, str]) -> int:
    """Return how many people must approve what a manifest with this `policy`, as written, plans.

    Raises `UsageError` for a variable that is not valid.
    """
    hosts = _requirement_of_host(environ)
    written = policy.get("approvals", {})
    named = written.get("environments") or [environment]
    own = int(written["required"]) if written and environment in named else 0
    return max(own, 0 if hosts is None else hosts.required)


def _requirement_of_host(environ: Mapping[str, str]) -> Requirement | None:
    if not (written := environ.get(VARIABLE)):
        return None
    number, _, file = written.partition(":")
    is_number = number.isascii() and number.isdigit() and 0 < int(number[:4]) <= 100  # noqa: PLR2004
    if not is_number or not file.startswith("/"):
        raise UsageError(
            f"{VARIABLE} is not N:FILE; write a number of people and the full path of a file of"
            " allowed signers, such as 2:/etc/runner/allowed_signers"
        )
    return Requirement(VARIABLE, int(number), Path(file), HOST_MAX_AGE_S)


def check_approvals(
    request: RunOptions,
    manifest: Manifest,
    environ: Mapping[str, str],
    *,
    needs_preflight: bool = False,
) -> tuple[ApprovalRecord, ...]:
    """Return who approved the plan that a run is held to; nothing if no approvals are required.

    `needs_preflight`: only the gateway knows the rows of a plan, or the ids of its names.
    Raises `ManifestInvalid` for what is not approved, with the command that leads on.
    """
    requirements = requirements_of(manifest, environ)
    if not requirements:
        return ()
    plan = request.plan
    if plan is None:
        _refuse_manifest(request, manifest, requirements, needs_preflight=needs_preflight)
    judged = judge_plan(plan, requirements, now_s=time.time())
    problems = list(plan_faults(request, manifest, plan, judged))
    problems += [missing for each in judged for missing in _missing(plan, each)]
    if problems:
        raise ManifestInvalid(problems)
    given = {each.file: each for found in judged for each in found.approvals.given}
    return tuple(
        ApprovalRecord(each.who or "", each.key or "", each.file) for each in given.values()
    )


def judge_plan(
    plan: PlanFile, requirements: tuple[Requirement, ...], *, now_s: float
) -> list[Judged]:
    """Return what the signatures beside a plan are worth. Raises `ManifestInvalid`."""
    judged = []
    for each in requirements:
        signers, sha256 = _signers(each)
        verdicts = judge_signatures(
            plan.path, signers, namespace=PLAN_NAMESPACE, digests=plan.digests, now_s=now_s
        )
        approvals = count_approvals(verdicts, each.required, plan.made_by)
        judged.append(Judged(each, approvals, sha256))
    return judged


def author_text(author: Author) -> str:
    """Return who made a plan that was approved, and how that is known."""
    made = f"the plan is by {', '.join(author.accounts)}"
    if author.unbound is None:
        return f"{made}; the file belongs to {author.owner}"
    return f"{made}; one approval more was required, as {author.unbound}"


def sign_help(plan: Path) -> str:
    """Return the help for a plan that people are to sign: the command, with what to fill in."""
    return (
        "have each read the plan, and sign it with an SSH key of their own (KEY, NAME):\n"
        + next_steps.sign_plan(str(plan))
    )


def command_digests(manifest: Manifest) -> dict[str, str]:
    """Return the SHA-256 of each file that the commands of gates name, by its path as written.

    A word without a slash is left out unless the manifest's folder has a file of that name: it names
    an installed program, or is an argument.
    """
    folder = Path(manifest.path).parent
    words = {
        word
        for gate in manifest.gates.values()
        if isinstance(gate, CommandGate)
        for word in gate.command
    }
    return {word: digest for word in sorted(words) if (digest := _digest_of(folder / word))}


def changed_commands(manifest: Manifest, planned: Mapping[str, str]) -> list[str]:
    """Return the files of gates' commands that are not those of a plan, by path as written."""
    now = command_digests(manifest)
    return [word for word in sorted(now.keys() | planned) if now.get(word) != planned.get(word)]


def _digest_of(path: Path) -> str | None:
    try:
        with open_regular(path) as file:
            digest = hashlib.sha256()
            while part := file.read(1 << 20):
                digest.update(part)
            return digest.hexdigest()
    except (OSError, ValueError):  # no file: an option, or a text with a NUL
        return None


def _signers(requirement: Requirement) -> tuple[Signers, str]:
    path = requirement.signers
    try:
        signers, sha256 = read_signers(path, PLAN_NAMESPACE)
    except OSError as error:
        why = (error.strerror or "unknown").lower()
        message = f"{requirement.source}: the signers' file {path} cannot be read: {why}"
        problem = Problem("R012", message, Place(str(path), 1, 1), "check path and permissions")
        raise ManifestInvalid([problem]) from None
    if signers.faults:
        raise ManifestInvalid(
            [Problem("R012", *_of_fault(path, fault.line, fault.text)) for fault in signers.faults]
        )
    return signers, sha256


def _of_fault(path: Path, line: int, text: str) -> tuple[str, Place, str]:
    message, _, fix = text.partition("; ")
    return message, Place(str(path), line, 1), fix or "correct the line, or remove it"


def _refuse_manifest(
    request: RunOptions,
    manifest: Manifest,
    requirements: Sequence[Requirement],
    *,
    needs_preflight: bool,
) -> NoReturn:
    most = max(requirements, key=lambda each: each.required)
    given = replace(
        request.arguments(manifest), plan=next_steps.plan_name(manifest.reverts, request.probe)
    )
    make = next_steps.plan(given, out=given.plan, preflight=needs_preflight)
    lines = [each.command for each in next_steps.approve(given, most.required)]
    people = counted(most.required, "person", "people")
    verb = "approves" if most.required == 1 else "approve"
    message = f"{most.source} requires that {people} {verb} a plan, and this is a manifest"
    help_text = "\n".join(
        [
            "make a plan, have it signed, and apply it:",
            next_steps.shell_line(make),
            *filter(None, lines),
        ]
    )
    raise ManifestInvalid([Problem("P003", message, Place(manifest.path, 1, 1), help_text)])


def plan_faults(
    request: RunOptions,
    manifest: Manifest,
    plan: PlanFile,
    judged: Sequence[Judged],
) -> Iterator[Problem]:
    """Yield the faults because of which a plan is refused, independently of its signatures."""
    again = replan_help(plan, request.report_dir)
    yield from _age_problems(plan, [each.requirement for each in judged], again)
    yield from _loosened(request, manifest, plan)
    if not plan.author or plan.approval_basis is None:
        message = "the plan was made where no approvals were required"
        yield plan_problem(plan.path, message, again, code="P003")
        return
    basis = plan.approval_basis
    for each in judged:
        is_hosts = each.requirement.source == VARIABLE
        if not is_hosts and each.signers_sha256 != basis.signers_sha256:
            message = "the file of signers has changed since the plan"
            yield Problem("P002", message, Place(str(each.requirement.signers), 1, 1), again)
    for word in changed_commands(manifest, basis.commands):
        message = f"`{word}`, of the command of a gate, has changed since the plan"
        yield Problem("P002", message, Place(manifest.path, 1, 1), again)


def _age_problems(
    plan: PlanFile, requirements: Sequence[Requirement], again: str
) -> Iterator[Problem]:
    try:
        age_s = time.time() - datetime.fromisoformat(plan.created_at).timestamp()
    except (ValueError, OverflowError):
        message = f"the plan's time {plan.created_at[:40]!r} is not a valid date and time"
        yield plan_problem(plan.path, message, again, code="P003")
        return
    longest_s = min(each.max_age_s for each in requirements)
    if age_s > longest_s:
        message = (
            f"the plan is {duration(age_s)} old, and lapses after {duration(longest_s)} (max_age)"
        )
        yield plan_problem(plan.path, message, again, code="P003")
    if age_s < -AHEAD_S:
        message = (
            f"the plan was made in the future, at {plan.created_at}; one of the clocks is wrong"
        )
        yield plan_problem(plan.path, message, f"set the clock, or {again}", code="P003")


def _loosened(request: RunOptions, manifest: Manifest, plan: PlanFile) -> Iterator[Problem]:
    """Yield the options by which a run would do more than what was approved."""
    planned = plan.options
    basis = plan.approval_basis
    found = []
    for flag, given, most in (
        ("--rate", request.rate_per_s, planned.rate_per_s),
        ("--in-flight", request.in_flight, planned.in_flight),
    ):
        if given is not None and most is not None and given > most:
            text = rate_text(most) if flag == "--rate" else str(most)
            found.append((flag, f"is above the plan's, {text}"))
    if request.new_history and not (basis is not None and basis.new_history):
        found.append(("--new-history", "waives a history, which the plan does not"))
    if request.journal_access(manifest).address != str(plan.history.location):
        found.append(("--journal", f"is not the plan's, {plan.history.location}"))
    for flag, why in found:
        help_text = f"leave {flag} (and its variable) out"
        yield plan_problem(plan.path, f"{flag} {why}", help_text, code="P003")


def _missing(plan: PlanFile, judged: Judged) -> Iterator[Problem]:
    approvals, source = judged.approvals, judged.requirement.source
    if not approvals.missing:
        return
    given = ", ".join(each.who or "" for each in approvals.given)
    message = (
        f"{len(approvals.given)} of {counted(approvals.required, 'approval')}"
        f" ({source}){f': {given}' if given else ''}"
    )
    named = [f"{each.file}: {each.why_not}" for each in approvals.ignored[:MOST_NAMED]]
    if more := approvals.ignored[MOST_NAMED:]:
        named.append(f"and {len(more)} more")
    if plan.made_by.unbound is not None:
        message += f"; one more than required, as nothing binds the author: {plan.made_by.unbound}"
    if named:
        message += f"; not counted: {'; '.join(named)}"
    yield plan_problem(plan.path, message, sign_help(plan.path), code="P003")
