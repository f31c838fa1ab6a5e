"""Secrets leave no text: by type, name, shape and content."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.console.log.redaction import Redactor
from runner.core.manifest.model import Secret

CANARY = "s3cr3t/+ \"ä'\n1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://user:p@ss@host/a?b=c#d done", "https://host/a?… done"),
        ("--journal 'postgresql://me@h/db?lane=a' x", "--journal 'postgresql://me@h/db?lane=a' x"),
        ("postgresql://me:pw@h/db?lane=a", "postgresql://h/db?…"),
        ("postgresql:///db?user=me&passw%6Frd=pw", "postgresql:///db?…"),
        ("wss://host/a", "wss://host/a"),
        ("genesys://queue/billing", "genesys://queue/billing"),
        ("sip:agent@example.net", "sip:agent@example.net"),
        ("sent Bearer eyJh.bGc-_/+= to", "sent Bearer [redacted] to"),
        ("basic dXNlcjpwYXNz", "basic [redacted]"),
        ("the bearer token is stale", "the bearer token is stale"),
        ("Authorization: Digest x, y", "Authorization: [redacted]"),
        ("client_secret=abc&grant_type=x", "client_secret=[redacted]&grant_type=x"),
        ('{"access_token": "abc", "n": 1}', '{"access_token": "[redacted]", "n": 1}'),
        ("no password was given", "no password was given"),
    ],
)
def test_texts_that_look_like_secrets_are_taken_out(text: str, expected: str):
    assert Redactor().text(text) == expected


@pytest.mark.parametrize(
    "spelling",
    [
        CANARY,
        quote(CANARY, safe=""),
        json.dumps(CANARY),
        repr(CANARY),
        base64.b64encode(CANARY.encode()).decode(),
        str(CANARY.encode()),
    ],
)
def test_a_registered_secret_is_found_however_it_is_spelt(spelling: str):
    redactor = Redactor()
    redactor.register(CANARY)

    shown = redactor.text(f"x{spelling}x")

    assert "s3cr3t" not in shown
    assert "[redacted]" in shown


def test_the_longer_of_two_secrets_is_taken_out_whole():
    redactor = Redactor()
    redactor.register("abcd")
    redactor.register("abcdefgh")

    assert redactor.text("abcdefgh") == "[redacted]"


def test_very_short_texts_are_not_searched_for():
    redactor = Redactor()
    redactor.register("abc")
    redactor.register("")

    assert redactor.text("abc") == "abc"


def test_values_are_redacted_by_type_and_by_name():
    value = {
        "who": Secret("x"),
        "client_secret": "x",
        "headers": {"Authorization": ["x"], "X-Api-Key": b"x", "Accept": "json"},
        "token_url": "https://u:p@host/token?x=y",
        "token_renewals": 3,
        "several": ("a", {"password": "x"}),
        "error": ValueError("token=x"),
    }

    assert Redactor().value(value) == {
        "who": "[redacted]",
        "client_secret": "[redacted]",
        "headers": {"Authorization": "[redacted]", "X-Api-Key": "[redacted]", "Accept": "json"},
        "token_url": "https://host/token?…",
        "token_renewals": 3,
        "several": ["a", {"password": "[redacted]"}],
        "error": "ValueError: token=[redacted]",
    }


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_whatever_is_logged_becomes_strict_json(value: object):
    json.dumps(Redactor().value(value), allow_nan=False)
