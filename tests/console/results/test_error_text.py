"""What ended a command, to the letter: a headline, the thing, the fix."""

from __future__ import annotations

import json

import pytest

from runner.console.diagnostics.formats import OutputFormat
from runner.console.results.error_text import render_error
from runner.core.errors import (
    Fenced,
    GatewayError,
    Interrupted,
    Locked,
    LookUpFailed,
    ManifestInvalid,
    RunnerError,
    StorageError,
    UsageError,
)
from runner.core.exit_code import ExitCode

REFUSED = GatewayError(
    environment="production",
    url="https://user:pw@login.example.net/oauth/token?x=y",
    what="the token was refused: invalid_client\x1b",
    check="check client_id and client_secret",
)


def test_a_gateway_error_says_what_where_and_what_to_check():
    assert render_error(REFUSED) == (
        "error: the gateway cannot be used\n"
        "  the token was refused: invalid_client\\x1b\n"
        "  where: environment production, https://login.example.net/oauth/token?…\n"
        "  next: check client_id and client_secret\n"
    )


@pytest.mark.parametrize(
    ("error", "headline", "fix"),
    [
        (Interrupted(ExitCode.TERMINATED), "interrupted", "apply again to go on"),
        (ManifestInvalid([]), "the manifest is invalid", "fix each place shown"),
        (
            StorageError("x"),
            "the journal or the report cannot be written",
            "nothing further is sent",
        ),
        (Fenced("x"), "another run has taken the journal over", "wait for that run to end"),
        (Locked("x"), "another run holds the journal's lock", "wait for that run to end"),
        (RunnerError("x"), "the command cannot go on", "fix what the message names"),
        (KeyError("x"), "an internal error", "this is a bug in runner"),
        (KeyboardInterrupt(), "interrupted", "apply again to go on"),
        (
            LookUpFailed(environment="e", url="u", what="w", check="c"),
            "an interaction cannot be looked up",
            "c",
        ),
    ],
)
def test_every_error_has_a_headline_and_a_fix(error: BaseException, headline: str, fix: str):
    shown = render_error(error).splitlines()

    assert shown[0].startswith(f"error: {headline}")
    assert shown[-1].startswith(f"  next: {fix}")


def test_a_usage_error_has_its_fix_in_its_message():
    assert render_error(UsageError("there is no run x; name one of y")) == (
        "error: the command cannot be carried out as given\n  there is no run x; name one of y\n"
    )


def test_the_errors_own_words_are_shown_on_one_harmless_line():
    shown = render_error(RunnerError("more than 5% failed\n\x1b]0;x\x07 token=abc"), color=True)

    assert shown.splitlines()[1] == "  more than 5% failed\\n\\x1b]0;x\\x07 token=[redacted]"
    assert shown.startswith("\x1b[1;31merror\x1b[0m\x1b[1m: the command cannot go on\x1b[0m\n")


def test_json_has_the_same_as_one_document():
    shown = render_error(REFUSED, output=OutputFormat.JSON, exit_code=ExitCode.UNREACHABLE)

    assert json.loads(shown) == {
        "version": 1,
        "kind": "error",
        "error": {
            "kind": "GatewayError",
            "exit_code": 4,
            "outcome": "unreachable",
            "headline": "the gateway cannot be used",
            "what": "the token was refused: invalid_client\\x1b",
            "where": "environment production, https://login.example.net/oauth/token?…",
            "next": "check client_id and client_secret",
        },
    }


def test_github_has_one_command():
    assert render_error(Locked("run 7 of host a"), output=OutputFormat.GITHUB) == (
        "::error title=another run holds the journal's lock::run 7 of host a%0A"
        "wait for that run to end, or let this one wait for it with `--lock-timeout`\n"
    )


def test_sarif_falls_back_to_words():
    assert render_error(Locked("x"), output=OutputFormat.SARIF) == render_error(Locked("x"))
