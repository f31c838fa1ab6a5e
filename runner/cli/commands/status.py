"""`runner status`: the journal's runs, or one run, once or while it goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from runner.app.find_journal import find_journal
from runner.app.signals import Signals
from runner.app.status import status_of
from runner.app.watch import RunWatch
from runner.cli import options
from runner.cli.commands.submit import show_fleet
from runner.cli.dataclass_options import expand_dataclasses
from runner.cli.output import boundary, must_be_shown
from runner.console.diagnostics.formats import OutputFormat
from runner.console.live.watch_output import forward_to, json_lines, line_observer, live_observer
from runner.console.output_streams import can_redraw
from runner.console.results.status import RunState, render_status, status_to_json
from runner.core.errors import Interrupted

if TYPE_CHECKING:
    from runner.app.find_journal import JournalOptions
    from runner.cli.output import Console
    from runner.console.live.watch_output import Refresh
    from runner.core.records.run_record import RunRecord

REFRESH_S = 1.0


@expand_dataclasses
def status(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="A run's id, or `latest`; without it, all runs."),
    ] = None,
    *,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            envvar="RUNNER_WATCH",
            help="Follow a run (by default the latest) until it ends, as its own terminal shows it.",
        ),
    ] = False,
    fleet: Annotated[
        bool,
        typer.Option(
            "--fleet",
            envvar="RUNNER_FLEET",
            help="Show lanes, workers and submissions of a journal in a database.",
        ),
    ] = False,
    journal: options.JournalSelection,
    no_progress: options.NoProgress = False,
    output: options.OutputOptions,
) -> None:
    """Show the runs of the journal, or one run's figures; works while it runs."""
    console = output.console(no_progress=no_progress)
    if fleet:
        show_fleet(console, journal.journal)
        return
    (watch_run if watch else show_status)(console, journal.location(), run)


def show_status(console: Console, where: JournalOptions, run: str | None) -> None:
    """Show the journal's runs, or one run's figures."""
    with boundary(console, where.manifest), must_be_shown(console):
        shown = status_of(find_journal(where), run)
        one = run is not None
        console.show(partial(render_status, one=one), partial(status_to_json, one=one), shown)


def watch_run(console: Console, where: JournalOptions, run: str | None) -> None:
    """Show a run while it goes on in another process, then how it ended."""
    Signals().install()
    with boundary(console, where.manifest), must_be_shown(console), _stopped_by_signal(console):
        journal = find_journal(where)
        with RunWatch(journal, run, time.time) as watch:
            snapshot = watch.look()
            run_id = snapshot.record.id
            with _view(console, snapshot.record) as refresh:
                refresh(snapshot.at, snapshot.record, snapshot.state, snapshot.progress)
                while snapshot.state is RunState.RUNNING and console.out.lost is None:
                    time.sleep(REFRESH_S)
                    snapshot = watch.look()
                    refresh(snapshot.at, snapshot.record, snapshot.state, snapshot.progress)
        if console.output is not OutputFormat.JSON:
            console.show(partial(render_status, one=True), str, status_of(journal, run_id))


@contextmanager
def _stopped_by_signal(console: Console) -> Iterator[None]:
    """End the command at a signal without an error: a watch has no part in the run."""
    try:
        yield
    except Interrupted as interrupted:
        console.err.write("stopped watching: the run goes on, and nothing was changed\n")
        raise SystemExit(interrupted.code) from None


@contextmanager
def _view(console: Console, record: RunRecord) -> Iterator[Refresh]:
    """Give what shows each refresh: JSON lines, a view on a terminal, or a line a minute."""
    if console.output is OutputFormat.JSON:
        yield json_lines(console.out, time.monotonic)
        return
    if not console.progress or not can_redraw(console.err, os.environ):
        watcher = line_observer(console.out, time.monotonic)
        yield forward_to(watcher)
        watcher.close()
        return
    with console.outlet() as outlet:
        watcher = live_observer(outlet, record, now=time.monotonic, wall=time.time)
        yield forward_to(watcher)
