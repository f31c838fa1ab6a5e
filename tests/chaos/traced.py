"""strace before a command: a signal or an error at the n-th call, and what the calls were."""

from __future__ import annotations

import os
import shutil

import pytest

STRACE = shutil.which("strace")


def require_strace() -> None:
    """Skip where there is no strace, or fail where everything is required."""
    if STRACE is not None:
        return
    if os.environ.get("RUNNER_REQUIRE_ALL") == "1":
        pytest.fail("strace is not installed, and RUNNER_REQUIRE_ALL=1 asks for every test")
    pytest.skip("strace is not installed: no faults at exact places, no power cuts")


def injecting(call: str, what: str, n: int, *, until_end: bool = False) -> list[str]:
    """Return the command that lets the n-th `call` (from 1) meet `signal=…` or `error=…`."""
    # Without --seccomp-bpf, though it is slower: with it strace 6.13 injects no signal.
    assert STRACE is not None
    when = f"{n}+" if until_end else str(n)
    inject = f"inject={call}:{what}:when={when}"
    return [
        STRACE,
        "-f",
        "-qq",
        "-o",
        os.devnull,
        "-e",
        f"trace={call}",
        "-e",
        inject,
    ]
