"""`runner status`, once its options are read."""

from __future__ import annotations

from functools import partial

from runner.cli.console import Console, boundary
from runner.console.status import render_status, status_to_json
from runner.wiring.journals import Whereabouts, find_journal
from runner.wiring.status import status_of


def show_status(console: Console, where: Whereabouts, run: str | None) -> None:
    """Show the journal's runs, or one run's figures."""
    with boundary(console, where.manifest):
        status = status_of(find_journal(where), run)
        one = run is not None
        console.show(partial(render_status, one=one), partial(status_to_json, one=one), status)
