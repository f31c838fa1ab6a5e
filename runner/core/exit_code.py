"""The exit codes of the program, and the one that a run ends with (cli.md, "Exit codes")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum

from runner.core.transfer.outcome import Outcome


class ExitCode(IntEnum):
    """Every code that the program exits with."""

    OK = 0
    FAILURES = 1
    USAGE = 2
    INVALID = 3
    UNREACHABLE = 4
    STOPPED = 5
    IN_DOUBT = 6
    PENDING = 10
    BUG = 70
    STORAGE = 74
    LOCKED = 75
    HANGUP = 129
    INTERRUPTED = 130
    TERMINATED = 143

    @property
    def outcome(self) -> str:
        """The code's name, as `run.outcome` in reports has it."""
        names = {
            ExitCode.IN_DOUBT: "in-doubt",
            ExitCode.HANGUP: "interrupted",
            ExitCode.TERMINATED: "interrupted",
        }
        return names.get(self, self.name.lower())


def exit_code(counts: Mapping[Outcome, int], halted: ExitCode | None, *, left: int = 0) -> ExitCode:
    """Return how a run ends. Precedence: storage over signals over doubt over a stop over failures.

    `halted` is why the run ended early, if it did. `left` is how many of those that it was asked to
    move it did not begin: it stopped before it was done, even if nothing halted it.
    """
    if halted in OVERRIDING:
        return halted
    if counts.get(Outcome.IN_DOUBT):
        return ExitCode.IN_DOUBT
    if halted is not None:
        return halted
    if left:
        return ExitCode.STOPPED
    failed = any(count for outcome, count in counts.items() if outcome.is_failure)
    return ExitCode.FAILURES if failed else ExitCode.OK


OVERRIDING = frozenset(
    {
        ExitCode.BUG,
        ExitCode.STORAGE,
        ExitCode.LOCKED,  # the journal was taken over
        ExitCode.HANGUP,
        ExitCode.INTERRUPTED,
        ExitCode.TERMINATED,
    }
)
"""Ends that take precedence even over a transfer in doubt."""

HANDED_OVER = frozenset({ExitCode.TERMINATED, ExitCode.STORAGE, ExitCode.LOCKED})
"""Ends of a submission's run after which a worker goes on with the submission by itself."""

_WORST_FIRST = (
    ExitCode.BUG,
    ExitCode.STORAGE,
    ExitCode.LOCKED,
    ExitCode.TERMINATED,
    ExitCode.INTERRUPTED,
    ExitCode.HANGUP,
    ExitCode.IN_DOUBT,
    ExitCode.STOPPED,
    ExitCode.UNREACHABLE,
    ExitCode.INVALID,
    ExitCode.USAGE,
    ExitCode.FAILURES,
    ExitCode.PENDING,
    ExitCode.OK,
)


def worst(codes: Iterable[int]) -> ExitCode:
    """Return the exit code of several runs together; `OK` if there are none."""
    known = set(codes)
    return next((code for code in _WORST_FIRST if code in known), ExitCode.OK)
