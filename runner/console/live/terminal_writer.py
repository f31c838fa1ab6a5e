"""Writes to the terminal in a thread, so that a run never waits for a stopped or closed terminal."""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable

from runner.console.live.live_renderer import ERASE, Picture, fitted, painted, terminal_size
from runner.console.output_streams import LossyStream
from runner.console.terminal_text import Paint

REDRAW_S = 0.25
"""Shortest time between two drawings."""

MOST_WAITING = 1 << 20
"""Most characters queued for a terminal that accepts nothing; further texts are only counted."""

POLL_MS = 200


class TerminalWriter:
    """Queues texts and pictures, and writes them when the stream accepts them.

    `missed` is called with the number of dropped texts once there is room again. Texts appear above
    the picture. Thread-safe. Only `flush` and `close` block; nothing raises.
    """

    def __init__(
        self, stream: LossyStream, missed: Callable[[int], None], *, color: bool = False
    ) -> None:
        self._stream = stream
        self._missed = missed
        self._paint = Paint(color)
        self._change = threading.Condition()
        self._texts: deque[str] = deque()
        self._waiting = 0  # characters
        self._dropped = 0
        self._picture: Picture | None = None
        self._is_new = False  # the picture was not drawn yet
        self._is_writing = False
        self._ends = threading.Event()
        self._drawn: str | None = None  # what is on the screen; the thread's own
        self._thread = threading.Thread(target=self._write_all, name="terminal", daemon=True)
        self._thread.start()

    def write(self, text: str) -> None:
        """Queue a text."""
        with self._change:
            if self._waiting + len(text) > MOST_WAITING:
                self._dropped += 1
                return
            self._texts.append(text)
            self._waiting += len(text)
            self._change.notify_all()

    def show(self, picture: Picture | None) -> None:
        """Replace the picture; None erases it."""
        with self._change:
            self._picture, self._is_new = picture, True
            self._change.notify_all()

    def flush(self, within_s: float) -> None:
        """Wait until everything queued is written, at most `within_s` seconds."""
        with self._change:
            self._change.wait_for(
                lambda: not (self._texts or self._is_new or self._is_writing), within_s
            )

    def close(self, within_s: float | None) -> bool:
        """Erase the picture, write what is queued and end; return False if that did not finish.

        Without `within_s` it waits as long as the terminal accepts nothing; a signal ends that.
        """
        with self._change:
            if self._picture is not None:
                self._picture, self._is_new = None, True
            self._ends.set()
            self._change.notify_all()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _write_all(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._texts or self._is_new or self._ends.is_set())
                texts, picture = "".join(self._texts), self._picture
                self._texts.clear()
                self._waiting, self._is_new, self._is_writing = 0, False, True
                ends, dropped, self._dropped = self._ends.is_set(), self._dropped, 0
            self._put(texts, picture)
            with self._change:
                self._is_writing = False
                self._change.notify_all()
            if dropped:
                self._missed(dropped)
            elif ends:
                return
            if picture is not None:
                self._ends.wait(REDRAW_S)

    def _put(self, texts: str, picture: Picture | None) -> None:
        drawn = None
        if picture is not None:
            lines = fitted(picture, terminal_size(self._stream.descriptor()))
            drawn = painted(lines, self._paint)
        if not texts and drawn == self._drawn:
            return
        before = ERASE if self._drawn is not None and (texts or drawn is None) else ""
        self._drawn = drawn
        self._write(before + texts + (drawn or ""))

    def _write(self, text: str) -> None:
        """Write past Python's buffers: a thread blocked in one would break the last flush."""
        descriptor = self._stream.descriptor()
        if descriptor is None:
            self._stream.direct.write(text)
            return
        left = memoryview(text.encode("utf-8", "backslashreplace"))
        while left and self._stream.lost is None:
            try:
                left = left[os.write(descriptor, left) :]
            except BlockingIOError:  # a non-blocking descriptor: poll it
                if not _writable(descriptor) and self._ends.is_set():
                    return
            except OSError as error:
                self._stream.lose(error)


def _writable(descriptor: int) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLOUT)
    return bool(waiting.poll(POLL_MS))
