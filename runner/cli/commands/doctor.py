"""`runner doctor`: checks the way to a gateway, and moves one conversation to and fro with --probe."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.app.approvals import people_required
from runner.app.doctor import examine
from runner.app.plan import read_manifest
from runner.app.plan_check import as_planned
from runner.app.probe import check_probe, probe, save_probe_plan
from runner.app.probe_result import probe_to_json, render_probe
from runner.app.run_options import RunOptions
from runner.app.signals import Signals
from runner.cli import options
from runner.cli.confirmation import ask_on_terminal
from runner.cli.dataclass_options import expand_dataclasses
from runner.cli.output import boundary
from runner.console.results.diagnosis import checks_to_json, render_checks
from runner.console.terminal_text import visible
from runner.core.diagnostics.diagnosis import Check, Health, is_well
from runner.core.errors import UsageError
from runner.core.exit_code import ExitCode
from runner.core.next_steps import approve
from runner.core.transfer.probe import Probe
from runner.staging.rows import Staging

if TYPE_CHECKING:
    from runner.cli.output import Console
    from runner.core.manifest.model import Manifest


@expand_dataclasses
def doctor(
    manifest: options.ManifestOrPlan,
    *,
    env: options.Env = None,
    exclude: options.Exclude = None,
    probe: Annotated[
        str | None,
        typer.Option(
            "--probe",
            metavar="CONVERSATION",
            help="Move this one conversation to --probe-to and back, and record what is seen.",
        ),
    ] = None,
    probe_to: Annotated[
        str | None,
        typer.Option("--probe-to", metavar="DESTINATION", help="Such as genesys://queue/ID."),
    ] = None,
    probe_out: Annotated[
        Path | None,
        typer.Option("--probe-out", metavar="FILE", help="By default probe-TIME.json, here."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Write the plan of the probe to this file, for people to sign; move nobody.",
            show_default=False,
        ),
    ] = None,
    journal: options.Journal = None,
    report_dir: options.ReportDir = Path("reports"),
    lock_timeout: options.LockTimeout = None,
    yes: options.Yes = False,
    output: options.OutputOptions,
) -> None:
    """Connect as a run would, read-only, and explain: DNS, TLS, token, rights, session, clock.

    Only with --probe is anything moved: the one conversation that you name.
    """
    if (probe is None) != (probe_to is None):
        raise typer.BadParameter("--probe CONVERSATION and --probe-to DESTINATION go together")
    if probe is None and (out or probe_out) is not None:
        raise typer.BadParameter(
            "--out and --probe-out are for a probe: add --probe and --probe-to"
        )
    console = output.console()
    given = RunOptions(
        manifest=manifest,
        report_dir=report_dir,
        environment=env,
        exclude=tuple(exclude or ()),
        journal=journal,
        lock_timeout_s=lock_timeout or 0.0,
        probe=None if probe is None or probe_to is None else Probe(probe, probe_to),
    )
    with boundary(console, manifest):
        request = as_planned(given)
    if request.probe is None:
        examine_gateway(console, request)
    elif out is not None:
        plan_probe(console, request, out)
    else:
        probe_gateway(console, request, request.probe, probe_out, yes=yes)


def examine_gateway(console: Console, request: RunOptions) -> None:
    """Check the way to a manifest's gateway, read-only; exit 4 if a run could not begin."""
    Signals().install()
    with boundary(console, request.manifest), console.logging(), Staging() as staging:
        manifest, warnings = read_manifest(request, staging)
        console.show_problems(warnings, request.manifest.parent, result=False)
        known = f"{manifest.name}: valid, {staging.count:,} transfers listed"
        checks = [Check("manifest", Health.OK, known), *examine(manifest, staging)]
        console.show(render_checks, checks_to_json, checks)
        raise SystemExit(ExitCode.OK if is_well(checks) else ExitCode.UNREACHABLE)


def plan_probe(console: Console, request: RunOptions, out: Path) -> None:
    """Write the plan of a probe, and show how it is signed and carried out."""
    if request.plan is not None:
        raise typer.BadParameter("--out writes a plan of a manifest, and this is a plan")
    with boundary(console, request.manifest), console.logging(), Staging() as staging:
        manifest, _ = read_manifest(replace(request, validate_only=True), staging)
        save_probe_plan(request, manifest, staging, out)
        console.err.write(f"plan: {visible(str(out))}\n")
        people = people_required(manifest, os.environ)
        steps = approve(replace(request.arguments(manifest), plan=str(out)), people)
        for step in steps if people else steps[-1:]:
            console.err.write(f"{step.text}:\n  {step.command}\n")


def probe_gateway(
    console: Console, request: RunOptions, order: Probe, out: Path | None, *, yes: bool
) -> None:
    """Ask, move one conversation there and back, and show the platform's behaviour.

    Exit 1 if it was not moved, or not back; 6 if that is not known; a signal's code after a signal.
    """
    Signals().install()
    with boundary(console, request.manifest), console.watching() as observer, Staging() as staging:
        manifest, _ = read_manifest(request, staging)
        check_probe(request, manifest, staging)
        if not yes and not _agreed(manifest, order):
            raise SystemExit(ExitCode.INTERRUPTED)
        probed = probe(request, manifest, staging, observer, out=out, say=observer.noticed)
        console.show(render_probe, probe_to_json, (probed.findings, probed.file))
        raise SystemExit(probed.code)


def _agreed(manifest: Manifest, order: Probe) -> bool:
    """Ask on the terminal. Raises `UsageError` without one: a customer would move unconfirmed."""
    question = (
        "Move one live conversation, and back?\n"
        f"  environment   {visible(manifest.environment.name)}\n"
        f"  conversation  {visible(order.interaction_id)}\n"
        f"  to            {visible(order.destination_uri)}"
    )
    agreed = ask_on_terminal(question)
    if agreed is None:
        raise UsageError(
            "--probe moves a live conversation: run it at a terminal and confirm, or add --yes"
        )
    return agreed
