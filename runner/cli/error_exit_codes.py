"""Maps the errors that end a command to exit codes (cli.md, "Exit codes")."""

from __future__ import annotations

from runner.core.errors import (
    CommandRefused,
    Fenced,
    GatewayError,
    Interrupted,
    Locked,
    ManifestInvalid,
    NotInDoubt,
    NotNow,
    NotProbed,
    NotRunning,
    StorageError,
    UsageError,
)
from runner.core.exit_code import ExitCode

_CODES: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (NotInDoubt, ExitCode.FAILURES),
    (NotProbed, ExitCode.FAILURES),
    (NotNow, ExitCode.STOPPED),
    (CommandRefused, ExitCode.FAILURES),
    (NotRunning, ExitCode.UNREACHABLE),
    (UsageError, ExitCode.USAGE),
    (ManifestInvalid, ExitCode.INVALID),
    (GatewayError, ExitCode.UNREACHABLE),
    (Fenced, ExitCode.LOCKED),
    (StorageError, ExitCode.STORAGE),
    (Locked, ExitCode.LOCKED),
    (KeyboardInterrupt, ExitCode.INTERRUPTED),
)


def exit_code_of(error: BaseException) -> ExitCode:
    """Return the exit code for an error that ends a command; an unexpected one is a bug."""
    if isinstance(error, Interrupted):
        return error.code
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.BUG)
