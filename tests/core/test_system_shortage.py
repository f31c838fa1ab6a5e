"""What the system did not give is told as that, not as a bug."""

from __future__ import annotations

import errno

import pytest

from runner.core.exit_code import ExitCode
from runner.core.system_shortage import shortage


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "no memory: raise the limit (ulimit -v"),
        (RuntimeError("can't start new thread"), "no further thread: raise the limit (ulimit -u"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "no process or thread"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "no memory"),
    ],
)
def test_a_limit_that_was_met_is_named_with_the_command_that_shows_it(
    error: BaseException, told: str
):
    found = shortage(error)
    assert found is not None
    assert found.exit_code is ExitCode.STORAGE
    assert told in str(found)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("threads can only be started once"),
        OSError(errno.EAGAIN, "Resource temporarily unavailable", "journal.db"),
        OSError(errno.ENOENT, "No such file or directory"),
        ValueError("a bug"),
    ],
)
def test_another_error_is_not_taken_for_a_shortage(error: BaseException):
    assert shortage(error) is None
