"""The errors that end a command. Messages state the problem, then the fix.

`runner.cli.error_exit_codes` maps them to exit codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from runner.core.diagnostics.problem import Problem
from runner.core.exit_code import ExitCode
from runner.core.number_text import counted


class RunnerError(Exception):
    """An expected error; its text is for the operator."""


class UsageError(RunnerError):
    """Invalid options or names (exit 2)."""


class NotInDoubt(UsageError):
    """A transfer to settle is not in doubt (exit 1); nothing was changed."""


class NotProbed(RunnerError):
    """An interaction must not be probed (exit 1); nothing was sent."""


class NotNow(RunnerError):
    """Nothing may be sent now: a window is shut, or the destination is full (exit 5)."""


class CommandRefused(RunnerError):
    """A running batch refused a command (exit 1); nothing was changed."""


class NotRunning(RunnerError):
    """A run cannot be controlled, because it is not running (exit 4)."""


class ManifestInvalid(RunnerError):
    """The manifest has problems (exit 3), which are shown instead of this text."""

    def __init__(
        self,
        problems: Sequence[Problem],
        omitted: Mapping[str, int] | None = None,
        also: Sequence[RunnerError] = (),
    ) -> None:
        super().__init__(f"the manifest has {counted(len(problems), 'problem')}")
        self.problems = tuple(problems)
        self.omitted = dict(omitted or {})  # counts by code of the errors beyond these
        self.also = tuple(also)  # why other environments of the same command are refused


class GatewayError(RunnerError):
    """The gateway cannot be used; exit 4 before the first frame, 5 after it.

    `environment` and `url` (without user info and query) are the place, `what` is the problem,
    `check` is what to check next.
    """

    def __init__(self, *, environment: str, url: str, what: str, check: str) -> None:
        super().__init__(f"environment {environment}: {what} ({url}); {check}")
        self.environment = environment
        self.url = url
        self.what = what
        self.check = check


class LookUpFailed(GatewayError):
    """A look-up failed, retries included; concerns one interaction only."""


class LookUpUnanswered(LookUpFailed):
    """A look-up failed by an outage: 5xx, 408, 429, a time-out, a refused connection, no JSON.

    The interaction's state is unknown. `tries` counts the requests.
    """

    tries = 1


class LookUpForbidden(GatewayError):
    """A look-up was refused (403): the client lacks the right, or may not see this interaction.

    Which of the two, other look-ups show. `date_s` is the answer's `Date`, seconds since the epoch.
    """

    date_s: float | None = None


class StorageError(RunnerError):
    """The journal or the report cannot be written or must not be used (exit 74)."""

    exit_code: ClassVar[ExitCode] = ExitCode.STORAGE


class Unfit(StorageError):
    """The journal's server answers, and refuses: no time heals that, a change of settings does."""


class Fenced(StorageError):
    """Another process has taken the journal over: nothing more may be sent from here (exit 75)."""

    exit_code = ExitCode.LOCKED


class Locked(RunnerError):
    """Another run holds the journal's lock (exit 75)."""


class Interrupted(RunnerError):
    """A signal ended the command while no batch was running (exit 129, 130, 143)."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__("interrupted by a signal; nothing is under way")
        self.code = code
