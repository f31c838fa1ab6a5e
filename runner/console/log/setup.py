"""Configures the log: a line per event, pretty or JSON, redacted; a failure never ends a run."""

from __future__ import annotations

import json
import logging
import os
import stat
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from runner.console.log.redaction import redact_value
from runner.console.output_streams import LossyStream, wants_color
from runner.console.terminal_text import Paint, visible
from runner.core.errors import UsageError
from runner.core.frozen import frozen

LogFormat = Literal["auto", "pretty", "json"]

LIBRARIES = ("httpx", "httpcore", "websockets", "aiohttp", "asyncio")
"""Libraries whose loggers are kept at `WARNING`, whatever the verbosity: below, they log URLs."""

Event = dict[str, Any]


@frozen
class _Output:
    """A destination of log lines: stream, threshold and format."""

    stream: LossyStream
    level: int
    render: Callable[[Event], str]


SQLITE = b"SQLite format 3\0"
"""How a journal in a file begins."""


@frozen
class EventLog:
    """Writes events, each a text and fields, at the level that the method names.

    `write` takes level, text and fields. The field `exc_info` is shown as a traceback.
    """

    write: Callable[[int, str, Mapping[str, Any]], None]
    fields: Mapping[str, Any] = field(default_factory=dict)

    def bind(self, **fields: Any) -> EventLog:
        """Return a log whose events have these fields too."""
        return EventLog(self.write, {**self.fields, **fields})

    def info(self, event: str, **fields: Any) -> None:
        """Log at level info."""
        self.write(logging.INFO, event, {**self.fields, **fields})

    def warning(self, event: str, **fields: Any) -> None:
        """Log at level warning."""
        self.write(logging.WARNING, event, {**self.fields, **fields})


class Logs:
    """The configured log; a context manager, or call `close` to end it.

    It receives events by `log`, and what the standard library's loggers say from `WARNING` on.
    """

    def __init__(
        self,
        outputs: Sequence[_Output],
        *,
        pretty: bool,
        wall: Callable[[], float],
        close_file: Callable[[], None],
    ) -> None:
        self.pretty = pretty  # whether the stream's lines are for people
        self._outputs = outputs
        self._least = min(output.level for output in outputs)
        self._wall = wall
        self._close_file = close_file
        self._lock = threading.Lock()
        self._bridge = _Bridge(self)
        loggers = [logging.getLogger(name) for name in (None, *LIBRARIES)]
        self._before = [(logger, logger.level) for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.WARNING)
        logging.getLogger().addHandler(self._bridge)
        self.log = EventLog(self.write)

    def write(self, level: int, event: str, fields: Mapping[str, Any]) -> None:
        """Write one event to every output whose threshold it reaches; never raises."""
        if level < self._least:
            return
        at = datetime.fromtimestamp(self._wall(), UTC).isoformat(timespec="milliseconds")
        head = {
            "timestamp": at.replace("+00:00", "Z"),
            "level": logging.getLevelName(level).lower(),
            "event": event,
        }
        trace = _trace(fields.get("exc_info"))
        rest = {name: value for name, value in fields.items() if name != "exc_info"}
        line = redact_value({**head, **rest, **({"exception": trace} if trace else {}), **head})
        with self._lock:
            for output in self._outputs:
                if level >= output.level:
                    output.stream.write(output.render(line) + "\n")

    def close(self) -> None:
        """Restore the standard library's loggers."""
        logging.getLogger().removeHandler(self._bridge)
        for logger, level in self._before:
            logger.setLevel(level)
        self._close_file()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Bridge(logging.Handler):
    """Passes the standard library's log records to the same log."""

    def __init__(self, logs: Logs) -> None:
        super().__init__()
        self._logs = logs

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 -- arguments that don't fit the message
            text = str(record.msg)
        fields = {"logger": record.name, "exc_info": record.exc_info}
        self._logs.write(record.levelno, text, fields)


def configure_logs(
    log_format: LogFormat = "auto",
    *,
    stream: LossyStream,
    verbosity: int = 0,
    file: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    wall: Callable[[], float] = time.time,
) -> Logs:
    """Send the log to `stream`, and to `file` (mode 0600, appended to) if there is one.

    `auto` is pretty on a terminal, and plain lines with dates elsewhere. The file, which has the
    whole trace of a bug, is JSON unless the format is `pretty`.
    `verbosity` 0 shows info, 1 debug, -1 warnings, -2 errors; the file has at least info.
    `wall` returns seconds since the epoch. Raises `UsageError` if the file cannot be opened.
    """
    level = {0: logging.INFO, -1: logging.WARNING}.get(
        verbosity, logging.DEBUG if verbosity > 0 else logging.ERROR
    )
    pretty = log_format != "json"
    render: Callable[[Event], str] = _json
    if pretty:
        is_plain = log_format == "auto" and not stream.isatty()
        render = _pretty(Paint(wants_color(stream, environ)), plain=is_plain)
    outputs = [_Output(stream, level, render)]
    close_file: Callable[[], None] = _nothing
    if file is not None:
        opened = _open(file)
        form = _pretty(Paint()) if log_format == "pretty" else _json
        outputs.append(_Output(opened, min(level, logging.INFO), form))
        close_file = opened.close
    return Logs(outputs, pretty=pretty, wall=wall, close_file=close_file)


def _nothing() -> None:
    """Close no file."""


def _open(path: Path) -> LossyStream:
    if _is_of_something_else(path):
        raise UsageError(
            f"the log file {path} is a journal or a manifest, which lines of a log would damage;"
            " give another name"
        )
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.fchmod(descriptor, 0o600)  # it may have been there before
        return LossyStream(os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(
            f"the log file {path} cannot be opened: {why}; name a file that can be written"
        ) from error


def _is_of_something_else(path: Path) -> bool:
    """Return whether lines that are appended would damage what a path leads to."""
    if not path.is_file():
        return False
    if path.suffix.lower() in {".yaml", ".yml"}:
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE)) == SQLITE
    except OSError:  # a file that may be written only
        return False


def _trace(exc_info: object) -> str:
    """Return the traceback for an event's `exc_info`, as in the module `logging`; empty if there is none."""
    if exc_info is True:
        exc_info = sys.exc_info()
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if not isinstance(error, BaseException):
        return ""
    return "".join(traceback.format_exception(error)).rstrip()


def _json(line: Event) -> str:
    return json.dumps(line)


def _pretty(paint: Paint, *, plain: bool = False) -> Callable[[Event], str]:
    """Return a function that formats an event as `21:00:00Z warning  event  key=value`, escaped.

    `plain` lines, which are read later, have the date and the whole trace.
    """
    strong = {"warning": paint.yellow, "error": paint.red, "critical": paint.red}

    def render(line: Event) -> str:
        level = line["level"]
        parts = [
            paint.faint(f"{line['timestamp'][0 if plain else 11 : 19]}Z"),
            strong.get(level, paint.blue)(f"{level:<7}"),
            paint.bold(visible(line["event"])),
        ]
        fields = {
            name: v for name, v in line.items() if name not in ("timestamp", "level", "event")
        }
        if "exception" in fields and not plain:  # its last line; JSON logs have the whole
            fields["exception"] = str(fields["exception"]).rsplit("\n", 1)[-1]
        parts += [f"{paint.faint(visible(name) + '=')}{_bare(v)}" for name, v in fields.items()]
        return " ".join(parts)

    return render


def _bare(value: Any) -> str:
    if isinstance(value, str) and value and not any(c in value for c in ' "=\\'):
        return visible(value)
    return visible(json.dumps(value, ensure_ascii=False))
