"""Chooses a run's observers by stream, log format and verbosity (cli.md, "Streams")."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runner.console.live.observer import LiveObserver
from runner.console.live.terminal_writer import TerminalWriter
from runner.console.log.observers import (
    ClosableObserver,
    LineObserver,
    Log,
    LogObserver,
    Observers,
    progress_to_log,
    progress_to_stream,
)
from runner.console.output_streams import LossyStream, can_redraw


def choose_observers(
    stream: LossyStream,
    log: Log,
    writer: TerminalWriter,
    *,
    now: Callable[[], float],
    wall: Callable[[], float],
    environ: Mapping[str, str],
    pretty_log: bool,
    progress: bool = True,
    verbosity: int = 0,
) -> Observers:
    """Return the log and, unless quiet, a live view on a terminal or a line a minute elsewhere.

    With a JSON log that line is a log line, so that the stream has JSON lines only.
    """
    watchers: list[ClosableObserver] = [LogObserver(log)]
    if verbosity >= 0:
        if progress and can_redraw(stream, environ):
            watchers.append(LiveObserver(writer, now=now, wall=wall))
        else:
            watchers.append(
                LineObserver(
                    progress_to_stream(stream) if pretty_log else progress_to_log(log), now
                )
            )
    return Observers(watchers)
