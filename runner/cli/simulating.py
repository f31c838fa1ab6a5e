"""`runner simulate`, once its options are read."""

from __future__ import annotations

from runner.cli.console import Console, boundary
from runner.core.errors import Interrupted
from runner.wiring.signals import Signals
from runner.wiring.simulating import Served, serve

__all__ = ["Served", "serve_gateway"]


def serve_gateway(console: Console, served: Served) -> None:
    """Serve until a signal comes; that is how it ends, and no failure."""
    Signals().install()
    with boundary(console, served.manifest):
        try:
            serve(served, console.out.write)
        except (Interrupted, KeyboardInterrupt):
            console.err.write("the gateway has stopped\n")
