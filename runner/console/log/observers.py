"""Who watches a run: a line a minute, the log, and all of them together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from runner.console.live.progress_text import Throughput, progress_fields, progress_line
from runner.console.output_streams import LossyStream
from runner.ports import Observer, Progress

LINE_EVERY_S = 60.0

ProgressWriter = Callable[[Progress, Throughput], None]


class Log(Protocol):
    """What of a structlog logger is needed."""

    def info(self, event: str, **fields: Any) -> Any:
        """Log what is worth knowing."""

    def warning(self, event: str, **fields: Any) -> Any:
        """Log what an operator should look at."""


class ClosableObserver(Observer, Protocol):
    """An observer that has a last word."""

    def close(self) -> None:
        """Say the last word; idempotent, never raises."""


def progress_to_stream(stream: LossyStream) -> ProgressWriter:
    """Return what writes progress to `stream` as plain lines."""

    def say(progress: Progress, pace: Throughput) -> None:
        stream.write(f"progress: {progress_line(progress, pace)}\n")

    return say


def progress_to_log(log: Log) -> ProgressWriter:
    """Return what logs progress, so that a stream of JSON lines stays one."""

    def say(progress: Progress, pace: Throughput) -> None:
        log.info("progress", **progress_fields(progress, pace))

    return say


class LineObserver:
    """Says where the run stands at the start, once a minute and at the end.

    `now` gives monotonic seconds; it is read once for each call of `progressed`. `tells_holds`:
    it also says at once that the session is lost or all is held up, for who has no log beside it.
    """

    def __init__(
        self,
        say: ProgressWriter,
        now: Callable[[], float],
        *,
        every_s: float = LINE_EVERY_S,
        tells_holds: bool = False,
    ) -> None:
        self._say = say
        self._now = now
        self._every_s = every_s
        self._pace = Throughput()
        self._due_at = float("-inf")
        self._unsaid: Progress | None = None
        self._tells_holds = tells_holds
        self._hold: tuple[object, ...] = ()

    def noticed(self, event: str, **fields: Any) -> None:
        """Leave it to the log."""

    def warned(self, event: str, **fields: Any) -> None:
        """Leave it to the log."""

    def progressed(self, progress: Progress) -> None:
        """Say it if a line is due, else keep it for the end."""
        now = self._now()
        self._pace.add(now, progress.settled)
        self._unsaid = progress
        hold = (progress.session, progress.waiting_for is not None)
        changed, self._hold = self._tells_holds and hold != self._hold, hold
        if changed or now >= self._due_at:
            self._due_at = now + self._every_s
            self.close()

    def close(self) -> None:
        """Say what has not been said yet."""
        if self._unsaid is not None:
            self._say(self._unsaid, self._pace)
            self._unsaid = None


class LogObserver:
    """Turns what the engine tells into log lines."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def noticed(self, event: str, **fields: Any) -> None:
        """Log at level info."""
        self._log.info(event, **fields)

    def warned(self, event: str, **fields: Any) -> None:
        """Log at level warning."""
        self._log.warning(event, **fields)

    def progressed(self, progress: Progress) -> None:
        """Leave it to the others."""

    def close(self) -> None:
        """Do nothing."""


class Observers:
    """Many observers as one. One that raises is dropped, and the others are told."""

    def __init__(self, observers: Iterable[ClosableObserver]) -> None:
        self._observers = list(observers)

    def noticed(self, event: str, **fields: Any) -> None:
        """Tell all."""
        self._tell(lambda observer: observer.noticed(event, **fields))

    def warned(self, event: str, **fields: Any) -> None:
        """Tell all."""
        self._tell(lambda observer: observer.warned(event, **fields))

    def progressed(self, progress: Progress) -> None:
        """Tell all."""
        self._tell(lambda observer: observer.progressed(progress))

    def close(self) -> None:
        """Let all say their last word."""
        self._tell(lambda observer: observer.close())

    def _tell(self, call: Callable[[ClosableObserver], None]) -> None:
        for observer in tuple(self._observers):
            try:
                call(observer)
            except Exception as error:  # noqa: BLE001 -- whatever it is, it must not end the run
                self._drop(observer, error)

    def _drop(self, observer: ClosableObserver, error: Exception) -> None:
        if observer in self._observers:
            self._observers.remove(observer)
            self.warned(
                "an observer failed and gets no further events of the run",
                observer=type(observer).__name__,
                error=f"{type(error).__name__}: {error}",
            )
