"""Output that may be lost without hurting the run: closed pipes, full disks, missing descriptors."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TextIO

STANDARD = (0, 1, 2)

WIDEST = 100
"""Lines of text that are wider are hard to read, however wide the terminal."""


class LossyStream:
    """A text stream that never raises: once a write fails, all later output is dropped.

    `lost` then holds the error. A run is journalled whether or not anybody reads its output.
    While a run goes on, `divert` sends whole lines to a thread that may wait for the terminal.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._diverted: Callable[[str], None] | None = None
        self._drained: Callable[[], None] | None = None
        self.lost: Exception | None = None

    @property
    def encoding(self) -> str:
        """The encoding that was forced on the stream."""
        return "utf-8"

    @property
    def direct(self) -> LossyStream:
        """The same stream, not diverted."""
        return LossyStream(self._stream)

    def divert(
        self, sink: Callable[[str], None] | None, drained: Callable[[], None] | None = None
    ) -> None:
        """Give what is written to `sink` from now on; None ends that. `drained` waits for it."""
        self._diverted, self._drained = sink, drained

    def write(self, text: str) -> int:
        """Write `text` and flush it, or drop it."""
        if self._diverted is not None:
            self._diverted(text)
        elif self._stream is not None and self.lost is None:
            try:
                self._stream.write(text)
                self._stream.flush()
            except BlockingIOError:
                return (
                    0  # a non-blocking pipe is full for a moment: this text is lost, not the next
                )
            except (OSError, ValueError) as error:  # ValueError: the stream is closed
                self.lose(error)
        return len(text)

    def flush(self) -> None:
        """Wait, not for ever, for what was diverted; every other write is flushed by itself."""
        if self._drained is not None:
            self._drained()

    def close(self) -> None:
        """Close the stream beneath; what is written from now on is dropped."""
        if self._stream is not None:
            with suppress(OSError, ValueError):
                self._stream.close()

    def isatty(self) -> bool:
        """Return whether a person looks at the stream."""
        with suppress(OSError, ValueError):
            return self._stream is not None and self._stream.isatty()
        return False

    def width(self) -> int | None:
        """Return how wide a person's terminal is, at most 100; None: it is not a terminal."""
        if (descriptor := self.descriptor()) is None or not self.isatty():
            return None
        with suppress(OSError):
            return min(WIDEST, os.get_terminal_size(descriptor).columns) or None
        return None

    def fileno(self) -> int:
        """Return the descriptor; raises `OSError` where there is none."""
        if self._stream is None:
            raise OSError("the stream has no descriptor")
        return self._stream.fileno()

    def descriptor(self) -> int | None:
        """Return the descriptor; None where there is none."""
        try:
            return self.fileno()
        except (OSError, ValueError):
            return None

    def lose(self, error: Exception) -> None:
        """Drop what is written from now on.

        Points a standard descriptor at nothing, so that the interpreter's last flush is quiet.
        """
        self.lost = error
        if (descriptor := self.descriptor()) in STANDARD:
            with suppress(OSError):
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, descriptor)
                os.close(nothing)


def standard_streams() -> tuple[LossyStream, LossyStream]:
    """Return stdout and stderr, made lossy and UTF-8 whatever the locale.

    Closed standard descriptors are opened on nothing first: else the journal would be given
    descriptor 2 and be written to by whatever complains.
    """
    for descriptor in STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    return _utf8(sys.stdout), _utf8(sys.stderr)


def _utf8(stream: TextIO | None) -> LossyStream:
    with suppress(AttributeError, OSError, ValueError):  # replaced by an object that is not a file
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]  # suppressed above
    return LossyStream(stream)


def wants_color(stream: LossyStream, environ: Mapping[str, str]) -> bool:
    """Return whether to colour: on a terminal that can, unless NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and not _dumb(environ)


def can_redraw(stream: LossyStream, environ: Mapping[str, str]) -> bool:
    """Return whether a view may be drawn over: on a terminal that can, and not under CI."""
    ci = environ.get("CI", "").lower() not in ("", "0", "false")
    return stream.isatty() and not ci and not _dumb(environ)


def _dumb(environ: Mapping[str, str]) -> bool:
    return environ.get("TERM", "").lower() in ("", "dumb", "unknown")
