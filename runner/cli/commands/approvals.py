"""`runner approvals`: who approved a plan, and what is missing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from runner.app.approval_list import list_approvals
from runner.app.plan_file import read_plan
from runner.cli import options
from runner.cli.dataclass_options import expand_dataclasses
from runner.cli.output import boundary, must_be_shown
from runner.console.results.approval_result import approvals_to_json, render_approvals
from runner.core.exit_code import ExitCode


@expand_dataclasses
def approvals(
    plan: Annotated[
        Path,
        typer.Argument(metavar="PLAN", help="A plan that `plan --out` wrote.", show_default=False),
    ],
    *,
    output: options.OutputOptions,
) -> None:
    """Show who approved a plan and what is missing; exit 3 unless it is approved."""
    console = output.console()
    with boundary(console, plan):
        found = read_plan(plan)
    manifest = plan if found is None else found.manifest
    with boundary(console, manifest), must_be_shown(console):
        result = list_approvals(plan, os.environ)
        console.show(render_approvals, approvals_to_json, result)
        raise SystemExit(ExitCode.OK if result.is_approved else ExitCode.INVALID)
