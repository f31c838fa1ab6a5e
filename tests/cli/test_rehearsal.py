"""What is checked or rehearsed without what only the real run has: its secrets, its hour."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway

CLOSED = {"not_before": "2020-01-01T22:00:00Z", "not_after": "2020-01-02T04:00:00Z"}


def content(gateway: Gateway, window: dict[str, str] | None = None) -> dict[str, Any]:
    """Return a manifest that can be rehearsed, with references to secrets that are not here."""
    result = manifest(gateway, [transfer(), transfer()])
    result["environments"]["demo"] = {"driver": "simulator", "gateway": "edge"}
    result["environments"]["foreign"]["credentials"] = {
        "client_id": {"env": "PRODUCTION_ID"},
        "client_secret": {"command": ["no-such-vault", "read"]},
    }
    result["callbacks"] = {
        "crm": {"url": "https://crm.example.net/hook", "secret": {"file": "no/such/file"}}
    }
    result["defaults"]["callbacks"] = ["crm"]
    if window is not None:
        result["policy"]["window"] = window
    return result


@pytest.mark.parametrize("words", [("apply", "--validate-only"), ("plan",)], ids=" ".join)
def test_a_manifest_is_checked_without_productions_secrets(
    gateway: Gateway, harness: Harness, words: tuple[str, ...]
):
    path = harness.write(content(gateway))
    refused = harness.run(*words, path)
    assert refused.code == 3
    assert refused.err.count("R007") >= 3
    checked = harness.run(*words, path, "--without-secrets")
    assert checked.code == 0, checked.err
    assert "2 of 2 transfers would be sent" in checked.out
    wrong = content(gateway)
    wrong["environments"]["foreign"]["credentials"]["client_secret"] = {"env": ""}
    assert harness.run(*words, harness.write(wrong), "--without-secrets").code == 3, "the form is"


@pytest.mark.parametrize("words", [("apply",), ("plan", "--preflight")], ids=" ".join)
def test_who_sends_or_asks_needs_the_secrets(
    gateway: Gateway, harness: Harness, words: tuple[str, ...]
):
    refused = harness.run(*words, harness.write(content(gateway)), "--without-secrets")
    assert refused.code == 2
    assert "--validate-only" in refused.err
    assert not gateway.token_requests
    assert not (harness.folder / "reports").exists()


def test_a_window_is_ignored_by_a_rehearsal_alone(gateway: Gateway, harness: Harness):
    path = harness.write(content(gateway, CLOSED))
    assert harness.run("apply", path, "--env", "demo").code == 3
    rehearsed = harness.run("apply", path, "--env", "demo", "--ignore-window")
    assert rehearsed.code == 0, rehearsed.err
    assert "window" not in rehearsed.out
    for words in (("apply",), ("apply", "--validate-only"), ("plan",)):
        refused = harness.run(*words, path, "--ignore-window", *_secretless(words))
        assert refused.code == (2 if _secretless(words) else 3), refused.err
    assert "--ignore-window is for rehearsals" in refused.err
    assert not gateway.effects


def _secretless(words: tuple[str, ...]) -> tuple[str, ...]:
    return () if words == ("apply",) else ("--without-secrets",)


def test_a_window_that_can_never_open_is_wrong_in_a_rehearsal_too(
    gateway: Gateway, harness: Harness
):
    backwards = {"not_before": CLOSED["not_after"], "not_after": CLOSED["not_before"]}
    path = harness.write(content(gateway, backwards))
    refused = harness.run("apply", path, "--env", "demo", "--ignore-window")
    assert refused.code == 3
    assert "R008" in refused.err
