"""What holds for every test."""

from __future__ import annotations

import fcntl
import os
import signal
import termios
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, not whether the program is right. The
# examples are the same each time, so that a run is red for what was changed; `make fuzz` draws others.
settings.register_profile(
    "runner", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile(
    "search", settings.get_profile("runner"), derandomize=False, max_examples=2000
)
settings.load_profile("runner")

_TESTS = count(1)


def _leave_terminal() -> None:
    """Give up the controlling terminal: a command under test asks on it, whatever its streams are."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a session's leader is sent it
    with suppress(OSError):
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        fcntl.ioctl(terminal, termios.TIOCNOTTY)
        os.close(terminal)
    signal.signal(signal.SIGHUP, before)


_leave_terminal()


@pytest.fixture(autouse=True)
def _own_state_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Give each test a registry of gateways of its own: addresses on loopback come again."""
    folder = tmp_path_factory.getbasetemp() / "state" / str(next(_TESTS))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Name a test's folder by a number alone.

    A socket's path takes 103 bytes at most, and the account's name and the system's own folder for
    temporary files stand in it already.
    """
    return tmp_path_factory.mktemp("t")
