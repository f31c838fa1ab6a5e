"""Renders the error that ended a command: what is wrong, where, and how to fix it."""

from __future__ import annotations

from typing import Any

from runner.console.diagnostics.formats import OutputFormat, github_command
from runner.console.log.redaction import harmless
from runner.console.results.document import document
from runner.console.terminal_text import Paint, folded
from runner.core.errors import (
    Fenced,
    GatewayError,
    Interrupted,
    Locked,
    LookUpFailed,
    ManifestInvalid,
    NotInDoubt,
    NotRunning,
    RunnerError,
    StorageError,
    UsageError,
)
from runner.core.exit_code import ExitCode
from runner.core.frozen import frozen


@frozen
class Failure:
    """An error as it is shown: headline, cause, place and fix."""

    headline: str
    what: str
    fix: str
    where: str | None = None


_KINDS: tuple[tuple[type[RunnerError], str, str], ...] = (
    (NotInDoubt, "the transfer is not in doubt, and nothing was changed", ""),
    (UsageError, "the command cannot be carried out as given", ""),  # it has its own fix
    (Interrupted, "interrupted", "apply again to go on"),
    (ManifestInvalid, "the manifest is invalid", "fix each place shown; nothing was sent"),
    (
        Fenced,
        "another run has taken the journal over",
        "wait for that run to end, then apply again",
    ),
    (
        StorageError,
        "the journal or the report cannot be written, or must not be used",
        "nothing further is sent; follow the message, keep the journal's file, then apply again",
    ),
    (
        Locked,
        "another run holds the journal's lock",
        "wait for that run to end, or let this one wait for it with `--lock-timeout`",
    ),
    (NotRunning, "the run cannot be controlled", "`status` lists the runs of a journal"),
    (RunnerError, "the command cannot go on", "fix what the message names and try again"),
)
_BUG_FIX = (
    "this is a bug in runner, not in the manifest, and the journal is intact: report it with the "
    "trace in the log file (`--log-file`), then apply again"
)


def describe(error: BaseException) -> Failure:
    """Return the texts for `error`, each redacted and on one line."""
    if isinstance(error, GatewayError):
        looked = isinstance(error, LookUpFailed)
        headline = "an interaction cannot be looked up" if looked else "the gateway cannot be used"
        where = f"environment {error.environment}, {error.url}"
        return Failure(headline, harmless(error.what), harmless(error.check), harmless(where))
    if isinstance(error, KeyboardInterrupt):
        return Failure("interrupted", "a signal ended the command", "apply again to go on")
    for kind, headline, fix in _KINDS:
        if isinstance(error, kind):
            return Failure(headline, harmless(str(error)), fix)
    return Failure("an internal error", harmless(f"{type(error).__name__}: {error}"), _BUG_FIX)


def render_error(
    error: BaseException,
    *,
    output: OutputFormat = OutputFormat.PRETTY,
    exit_code: ExitCode | None = None,
    color: bool = False,
    width: int | None = None,
) -> str:
    """Return `error` in the format `output`.

    `diagnostics` renders the problems of a `ManifestInvalid`; here only their number is given.
    """
    failure = describe(error)
    match output:
        case OutputFormat.JSON:
            return document("error", {"error": _to_json(error, failure, exit_code)})
        case OutputFormat.GITHUB:
            where = [failure.where] if failure.where else []
            text = "\n".join(filter(None, [failure.what, *where, failure.fix]))
            return github_command("error", text, title=failure.headline) + "\n"
    return _pretty(failure, Paint(color), width)


def _pretty(failure: Failure, paint: Paint, width: int | None) -> str:
    rows = [("", failure.what), ("where: ", failure.where), ("next: ", failure.fix)]
    lines = [f"  {paint.bold(label)}{text}" for label, text in rows if text]
    lines = [paint.red("error") + paint.bold(f": {failure.headline}"), *lines]
    return "".join(f"{row}\n" for line in lines for row in folded(line, width))


def _to_json(error: BaseException, failure: Failure, code: ExitCode | None) -> dict[str, Any]:
    return {
        "kind": type(error).__name__,
        "exit_code": None if code is None else int(code),
        "outcome": None if code is None else code.outcome,
        "headline": failure.headline,
        "what": failure.what,
        "where": failure.where,
        "next": failure.fix,
    }
