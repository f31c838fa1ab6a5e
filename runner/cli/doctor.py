"""`runner doctor`, once its options are read."""

from __future__ import annotations

from runner.cli.console import Console, boundary
from runner.console.checkup import checks_to_json, render_checks
from runner.core.checkup import Check, Health, is_well
from runner.core.outcome import ExitCode
from runner.journal.staging import Staging
from runner.wiring.doctor import examine
from runner.wiring.planning import read_manifest
from runner.wiring.request import Request
from runner.wiring.signals import Signals


def examine_gateway(console: Console, request: Request) -> None:
    """Check the way to a manifest's gateway, read-only; exit 4 if a run could not begin."""
    Signals().install()
    with boundary(console, request.manifest), console.logging(), Staging() as staging:
        manifest, warnings = read_manifest(request, staging)
        console.show_problems(warnings, request.manifest.parent, result=False)
        known = f"{manifest.name}: valid, {staging.count:,} transfers listed"
        checks = [Check("manifest", Health.OK, known), *examine(manifest, staging)]
        console.show(render_checks, checks_to_json, checks)
        raise SystemExit(ExitCode.OK if is_well(checks) else ExitCode.UNREACHABLE)
