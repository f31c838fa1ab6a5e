"""Standard streams whose failures never end a run: closed pipes, full disks, missing descriptors."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TextIO

STANDARD = (0, 1, 2)

WIDEST = 100
"""Most columns used: longer lines are hard to read, however wide the terminal is."""


class LossyStream:
    """A text stream that never raises: once a write fails, all later output is dropped.

    `lost` then holds the error. The journal records a run whether its output is read or not.
    During a run, `divert` passes whole lines to a thread that may wait for the terminal.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._diverted: Callable[[str], None] | None = None
        self._drained: Callable[[], None] | None = None
        self.lost: Exception | None = None

    @property
    def encoding(self) -> str:
        """The stream's encoding, whatever the locale."""
        return "utf-8"

    @property
    def direct(self) -> LossyStream:
        """The same stream without its diversion."""
        return LossyStream(self._stream)

    def divert(
        self, sink: Callable[[str], None] | None, drained: Callable[[], None] | None = None
    ) -> None:
        """Pass further text to `sink`, and let `flush` call `drained`; None ends the diversion."""
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
                return 0  # a non-blocking pipe is full: this text is lost, later text may pass
            except (OSError, ValueError) as error:  # ValueError: the stream is closed
                self.lose(error)
        return len(text)

    def flush(self) -> None:
        """Wait, for a limited time, for diverted text; other writes are flushed at once."""
        if self._drained is not None:
            self._drained()

    def close(self) -> None:
        """Close the underlying stream; later text is dropped."""
        if self._stream is not None:
            with suppress(OSError, ValueError):
                self._stream.close()

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        with suppress(OSError, ValueError):
            return self._stream is not None and self._stream.isatty()
        return False

    def width(self) -> int | None:
        """Return the terminal's columns, at most `WIDEST`; None if it is not a terminal."""
        if (descriptor := self.descriptor()) is None or not self.isatty():
            return None
        with suppress(OSError):
            return min(WIDEST, os.get_terminal_size(descriptor).columns) or None
        return None

    def fileno(self) -> int:
        """Return the file descriptor. Raises `OSError` if there is none."""
        if self._stream is None:
            raise OSError("the stream has no descriptor")
        return self._stream.fileno()

    def descriptor(self) -> int | None:
        """Return the file descriptor, or None."""
        try:
            return self.fileno()
        except (OSError, ValueError):
            return None

    def lose(self, error: Exception) -> None:
        """Drop later text, because of `error`.

        A standard descriptor is redirected to /dev/null, so that the interpreter's last flush
        reports nothing.
        """
        self.lost = error
        if (descriptor := self.descriptor()) in STANDARD:
            with suppress(OSError):
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, descriptor)
                os.close(nothing)


def standard_streams() -> tuple[LossyStream, LossyStream]:
    """Return stdout and stderr, made lossy and UTF-8 whatever the locale.

    Closed standard descriptors are opened on /dev/null first. Otherwise the journal could be opened
    as descriptor 2, and error messages would be written into it.
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
    """Return whether to use colour: on a capable terminal, unless NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and not _dumb(environ)


def can_redraw(stream: LossyStream, environ: Mapping[str, str]) -> bool:
    """Return whether a view can be redrawn in place: on a capable terminal, and not under CI."""
    ci = environ.get("CI", "").lower() not in ("", "0", "false")
    return stream.isatty() and not ci and not _dumb(environ)


def follows_links(stream: LossyStream, environ: Mapping[str, str]) -> bool:
    """Return whether to write paths as links (OSC 8): on a terminal that is known to follow them.

    Elsewhere the sequence could show as text. FORCE_HYPERLINK decides for terminals that are not
    known. Over SSH the file is not on the terminal's machine.
    """
    if not can_redraw(stream, environ) or environ.get("NO_COLOR"):
        return False
    if forced := environ.get("FORCE_HYPERLINK"):
        return forced != "0"
    if environ.get("SSH_CONNECTION"):
        return False
    program = environ.get("TERM_PROGRAM", "").lower()
    if program == "tmux":  # drops what its own terminal does not follow
        return _version(environ.get("TERM_PROGRAM_VERSION", "")) >= _TMUX_PASSES_LINKS
    return (
        program in _LINKING_PROGRAMS
        or any(environ.get(name) for name in _LINKING_VARIABLES)
        or environ.get("TERM", "").lower().startswith(_LINKING_TERMS)
        or _version(environ.get("VTE_VERSION", "")) >= _VTE_FOLLOWS_LINKS
    )


_LINKING_PROGRAMS = frozenset({"iterm.app", "wezterm", "vscode", "ghostty", "hyper", "rio"})
_LINKING_VARIABLES = ("WT_SESSION", "KITTY_WINDOW_ID", "KONSOLE_VERSION", "DOMTERM")
_LINKING_TERMS = ("xterm-kitty", "alacritty", "foot", "xterm-ghostty", "wezterm", "contour")
_VTE_FOLLOWS_LINKS = (5001,)  # 0.50.0 crashes on them
_TMUX_PASSES_LINKS = (3, 4)


def _version(text: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with; none for any other text."""
    return tuple(int(part) for part in re.findall(r"\d{1,6}", text)[:2])


def _dumb(environ: Mapping[str, str]) -> bool:
    return environ.get("TERM", "").lower() in ("", "dumb", "unknown")
