"""Every command and its options."""

# Commands import what they need when they run: `--help` and `--version` answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runner import __version__
from runner.cli import options
from runner.console.diagnostics import MAX_PROBLEMS
from runner.console.formats import OutputFormat

app = typer.Typer(
    name="runner",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Transfers live interactions as a manifest declares, each exactly once.",
)

audit = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(audit, name="audit", help="Look after the audit log.")


def run() -> None:
    """Run the command line and exit."""
    app(prog_name="runner")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"runner {__version__}")
        raise typer.Exit


@app.callback()
def _shared(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Tell the version.")
    ] = False,
) -> None:
    del version


@app.command()
def apply(
    manifest: options.ManifestOrPlan,
    *,
    validate_only: options.ValidateOnly = False,
    env: options.Env = None,
    only: options.Only = None,
    limit: options.Limit = None,
    rate: options.Rate = None,
    in_flight: options.InFlight = None,
    report_dir: options.ReportDir = Path("reports"),
    journal: options.Journal = None,
    lock_timeout: options.LockTimeout = None,
    again: options.Again = False,
    new_history: options.NewHistory = False,
    yes: options.Yes = False,
    output: options.Output = OutputFormat.PRETTY,
    max_problems: options.MaxProblems = MAX_PROBLEMS,
    log_format: options.LogFormat = options.LogFormatChoice.AUTO,
    log_file: options.LogFile = None,
    verbose: options.Verbose = 0,
    quiet: options.Quiet = 0,
    no_progress: options.NoProgress = False,
) -> None:
    """Load, validate, plan, transfer what is not yet transferred, report."""
    from runner.wiring.request import Request

    request = Request(
        manifest=manifest,
        environment=env,
        only=tuple(only or ()),
        limit=limit,
        rate_per_s=rate,
        in_flight=in_flight,
        report_dir=report_dir,
        journal=journal,
        lock_timeout_s=lock_timeout or 0.0,
        again=again,
        new_history=new_history,
        validate_only=validate_only,
    )
    console = options.console(
        output,
        log_format,
        log_file,
        verbose - quiet,
        no_progress=no_progress,
        max_problems=max_problems,
    )
    if validate_only:
        from runner.cli.planning import Planning, plan_manifest

        plan_manifest(console, request, Planning())
    else:
        from runner.cli.applying import apply_manifest

        apply_manifest(console, request, yes=yes)


@app.command()
def plan(
    manifest: options.Manifest,
    *,
    env: options.Env = None,
    only: options.Only = None,
    limit: options.Limit = None,
    rate: options.Rate = None,
    in_flight: options.InFlight = None,
    report_dir: options.ReportDir = Path("reports"),
    journal: options.Journal = None,
    again: options.Again = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            envvar="RUNNER_OUT",
            help="Write the plan to this file: `apply FILE` does exactly that, or refuses.",
            show_default=False,
        ),
    ] = None,
    preflight: Annotated[
        bool,
        typer.Option(
            "--preflight",
            envvar="RUNNER_PREFLIGHT",
            help="Ask the gateway too, read-only: token, session, each interaction's state.",
        ),
    ] = False,
    detailed_exitcode: Annotated[
        bool,
        typer.Option(
            "--detailed-exitcode",
            envvar="RUNNER_DETAILED_EXITCODE",
            help="Exit 10 when there is something to do.",
        ),
    ] = False,
    output: options.Output = OutputFormat.PRETTY,
    max_problems: options.MaxProblems = MAX_PROBLEMS,
    log_format: options.LogFormat = options.LogFormatChoice.AUTO,
    log_file: options.LogFile = None,
    verbose: options.Verbose = 0,
    quiet: options.Quiet = 0,
) -> None:
    """Do everything up to the plan: nothing leaves this machine, unless --preflight asks."""
    from runner.cli.planning import Planning, plan_manifest
    from runner.wiring.request import Request

    request = Request(
        manifest=manifest,
        environment=env,
        only=tuple(only or ()),
        limit=limit,
        rate_per_s=rate,
        in_flight=in_flight,
        report_dir=report_dir,
        journal=journal,
        again=again,
        validate_only=not preflight,  # secrets are needed to ask the gateway
    )
    console = options.console(
        output, log_format, log_file, verbose - quiet, no_progress=True, max_problems=max_problems
    )
    plan_manifest(console, request, Planning(out, preflight, detailed_exitcode))


@app.command()
def status(
    run: Annotated[
        str | None, typer.Argument(help="A run's id, or `latest`; none: all runs.")
    ] = None,
    *,
    journal: options.Journal = None,
    manifest: options.OfManifest = None,
    env: options.Env = None,
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Show the runs of the journal, or one run's figures; works while it runs."""
    from runner.cli.status import show_status
    from runner.wiring.journals import Whereabouts

    show_status(options.console(output), Whereabouts(journal, manifest, env), run)


@app.command()
def report(
    run: options.Run,
    *,
    journal: options.Journal = None,
    manifest: options.OfManifest = None,
    env: options.Env = None,
    report_dir: options.ReportDir = Path("reports"),
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            envvar="RUNNER_FORMAT",
            help="Of html, json, junit, csv; several with commas.",
        ),
    ] = "html,json",
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Render a run's report again, from the journal."""
    from runner.cli.reporting import report_run
    from runner.wiring.journals import Whereabouts

    where = Whereabouts(journal, manifest, env)
    report_run(options.console(output), where, run, report_dir, formats.split(","))


@app.command()
def resolve(
    run: options.Run,
    key: Annotated[str, typer.Argument(help="The transfer's key.", show_default=False)],
    *,
    word: Annotated[
        options.Word,
        typer.Option("--as", help="What happened to it, as you saw at the gateway."),
    ],
    reason: Annotated[
        str, typer.Option("--reason", help="How you know; it is kept in the audit log.")
    ],
    journal: options.Journal = None,
    manifest: options.OfManifest = None,
    env: options.Env = None,
    lock_timeout: options.LockTimeout = None,
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Settle a transfer in doubt by a person's word, journalled with who and when."""
    from runner.cli.resolving import resolve_transfer
    from runner.wiring.journals import Whereabouts

    where = Whereabouts(journal, manifest, env)
    resolve_transfer(
        options.console(output),
        where,
        run=run,
        key=key,
        word=word.value,
        reason=reason,
        lock_timeout_s=lock_timeout or 0.0,
    )


@audit.command()
def verify(
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE|RUN", help="An audit.jsonl or its folder, or a run.", show_default=False
        ),
    ],
    *,
    journal: options.Journal = None,
    manifest: options.OfManifest = None,
    env: options.Env = None,
    report_dir: options.ReportDir = Path("reports"),
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Check the hash chain, and say at which entry it breaks."""
    from runner.cli.auditing import verify as verify_chain
    from runner.wiring.journals import Whereabouts

    where = Whereabouts(journal, manifest, env)
    verify_chain(options.console(output), where, target, report_dir)


@app.command()
def simulate(
    *,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")] = 8443,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", help="Take gateway, latency and faults from this manifest."),
    ] = None,
    env: options.Env = None,
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
    from runner.cli.simulating import Served, serve_gateway

    served = Served(host, port, manifest, env, ledger, rate, client_id, certificate, key)
    serve_gateway(options.console(output), served)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to write.")] = Path(),
    *,
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Write a commented manifest, ready to run against the embedded gateway."""
    from runner.cli.starting import write_first_manifest

    write_first_manifest(options.console(output), folder)


@app.command()
def schema(
    name: Annotated[str, typer.Argument(help="manifest, interaction-transfer, report or plan.")] = (
        "manifest"
    ),
    *,
    editor: Annotated[
        bool, typer.Option("--editor", help="Tell how to wire the schema into an editor.")
    ] = False,
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Print a schema."""
    from runner.cli.starting import print_schema

    print_schema(options.console(output), name, editor=editor)


@app.command()
def explain(
    codes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CODE]...", help="Such as R002; none: list them all."),
    ] = None,
    *,
    output: options.Output = OutputFormat.PRETTY,
) -> None:
    """Tell what a diagnostic's code means, why, and how it is written right."""
    from runner.cli.explaining import explain_codes

    explain_codes(options.console(output), codes or [])
