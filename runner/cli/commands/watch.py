"""`runner status --watch`, once its options are read."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from runner.app.journal_location import JournalLocation, find_journal
from runner.app.signals import Signals
from runner.app.status import status_of
from runner.app.watch import Following
from runner.cli.output import Console, boundary
from runner.console.diagnostics.formats import OutputFormat
from runner.console.live.follow_output import Refresh, in_lines, json_lines, on_terminal, told_to
from runner.console.results.status import Standing, render_status
from runner.console.streams import can_redraw
from runner.core.records.run_record import RunRecord

REFRESH_S = 1.0


def watch_run(console: Console, where: JournalLocation, run: str | None) -> None:
    """Show a run while it goes on in another process, then how it ended."""
    Signals().install()
    with boundary(console, where.manifest):
        journal = find_journal(where)
        with Following(journal, run, time.time) as following:
            sight = following.look()
            run_id = sight.record.id
            with _shown(console, sight.record) as refresh:
                refresh(sight.at, sight.record, sight.standing, sight.progress)
                while sight.standing is Standing.RUNNING and console.out.lost is None:
                    time.sleep(REFRESH_S)
                    sight = following.look()
                    refresh(sight.at, sight.record, sight.standing, sight.progress)
        if console.output is not OutputFormat.JSON:
            tell = partial(render_status, one=True)
            console.show(tell, str, status_of(journal, run_id))


@contextmanager
def _shown(console: Console, record: RunRecord) -> Iterator[Refresh]:
    """Give what shows each refresh: JSON lines, a view on a terminal, or a line a minute."""
    if console.output is OutputFormat.JSON:
        yield json_lines(console.out, time.monotonic)
        return
    if not console.progress or not can_redraw(console.err, os.environ):
        watcher = in_lines(console.out, time.monotonic)
        yield told_to(watcher)
        watcher.close()
        return
    with console.outlet() as outlet:
        watcher = on_terminal(outlet, record, now=time.monotonic, wall=time.time)
        yield told_to(watcher)
