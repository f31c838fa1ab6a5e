"""Runs the command of a secret reference, with limits on time and output."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from pathlib import Path

COMMAND_TIMEOUT_S = 60.0


class TooMuchOutput(Exception):
    """The command printed more than is allowed."""


class TooSlow(Exception):
    """The command did not end in time."""


def program_of(command: list[str], folder: Path) -> str:
    """Return the program to run; a name with a slash is relative to `folder`."""
    return str((folder / command[0]).absolute()) if "/" in command[0] else command[0]


def output_of(
    command: list[str], folder: Path, *, max_bytes: int, timeout_s: float = COMMAND_TIMEOUT_S
) -> tuple[int, bytes]:
    """Return the command's exit code and its standard output.

    It is killed as soon as it prints more than `max_bytes` (`TooMuchOutput`) or takes longer
    than `timeout_s` (`TooSlow`). Raises `OSError` if it cannot be started.
    """
    deadline = time.monotonic() + timeout_s
    with subprocess.Popen(
        [program_of(command, folder), *command[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            printed = _read(process, max_bytes, deadline)
            return process.wait(max(0.0, deadline - time.monotonic())), printed
        except subprocess.TimeoutExpired:
            raise TooSlow from None
        finally:
            process.kill()  # has no effect on a process that has ended


def _read(process: subprocess.Popen[bytes], max_bytes: int, deadline: float) -> bytes:
    """Return all output of the process, until the deadline: a child may keep the pipe open."""
    assert process.stdout is not None  # noqa: S101 - set by `stdout=PIPE`
    found = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise TooSlow
            part = os.read(process.stdout.fileno(), 65_536)
            if not part:
                return bytes(found)
            found += part
            if len(found) > max_bytes:
                raise TooMuchOutput
