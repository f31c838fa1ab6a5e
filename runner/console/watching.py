"""Who watches a run on this terminal, or where there is none (command line, shared options)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runner.console.bar import TerminalObserver
from runner.console.observers import (
    LineObserver,
    Log,
    LogObserver,
    Observers,
    Watcher,
    say_in_log,
    say_to,
)
from runner.console.streams import LossyStream, can_redraw, wants_color


def watch(
    stream: LossyStream,
    log: Log,
    *,
    now: Callable[[], float],
    environ: Mapping[str, str],
    pretty_log: bool,
    progress: bool = True,
    verbosity: int = 0,
) -> Observers:
    """Return the log and, unless quiet, a bar on a terminal or a line a minute elsewhere.

    Where the log is JSON the line is a log line, so that the stream stays JSON lines.
    """
    watchers: list[Watcher] = [LogObserver(log)]
    if verbosity >= 0:
        if progress and can_redraw(stream, environ):
            watchers.append(TerminalObserver(stream, now, color=wants_color(stream, environ)))
        else:
            watchers.append(LineObserver(say_to(stream) if pretty_log else say_in_log(log), now))
    return Observers(watchers)
