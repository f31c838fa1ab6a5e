"""A question to the person at the terminal, wherever the program's output goes (cli.md, "Asking")."""

from __future__ import annotations

import os
import sys
import termios
from contextlib import suppress

from runner.app.apply import Question
from runner.console.text import visible

TERMINAL = "/dev/tty"
"""The terminal that controls the process."""

MOST_BYTES = 1024
"""Of an answer; a terminal gives a line at a time."""

YES = frozenset({"y", "yes"})
NO = frozenset({"", "n", "no"})


def in_words(question: Question) -> str:
    """Return what is asked before anything is sent: where, what, how many, by which history."""
    noun = "live interaction" if question.send == 1 else "live interactions"
    told = [
        f"Move {question.send:,} {noun}?",
        f"  environment  {visible(question.environment)}",
        f"  gateway      {visible(question.gateway)}, {visible(question.origin)}",
        f"  besides      {question.unchanged:,} unchanged, {question.in_doubt:,} in doubt",
    ]
    if question.new_journal is not None:
        journal = visible(question.new_journal)
        told.append(
            f"  NO HISTORY   the journal {journal} is new: what was moved before is unknown"
        )
    return "\n".join(told)


def ask_on_terminal(question: str) -> bool | None:
    """Ask for yes or no on the controlling terminal; None: standard input is no terminal.

    Redirected output is no reason not to ask. An end of the input, or a terminal that is gone,
    is a no. Signals end it as they end everything else.
    """
    if sys.stdin is None or not sys.stdin.isatty():  # None: closed from the start
        return None
    terminal = _opened()
    if terminal is None:
        return None
    try:
        return _answered(terminal, question)
    except OSError:
        return False
    finally:
        os.close(terminal)


def _opened() -> int | None:
    """Open the controlling terminal, or the one that standard input is if none controls."""
    for name in (TERMINAL, _own_name()):
        with suppress(OSError):
            if name is not None:
                return os.open(name, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    return None


def _own_name() -> str | None:
    try:
        return os.ttyname(sys.stdin.fileno())
    except OSError:
        return None


def _answered(terminal: int, question: str) -> bool:
    os.write(terminal, f"{question}\n".encode("utf-8", "replace"))
    with suppress(termios.error):  # what was typed before the question is no answer to it
        termios.tcflush(terminal, termios.TCIFLUSH)
    while True:
        os.write(terminal, b"[y/N]: ")
        said = os.read(terminal, MOST_BYTES)
        word = said.decode("utf-8", "replace").strip().lower()
        if word in YES:
            return True
        if word in NO or not said.endswith(b"\n"):
            return False
