"""Observers of a run: a line a minute, the log, and several as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from runner.console.live.progress_text import Throughput, progress_fields, progress_line
from runner.console.output_streams import LossyStream
from runner.ports import Observer, Progress

LINE_EVERY_S = 60.0

ProgressWriter = Callable[[Progress, Throughput], None]


class Log(Protocol):
    """What observers log by."""

    def info(self, event: str, **fields: Any) -> Any:
        """Log at level info."""

    def warning(self, event: str, **fields: Any) -> Any:
        """Log at level warning."""


class ClosableObserver(Observer, Protocol):
    """An observer that writes a last time when the run ends."""

    def close(self) -> None:
        """Write what is left; idempotent, never raises."""


def progress_to_stream(stream: LossyStream) -> ProgressWriter:
    """Return a writer of plain lines to `stream`."""

    def write(progress: Progress, pace: Throughput) -> None:
        stream.write(f"progress: {progress_line(progress, pace)}\n")

    return write


def progress_to_log(log: Log) -> ProgressWriter:
    """Return a writer of log lines, so that a stream of JSON lines stays one."""

    def write(progress: Progress, pace: Throughput) -> None:
        log.info("progress", **progress_fields(progress, pace))

    return write


class LineObserver:
    """Writes the progress at the start, once a minute and at the end.

    `now` returns monotonic seconds; each `progressed` calls it once. With `shows_holds` a line is
    written as soon as the session is lost or the run has to wait, for output without a log.
    """

    def __init__(
        self,
        write: ProgressWriter,
        now: Callable[[], float],
        *,
        every_s: float = LINE_EVERY_S,
        shows_holds: bool = False,
    ) -> None:
        self._write = write
        self._now = now
        self._every_s = every_s
        self._pace = Throughput()
        self._due_at = float("-inf")
        self._unwritten: Progress | None = None
        self._shows_holds = shows_holds
        self._hold: tuple[object, ...] = ()

    def noticed(self, event: str, **fields: Any) -> None:
        """Do nothing: the log has it."""

    def warned(self, event: str, **fields: Any) -> None:
        """Do nothing: the log has it."""

    def progressed(self, progress: Progress) -> None:
        """Write it if a line is due, else keep it for the end."""
        now = self._now()
        self._pace.add(now, progress)
        self._unwritten = progress
        hold = (progress.session, progress.waiting_for is not None)
        changed, self._hold = self._shows_holds and hold != self._hold, hold
        if changed or now >= self._due_at:
            self._due_at = now + self._every_s
            self.close()

    def close(self) -> None:
        """Write the latest progress if it has not been written."""
        if self._unwritten is not None:
            self._write(self._unwritten, self._pace)
            self._unwritten = None


class LogObserver:
    """Writes the engine's events to the log."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def noticed(self, event: str, **fields: Any) -> None:
        """Log at level info."""
        self._log.info(event, **fields)

    def warned(self, event: str, **fields: Any) -> None:
        """Log at level warning."""
        self._log.warning(event, **fields)

    def progressed(self, progress: Progress) -> None:
        """Do nothing: progress is not logged."""

    def close(self) -> None:
        """Do nothing."""


class Observers:
    """Passes each event to several observers. One that raises is dropped, with a warning to the others."""

    def __init__(self, observers: Iterable[ClosableObserver]) -> None:
        self._observers = list(observers)

    def add(self, observer: ClosableObserver) -> None:
        """Pass events to one more."""
        self._observers.append(observer)

    def noticed(self, event: str, **fields: Any) -> None:
        """Pass it to all."""
        self._call(lambda observer: observer.noticed(event, **fields))

    def warned(self, event: str, **fields: Any) -> None:
        """Pass it to all."""
        self._call(lambda observer: observer.warned(event, **fields))

    def progressed(self, progress: Progress) -> None:
        """Pass it to all."""
        self._call(lambda observer: observer.progressed(progress))

    def close(self) -> None:
        """Close all."""
        self._call(lambda observer: observer.close())

    def _call(self, call: Callable[[ClosableObserver], None]) -> None:
        for observer in tuple(self._observers):
            try:
                call(observer)
            except Exception as error:  # noqa: BLE001 -- no observer may end the run
                self._drop(observer, error)

    def _drop(self, observer: ClosableObserver, error: Exception) -> None:
        if observer in self._observers:
            self._observers.remove(observer)
            self.warned(
                "an observer failed and gets no further events of the run",
                observer=type(observer).__name__,
                error=f"{type(error).__name__}: {error}",
            )
