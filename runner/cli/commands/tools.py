"""What helps to write and to rehearse: `doctor`, `simulate`, `init`, `schema` and `explain`."""

# Commands import what they need when they run: `--help` and `--version` answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runner.cli import options
from runner.console.diagnostics.formats import OutputFormat
from runner.core.manifest.model import Platform


def simulate(
    *,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")] = 8443,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", help="Take gateway, latency and faults from this manifest."),
    ] = None,
    env: options.Env = None,
    platform: Annotated[
        Platform | None,
        typer.Option("--platform", help="Which gateway to be; else as the manifest says."),
    ] = None,
    ledger: Annotated[
        Path | None,
        typer.Option("--ledger", help="Append every frame and every effect to this JSONL file."),
    ] = None,
    rate: options.Rate = None,
    client_id: Annotated[
        str | None, typer.Option("--client-id", envvar="RUNNER_SIMULATE_CLIENT_ID")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="A PEM file: serve https and wss.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="The certificate's key.")] = None,
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Serve the embedded gateway for other programs, until interrupted.

    The client's secret is made at random and shown, unless RUNNER_SIMULATE_CLIENT_SECRET gives it.
    """
    from runner.cli.commands.simulate import Served, serve_gateway

    served = Served(
        *(host, port, manifest, env, ledger, rate, client_id, certificate, key, platform)
    )
    serve_gateway(options.console(output), served)


def doctor(
    manifest: options.Manifest,
    *,
    env: options.Env = None,
    probe: Annotated[
        str | None,
        typer.Option(
            "--probe",
            metavar="CONVERSATION",
            help="Move this one conversation to --probe-to and back, and note what is seen.",
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
    journal: options.Journal = None,
    lock_timeout: options.LockTimeout = None,
    yes: options.Yes = False,
    output: options.Output = OutputFormat.PRETTY,
    log_format: options.LogFormat = options.LogFormatChoice.AUTO,
    log_file: options.LogFile = None,
    verbose: options.Verbose = 0,
    quiet: options.Quiet = 0,
) -> None:
    """Connect as a run would, read-only, and explain: DNS, TLS, token, rights, session, clock.

    Only with --probe is anything moved: the one conversation that you name.
    """
    from runner.app.request import Request

    if (probe is None) != (probe_to is None):
        raise typer.BadParameter("--probe CONVERSATION and --probe-to DESTINATION go together")
    console = options.console(output, log_format, log_file, verbose - quiet)
    request = Request(
        manifest=manifest, environment=env, journal=journal, lock_timeout_s=lock_timeout or 0.0
    )
    if probe is None or probe_to is None:
        from runner.cli.commands.doctor import examine_gateway

        examine_gateway(console, request)
        return
    from runner.app.probe import ProbeOrder
    from runner.cli.commands.doctor import probe_gateway

    probe_gateway(console, request, ProbeOrder(probe, probe_to, probe_out), yes=yes)


def init(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where to write.")] = Path(),
    *,
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Write a commented manifest, ready to run against the embedded gateway."""
    from runner.cli.commands.init import write_first_manifest

    write_first_manifest(options.console(output), folder)


def schema(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[NAME]", help="manifest, interaction-transfer, report, plan or result."
        ),
    ] = "manifest",
    *,
    editor: Annotated[
        bool, typer.Option("--editor", help="Tell how to wire the schema into an editor.")
    ] = False,
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Print a schema."""
    from runner.cli.commands.init import print_schema

    print_schema(options.console(output), name, editor=editor)


def explain(
    codes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CODE]...", help="Such as R002; none: list them all."),
    ] = None,
    *,
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Tell what a diagnostic's code means, why, and how it is written right."""
    from runner.cli.commands.explain import explain_codes

    explain_codes(options.console(output), codes or [])
