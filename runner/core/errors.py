"""The errors that end a command. Each says the thing, then the mend; `exit_codes` maps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from runner.core.diagnostics.problem import Problem
from runner.core.transfer.outcome import ExitCode


class RunnerError(Exception):
    """A known way for a command to end; its text is for the operator."""


class UsageError(RunnerError):
    """Options or names that cannot be meant (exit 2)."""


class NotInDoubt(UsageError):
    """A transfer that a person would settle is settled already (exit 1); nothing was changed."""


class ManifestInvalid(RunnerError):
    """The manifest has problems (exit 3); `problems` are shown, not this text."""

    def __init__(
        self, problems: Sequence[Problem], omitted: Mapping[str, int] | None = None
    ) -> None:
        super().__init__(f"the manifest has {len(problems)} problem(s)")
        self.problems = tuple(problems)
        self.omitted = dict(omitted or {})  # counts by code of the errors beyond these


class GatewayError(RunnerError):
    """Something between us and the gateway; exit 4 before the first frame, 5 after it.

    `environment` and `url` (shown without user info and query) say where, `what` what was seen,
    `check` what to look at next.
    """

    def __init__(self, *, environment: str, url: str, what: str, check: str) -> None:
        super().__init__(f"environment {environment}: {what} ({url}); {check}")
        self.environment = environment
        self.url = url
        self.what = what
        self.check = check


class LookUpFailed(GatewayError):
    """A look-up whose retries are used up; concerns one interaction only."""


class LookUpUnanswered(LookUpFailed):
    """A look-up that met an outage: 5xx, 408, 429, a time-out, a refused connection, no JSON.

    It says nothing about the interaction. `tries` counts the requests.
    """

    tries = 1


class StorageError(RunnerError):
    """Journal or report could not be written or is not to be trusted (exit 74)."""

    exit_code: ClassVar[ExitCode] = ExitCode.STORAGE


class Fenced(StorageError):
    """Another process has taken the journal over: nothing more may be sent from here (exit 75)."""

    exit_code = ExitCode.LOCKED


class Locked(RunnerError):
    """Another run holds the journal's lock (exit 75)."""


class Interrupted(RunnerError):
    """A signal ended the command outside a batch's run (exit 129, 130, 143)."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__("interrupted by a signal; nothing is under way")
        self.code = code
