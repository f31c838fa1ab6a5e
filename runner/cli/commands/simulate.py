"""`runner simulate`: serves the embedded gateway."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.app.signals import Signals
from runner.app.simulate import ServeOptions, serve
from runner.cli import options
from runner.cli.output import boundary
from runner.console.diagnostics.formats import OutputFormat
from runner.console.terminal_text import visible
from runner.core.errors import Interrupted
from runner.core.urls import is_loopback
from runner.drivers import platforms

if TYPE_CHECKING:
    from runner.cli.output import Console


def _known_platform(name: str | None) -> str | None:
    """Return a platform of the embedded gateway. Raises `typer.BadParameter` for an unknown one."""
    if name is not None and name not in (known := platforms()):
        raise typer.BadParameter(f"'{name}' is not one of {', '.join(map(repr, known))}.")
    return name


def simulate(
    *,
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The port; 0 takes any free one.")
    ] = 8443,
    manifest: Annotated[
        Path | None,
        typer.Option("--manifest", help="Take gateway, latency and faults from this manifest."),
    ] = None,
    env: options.Env = None,
    platform: Annotated[
        str | None,
        typer.Option(
            "--platform",
            metavar="PLATFORM",
            callback=_known_platform,
            help="Which gateway to be, instead of the manifest's, such as genesys-cloud; an unknown"
            " name lists them.",
        ),
    ] = None,
    ledger: Annotated[
        Path | None,
        typer.Option("--ledger", help="Append every frame and every effect to this JSONL file."),
    ] = None,
    rate: options.Rate = None,
    client_id: Annotated[
        str | None,
        typer.Option(
            "--client-id", envvar="RUNNER_SIMULATE_CLIENT_ID", help="The client id to accept."
        ),
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
    served = ServeOptions(
        *(host, port, manifest, env, ledger, rate, client_id, certificate, key, platform)
    )
    serve_gateway(options.OutputOptions(output).console(), served)


def serve_gateway(console: Console, served: ServeOptions) -> None:
    """Serve until a signal ends it, which is not a failure."""
    Signals().install()
    with boundary(console, served.manifest):
        if served.certificate is None and not is_loopback(served.host):
            console.err.write(
                f"warning: plain HTTP on {visible(served.host)}: other machines can reach it, and"
                " the client's secret and every token are sent unencrypted; give --certificate and"
                " --key, or listen on 127.0.0.1\n"
            )
        try:
            serve(served, console.out.write)
        except (Interrupted, KeyboardInterrupt):
            console.err.write("the gateway has stopped\n")
