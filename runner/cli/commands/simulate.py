"""`runner simulate`, once its options are read."""

from __future__ import annotations

from runner.app.signals import Signals
from runner.app.simulate import Served, serve
from runner.cli.output import Console, boundary
from runner.console.text import visible
from runner.core.errors import Interrupted
from runner.core.urls import is_loopback

__all__ = ["Served", "serve_gateway"]


def serve_gateway(console: Console, served: Served) -> None:
    """Serve until a signal comes; that is how it ends, and no failure."""
    Signals().install()
    with boundary(console, served.manifest):
        if served.certificate is None and not is_loopback(served.host):
            console.err.write(
                f"warning: plain HTTP on {visible(served.host)}: other machines reach it, and the"
                " client's secret and every token pass in the clear; give --certificate and --key,"
                " or listen on 127.0.0.1\n"
            )
        try:
            serve(served, console.out.write)
        except (Interrupted, KeyboardInterrupt):
            console.err.write("the gateway has stopped\n")
