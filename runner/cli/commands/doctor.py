"""`runner doctor`, once its options are read."""

from __future__ import annotations

import logging

from runner.app.doctor import examine
from runner.app.plan import read_manifest
from runner.app.probe import ProbeOrder, check_order, probe
from runner.app.probe_result import probe_to_json, render_probe
from runner.app.request import Request
from runner.app.signals import Signals
from runner.cli.confirmation import ask_on_terminal
from runner.cli.output import Console, boundary
from runner.console.results.diagnosis import checks_to_json, render_checks
from runner.console.text import visible
from runner.core.diagnostics.diagnosis import Check, Health, is_well
from runner.core.errors import UsageError
from runner.core.manifest.model import Manifest
from runner.core.transfer.outcome import ExitCode
from runner.journal.staging import Staging


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


def probe_gateway(console: Console, request: Request, order: ProbeOrder, *, yes: bool) -> None:
    """Ask, move one conversation there and back, and say what the platform showed.

    Exit 1 if it was not moved, or not back; 6 if that is not known.
    """
    Signals().install()
    with boundary(console, request.manifest), console.logging(), Staging() as staging:
        manifest, _ = read_manifest(request, staging)
        check_order(manifest, order)
        if not yes and not _agreed(manifest, order):
            raise SystemExit(ExitCode.INTERRUPTED)
        log = logging.getLogger("runner")
        probed = probe(request, manifest, order, log.info)
        console.show(render_probe, probe_to_json, (probed.findings, probed.file))
        raise SystemExit(probed.findings.code)


def _agreed(manifest: Manifest, order: ProbeOrder) -> bool:
    """Ask on the terminal; without one raise `UsageError`: a customer would be moved unasked."""
    question = (
        "Move one live conversation, and back?\n"
        f"  environment   {visible(manifest.environment.name)}\n"
        f"  conversation  {visible(order.conversation_id)}\n"
        f"  to            {visible(order.destination_uri)}"
    )
    agreed = ask_on_terminal(question)
    if agreed is None:
        raise UsageError(
            "--probe moves a live conversation: ask for it at a terminal, or add --yes"
        )
    return agreed
