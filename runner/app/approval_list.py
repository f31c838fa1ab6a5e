"""`approvals`: what a plan's signatures are worth, and what is missing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from runner.app.approvals import judge_plan, plan_faults, requirements_of
from runner.app.plan import read_manifest
from runner.app.plan_check import as_planned, manifest_faults
from runner.app.plan_file import replan_help
from runner.app.run_options import RunOptions
from runner.console.results.approval_result import ApprovalResult, RequiredApprovals
from runner.core import next_steps
from runner.core.errors import UsageError
from runner.manifest.regular_file import path_fault
from runner.staging.rows import Staging


def list_approvals(path: Path, environ: Mapping[str, str]) -> ApprovalResult:
    """Return who approved a plan, and why approvals do not allow it yet.

    Raises `ManifestInvalid` for a plan or manifest that is not valid, `UsageError` for another file.
    """
    request = as_planned(RunOptions(path, validate_only=True, without_secrets=True))
    if (plan := request.plan) is None:
        why = path_fault(path)
        fault = "is not a plan" if why is None else f"cannot be read: {why}"
        raise UsageError(f"{path} {fault}; make a plan with `plan --out`")
    with Staging() as staging:
        manifest, _ = read_manifest(replace(request, only=(), exclude=()), staging)
    judged = judge_plan(plan, requirements_of(manifest, environ), now_s=time.time())
    faults = [
        *manifest_faults(plan, manifest, replan_help(plan, request.report_dir)),
        *plan_faults(request, manifest, plan, judged),
    ]
    return ApprovalResult(
        plan=str(path),
        id=plan.id,
        batch=plan.batch,
        environment=plan.environment,
        created_at=plan.created_at,
        author=plan.made_by.accounts,
        unbound=plan.made_by.unbound,
        sha256=plan.digests["sha256"].hex(),
        required=tuple(
            RequiredApprovals(each.requirement.source, each.approvals) for each in judged
        ),
        faults=tuple(problem.message for problem in faults),
        sign=next_steps.sign_plan(str(path)),
    )
