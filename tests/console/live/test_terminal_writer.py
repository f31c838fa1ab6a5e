"""A thread writes to the terminal: the run never waits, and the screen survives any resizing."""

from __future__ import annotations

import fcntl
import io
import os
import select
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TextIO

import pytest

from runner.console.live.live_renderer import fitted, painted, terminal_size
from runner.console.live.terminal_writer import MOST_WAITING, TerminalWriter
from runner.console.live.view import Line, Segment, Style
from runner.console.output_streams import LossyStream
from runner.console.terminal_text import Paint
from tests.terminal.window import Screen

PATIENCE_S = 60.0
POLL_S = 0.05


class Pty:
    """A terminal whose other end the test reads, or does not."""

    def __init__(self) -> None:
        self.master, slave = os.openpty()
        self.resize(80, 24)
        self.stream: TextIO = os.fdopen(slave, "w")
        self.screen = Screen(80, 24)

    def resize(self, columns: int, rows: int) -> None:
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)

    def read_until(self, text: str) -> None:
        while text not in self.screen.text:
            ready, _, _ = select.select([self.master], [], [], PATIENCE_S)
            assert ready, self.screen.text
            self.screen.feed(os.read(self.master, 65536))

    def close(self) -> None:
        for end in (self.stream.close, partial(os.close, self.master)):
            with suppress(OSError):
                end()


@pytest.fixture
def pty() -> Iterator[Pty]:
    made = Pty()
    yield made
    made.close()


def never(texts: int) -> None:
    raise AssertionError(f"{texts} texts were dropped")


def picture(*texts: str) -> Callable[[int, int], Sequence[Line]]:
    def drawn(columns: int, rows: int) -> Sequence[Line]:
        return [(Segment(text[:columns]),) for text in texts[:rows]]

    return drawn


def test_texts_appear_above_the_picture_which_goes_at_the_end(pty: Pty):
    writer = TerminalWriter(LossyStream(pty.stream), never)
    writer.write("one\n")
    writer.show(picture("bar 1", "figures 1"))
    pty.read_until("figures 1")
    writer.write("two\n")
    writer.show(picture("bar 2"))
    pty.read_until("bar 2")
    assert pty.screen.lines == ["one", "two", "", "bar 2"]
    writer.write("three\n")
    assert writer.close(PATIENCE_S)
    pty.read_until("three")
    assert pty.screen.lines == ["one", "two", "three"]
    assert (pty.screen.pyte.cursor.x, pty.screen.pyte.cursor.y) == (0, 3)


def test_what_was_written_before_a_prompt_is_there(pty: Pty):
    writer = TerminalWriter(LossyStream(pty.stream), never)
    writer.write("before\n")
    writer.flush(PATIENCE_S)
    ready, _, _ = select.select([pty.master], [], [], 0)
    assert ready
    assert os.read(pty.master, 100) == b"before\r\n"
    assert writer.close(PATIENCE_S)


def test_a_terminal_that_accepts_nothing_delays_nothing_and_dropped_texts_are_counted(pty: Pty):
    lost: list[int] = []
    writer = TerminalWriter(LossyStream(pty.stream), lost.append)
    line = "x" * 1023 + "\n"
    given = 3 * MOST_WAITING // len(line)
    for _ in range(given):  # returns at once, each time
        writer.write(line)
    writer.show(picture("bar"))
    assert not writer.close(0.0)  # nor does the end wait for ever
    taken = bytearray()
    # Dropped texts are reported once there is room again, perhaps after the last byte was read.
    until = time.monotonic() + PATIENCE_S
    while not (lost and taken.count(b"\n") + sum(lost) >= given) and time.monotonic() < until:
        if select.select([pty.master], [], [], POLL_S)[0]:
            taken += os.read(pty.master, 65536)
    assert taken.count(b"\n") + sum(lost) == given
    most_taken = 2 * MOST_WAITING // len(line)  # what is being written, and what waits behind it
    assert sum(lost) >= given - most_taken - 65536 // len(line)  # and what the terminal holds


def test_pictures_that_could_not_be_seen_are_left_out():
    """Of a thousand while the terminal takes nothing, the last one is drawn, and one at most before."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as end, os.fdopen(writing, "w") as stream:
        writer = TerminalWriter(LossyStream(stream), never)
        writer.write("x" * MOST_WAITING)  # more than the pipe holds: the thread is stuck in it
        for n in range(1000):
            writer.show(picture(f"picture {n}."))
        drawn: list[bytes] = []
        reader = threading.Thread(target=lambda: drawn.append(end.read()), daemon=True)
        reader.start()
        writer.flush(PATIENCE_S)
        assert writer.close(PATIENCE_S)
        stream.close()
        reader.join(PATIENCE_S)
    assert b"picture 999." in drawn[0]
    assert drawn[0].count(b"picture") <= 2


def test_a_terminal_that_is_gone_loses_output_only(pty: Pty):
    stream = LossyStream(pty.stream)
    writer = TerminalWriter(stream, never)
    os.close(pty.master)
    writer.write("unseen\n")
    writer.flush(PATIENCE_S)
    assert isinstance(stream.lost, OSError)
    writer.show(picture("bar"))
    assert writer.close(PATIENCE_S)


def test_a_descriptor_that_never_waits_is_waited_for_beside_it():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with os.fdopen(reading, "rb") as end, os.fdopen(writing, "w") as stream:
        writer = TerminalWriter(LossyStream(stream), never)
        writer.write("y" * 500_000)
        got = threading.Thread(target=partial(end.read, 500_000), daemon=True)
        got.start()
        got.join(PATIENCE_S)
        assert not got.is_alive()
        assert writer.close(PATIENCE_S)


def test_a_stream_without_a_descriptor_is_written_to():
    text = io.StringIO()
    writer = TerminalWriter(LossyStream(text), never, color=True)
    writer.write("a\n")
    writer.flush(PATIENCE_S)
    writer.close(PATIENCE_S)
    assert text.getvalue() == "a\n"


def test_the_size_is_read_again_and_is_80_by_24_if_unknown(pty: Pty):
    pty.resize(40, 10)
    assert terminal_size(pty.stream.fileno()) == (40, 10)
    pty.resize(0, 0)
    assert terminal_size(pty.stream.fileno()) == (80, 24)
    assert terminal_size(None) == (80, 24)


@pytest.mark.parametrize(("rows", "expected"), [(24, 22), (10, 8), (3, 1), (2, 0), (1, 0)])
def test_a_picture_leaves_a_column_and_two_rows_free(rows: int, expected: int):
    def drawn(columns: int, rows: int) -> Sequence[Line]:
        assert columns == 79
        return [(Segment("x"),)] * rows

    assert len(fitted(drawn, (80, rows))) == expected


def test_tones_become_colours_where_there_are_any():
    line = (Segment("bad", Style.BAD), Segment(" plain"), Segment(" good", Style.GOOD))
    assert painted([line], Paint()) == "\r\x1b[K\r\nbad plain good\x1b[J\x1b[1A\r"
    coloured = "\x1b[1;31mbad\x1b[0m plain\x1b[1;32m good\x1b[0m"
    assert painted([line], Paint(on=True)) == f"\r\x1b[K\r\n{coloured}\x1b[J\x1b[1A\r"
    assert painted([], Paint()) == "\r\x1b[J"
