"""`runner status`, once its options are read."""

from __future__ import annotations

from functools import partial

from runner.app.journal_location import JournalLocation, find_journal
from runner.app.status import status_of
from runner.cli.output import Console, boundary
from runner.console.results.status import render_status, status_to_json


def show_status(console: Console, where: JournalLocation, run: str | None) -> None:
    """Show the journal's runs, or one run's figures."""
    with boundary(console, where.manifest):
        status = status_of(find_journal(where), run)
        one = run is not None
        console.show(partial(render_status, one=one), partial(status_to_json, one=one), status)
