"""A terminal's window for tests: a pty, a program on it, and an emulator that shows its screen."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import pyte

from tests.e2e.harness import AT_START, PATIENCE_S, command, environment
from tests.fork_server import ForkedProcess

PROGRAM = command()

# Makes the pty the program's own terminal, so that a typed Ctrl-C reaches it as a signal.
ADOPT = "import fcntl, os, sys, termios;fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
EXECUTE = "os.execv(sys.argv[1], sys.argv[1:])"


class Screen:
    """What a terminal of so many columns and rows would show, its history included."""

    def __init__(self, columns: int, rows: int) -> None:
        self._fresh(columns, rows)

    def _fresh(self, columns: int, rows: int) -> None:
        self.pyte = pyte.HistoryScreen(columns, rows, history=10_000)
        self._stream = pyte.ByteStream(self.pyte)

    def feed(self, data: bytes) -> None:
        self._stream.feed(data)

    @property
    def lines(self) -> list[str]:
        """Every line, from the history's first to the window's last that is not blank."""
        columns = self.pyte.columns
        above = ["".join(line[x].data for x in range(columns)) for line in self.pyte.history.top]
        return (
            "\n".join(line.rstrip() for line in [*above, *self.pyte.display]).rstrip().split("\n")
        )

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def resize(self, columns: int, rows: int, *, breaks_anew: bool) -> None:
        """Change the window as terminals do: they cut long lines, or break all of them anew."""
        if not breaks_anew:
            self.pyte.resize(rows, columns)
            return
        cursor = len(self.pyte.history.top) + self.pyte.cursor.y
        before = self.lines + [""] * (cursor + 1 - len(self.lines))
        self._fresh(columns, rows)
        self.feed("\r\n".join(before[:cursor]).encode() + b"\r\n" * bool(cursor))
        below = before[cursor:]
        self.feed(b"\x1b7" + "\r\n".join(below).encode())
        height = sum(max(1, -(-len(line) // columns)) for line in below)
        self.feed(b"\r" + f"\x1b[{height - 1}A".encode() * (height > 1))


def _process(
    arguments: Sequence[str], before: str, streams: Sequence[int], cwd: Path, env: Mapping[str, str]
) -> ForkedProcess | subprocess.Popen[bytes]:
    """Start the program on the terminal; it is forked where nothing acts while it starts."""
    usual = environment()
    changed = [name for name, value in env.items() if name != "TERM" and usual.get(name) != value]
    starts = env["TERM"] == "dumb" or any(name.startswith(AT_START) for name in changed)
    if not before and not starts and list(arguments[: len(PROGRAM)]) == PROGRAM:
        return ForkedProcess.on_terminal(arguments[len(PROGRAM) :], streams, cwd=cwd, env=env)
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", f"{ADOPT};{before or 'pass'};{EXECUTE}", *arguments],
        cwd=cwd,
        env=env,
        stdin=streams[0],
        stdout=streams[1],
        stderr=streams[2],
        start_new_session=True,
    )


class Window:
    """A program on a terminal; use it as a context, that ends the program."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        columns: int = 80,
        rows: int = 24,
        stdout: int | None = None,
        stderr: int | None = None,
        before: str = "",
    ) -> None:
        """`before` is Python code that is run on the terminal before the program starts."""
        self.screen = Screen(columns, rows)
        self.written = b""
        self.master, slave = os.openpty()
        self.name = os.ttyname(slave)
        self._set_size(columns, rows)
        streams = [slave, *(slave if each is None else each for each in (stdout, stderr))]
        self.process = _process(arguments, before, streams, cwd, {"TERM": "xterm-256color", **env})
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.hang_up()
        self.process.wait()

    def wait_for(self, seen: Callable[[Screen], bool] | str) -> None:
        """Read until the screen shows something."""
        wanted = (lambda screen: seen in screen.text) if isinstance(seen, str) else seen
        deadline = time.monotonic() + PATIENCE_S
        while not wanted(self.screen):
            assert time.monotonic() < deadline, self.screen.text
            assert self._read(), f"it ended: {self.screen.text}"

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def resize(self, columns: int, rows: int, *, breaks_anew: bool = False) -> None:
        """Change the window's size; the program is told by SIGWINCH."""
        self.screen.resize(columns, rows, breaks_anew=breaks_anew)
        self._set_size(columns, rows)

    def hang_up(self) -> None:
        """Close the terminal: the program is told by SIGHUP, its output has nowhere to go."""
        with suppress(OSError):
            os.close(self.master)

    def ended(self) -> int:
        """Read to the end and return the exit code."""
        deadline = time.monotonic() + PATIENCE_S
        while self._read():  # a view that goes on for ever is no end
            assert time.monotonic() < deadline, self.screen.text
        return self.process.wait(PATIENCE_S)

    def _read(self) -> bool:
        ready, _, _ = select.select([self.master], [], [], PATIENCE_S)
        assert ready, f"it says nothing more: {self.screen.text}"
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: nobody holds the terminal any more
            return False
        self.written += data
        self.screen.feed(data)
        return bool(data)

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
