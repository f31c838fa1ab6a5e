"""Asks the person at the terminal, wherever the program's output goes (cli.md, "Asking")."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
from collections.abc import Callable
from contextlib import suppress

from runner.app.apply import Question
from runner.console.terminal_text import visible
from runner.ports.gates import unanswered

TERMINAL = "/dev/tty"
"""The process's controlling terminal."""

MAX_BYTES = 1024
"""Longest answer that is read; a terminal gives a line at a time."""

YES = frozenset({"y", "yes"})
NO = frozenset({"", "n", "no"})

BACKGROUND_S = 0.5
"""How often a run that waits for an answer looks whether it is back in the terminal's foreground."""


def question_text(question: Question) -> str:
    """Return the question before a run sends: where, what, how many, with which history."""
    noun = "live interaction" if question.send == 1 else "live interactions"
    lines = [
        f"Move {question.send:,} {noun}?",
        f"  environment  {visible(question.environment)}",
        f"  gateway      {visible(question.gateway)}, {visible(question.origin)}",
        f"  besides      {question.unchanged:,} unchanged, {question.in_doubt:,} in doubt",
    ]
    if question.new_journal is not None:
        journal = visible(question.new_journal)
        lines.append(
            f"  NO HISTORY   the journal {journal} is new: what was moved before is unknown"
        )
    return "\n".join(lines)


def ask_on_terminal(question: str) -> bool | None:
    """Ask for yes or no on the controlling terminal; None if there is no terminal to ask on.

    It asks although standard streams are redirected. End of input, or a terminal that is gone, means
    no. Signals end it as they end everything else.
    """
    terminal = _open_terminal()
    if terminal is None:
        return None
    try:
        return _read_answer(terminal, question)
    except OSError:
        return False
    finally:
        os.close(terminal)


def ask_for_line(prompt: str, *, shown: str = "") -> str | None:
    """Ask for a line of text on the controlling terminal, below `shown`; None: there is none.

    What was typed before `shown` could be read does not answer it. End of input, or a terminal that
    is gone, is None too.
    """
    terminal = _open_terminal()
    if terminal is None:
        return None
    try:
        if shown:
            _discard_typed(terminal)
        os.write(terminal, f"{shown}{prompt}".encode("utf-8", "replace"))
        line = os.read(terminal, MAX_BYTES)
        return line.decode("utf-8", "replace").strip() if line.endswith(b"\n") else None
    except OSError:
        return None
    finally:
        os.close(terminal)


def has_terminal() -> bool:
    """Return whether a person can be asked."""
    terminal = _open_terminal()
    if terminal is not None:
        os.close(terminal)
    return terminal is not None


def _open_terminal() -> int | None:
    """Open the controlling terminal; without one, the terminal of standard input.

    None in a terminal's background with standard input redirected, as `nohup` starts a command: to
    read there would stop the process, and it would wait unseen.
    """
    is_stdin_terminal = sys.stdin is not None and sys.stdin.isatty()  # None: closed at start
    with suppress(OSError):
        terminal = _opened(TERMINAL)
        if is_stdin_terminal or _is_in_foreground(terminal):
            return terminal
        os.close(terminal)
        return None
    name = _stdin_name() if is_stdin_terminal else None
    with suppress(OSError):
        return None if name is None else _opened(name)
    return None


def _opened(name: str) -> int:
    return os.open(name, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)


def _is_in_foreground(terminal: int) -> bool:
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False


def _is_in_background(terminal: int) -> bool:
    """Return whether another job has the terminal: to read or to flush it would stop this process.

    A terminal that is not the controlling one stops nobody.
    """
    try:
        return os.tcgetpgrp(terminal) != os.getpgrp()
    except OSError:
        return False


def _stdin_name() -> str | None:
    try:
        return os.ttyname(sys.stdin.fileno())
    except OSError:
        return None


def _read_answer(terminal: int, question: str) -> bool:
    _discard_typed(terminal)
    os.write(terminal, f"{question}\n".encode("utf-8", "replace"))
    while True:
        os.write(terminal, b"[y/N]: ")
        line = os.read(terminal, MAX_BYTES)
        answer = line.decode("utf-8", "replace").strip().lower()
        if answer in YES:
            return True
        if answer in NO or not line.endswith(b"\n"):
            return False


def _discard_typed(terminal: int) -> None:
    """Discard what was typed before a question is shown: it does not answer it.

    Once it is shown nothing may be discarded, else a quick answer is lost and nobody is told.
    """
    with suppress(termios.error):
        termios.tcflush(terminal, termios.TCIFLUSH)


async def ask_beside_run(
    question: str, show: Callable[[str], object] | None, *, elsewhere: str
) -> bool:
    """Ask for yes or no on the terminal while a run goes on.

    `show` shows the question above the live view; None: there is no view, and it is written to the
    terminal. A terminal that takes nothing in holds nothing up.

    `elsewhere` is the command that answers in its place. Without a terminal, or once it is gone, it
    never returns. In the terminal's background (`&`, or Ctrl-Z and `bg`) it asks once the run is in
    the foreground: to touch the terminal before would stop the run, and all that it has in flight.
    """
    terminal = _open_terminal()
    if terminal is None:
        return await unanswered(question)
    try:
        os.set_blocking(terminal, False)
        text = f"{visible(question)}\n[y/N], or: {visible(elsewhere)}\n"
        await _foreground(terminal)
        _discard_typed(terminal)
        if show is not None:
            show(text)
        else:
            with suppress(OSError):
                os.write(terminal, text.encode("utf-8", "replace"))
        answer = await _line_from(terminal)
    finally:
        os.close(terminal)
    return await unanswered(question) if answer is None else answer in YES


async def _foreground(terminal: int) -> None:
    loop = asyncio.get_running_loop()
    is_back = asyncio.Event()

    def look() -> None:
        if _is_in_background(terminal):
            loop.call_later(BACKGROUND_S, look)
        else:
            is_back.set()

    look()
    await is_back.wait()


async def _line_from(terminal: int) -> str | None:
    """Return the next line that is typed; None: the terminal is gone."""
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[str | None] = loop.create_future()

    def listen() -> None:
        if not typed.done():
            loop.add_reader(terminal, read)

    def read() -> None:
        if _is_in_background(terminal):  # what is typed is another job's
            loop.remove_reader(terminal)
            loop.call_later(BACKGROUND_S, listen)
            return
        try:
            line = os.read(terminal, MAX_BYTES)
        except BlockingIOError:
            return
        except OSError:
            line = b""
        if not typed.done():
            typed.set_result(line.decode("utf-8", "replace").strip().lower() if line else None)
        loop.remove_reader(terminal)

    listen()
    try:
        return await typed
    finally:
        typed.cancel()
        loop.remove_reader(terminal)
