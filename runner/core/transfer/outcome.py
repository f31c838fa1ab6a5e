"""What became of a transfer, and how a run ends because of it (cli.md, "Exit codes")."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum


class Outcome(StrEnum):
    """A transfer's outcome in one run, as reports spell it."""

    __hash__ = str.__hash__  # an enumeration's own is Python code, asked for each transfer

    TRANSFERRED = "transferred"
    REJECTED = "rejected"
    FAILED = "failed"
    SKIPPED = "skipped"
    IN_DOUBT = "in_doubt"
    UNATTEMPTED = "unattempted"
    UNCHANGED = "unchanged"


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
        """The name that `run.outcome` bears in reports."""
        names = {
            ExitCode.IN_DOUBT: "in-doubt",
            ExitCode.HANGUP: "interrupted",
            ExitCode.TERMINATED: "interrupted",
        }
        return names.get(self, self.name.lower())


def exit_code(counts: Mapping[Outcome, int], halted: ExitCode | None) -> ExitCode:
    """Return how a run ends: storage over signals over doubt over a stop over failures.

    `halted` is why the run ended early, if it did.
    """
    if halted in OVERRIDING:
        return halted
    if counts.get(Outcome.IN_DOUBT):
        return ExitCode.IN_DOUBT
    if halted is not None:
        return halted
    failed = counts.get(Outcome.REJECTED, 0) + counts.get(Outcome.FAILED, 0)
    return ExitCode.FAILURES if failed else ExitCode.OK


OVERRIDING = frozenset(
    {
        ExitCode.BUG,
        ExitCode.STORAGE,
        ExitCode.HANGUP,
        ExitCode.INTERRUPTED,
        ExitCode.TERMINATED,
    }
)
"""Ends that are told even where a transfer is in doubt."""
