"""A manifest's lines as a report shows them: bounded, and no secret in plain text among them."""

from __future__ import annotations

import pytest

from runner.core.manifest.source_excerpt import (
    LINE_LIMIT,
    SIZE_LIMIT,
    WIDTH_LIMIT,
    ManifestExcerpt,
    excerpt,
)


def shown(text: str) -> list[str]:
    return list(excerpt(text).lines)


@pytest.mark.parametrize(
    "line",
    [
        "client_secret: {env: GENESYS_CLIENT_SECRET}",
        "secret: {command: [op, read, op://vault/crm]}",
        "token_url: https://login.example.net/oauth/token",
        "- key: vip-17",
        "key: vip-17",
        "headers: {X-Site: ams}",
        "# the token is fetched by itself",
    ],
)
def test_references_and_ordinary_lines_stay_as_they_are(line: str):
    assert shown(line) == [line]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Authorization: Bearer abc def", "Authorization: [hidden]"),
        ("X-Api-Key: abc", "X-Api-Key: [hidden]"),
        ("X-Auth: abc", "X-Auth: [hidden]"),
        (
            "headers: {Authorization: \"Bearer a,b}c\", X-Site: ams, X-Auth-Token: 'x, y'}",
            "headers: {Authorization: [hidden], X-Site: ams, X-Auth-Token: [hidden]}",
        ),
        ('"Cookie": "a=b"', '"Cookie": [hidden]'),
        ("# password: hunter2", "# password: [hidden]"),
        ("X-Api-Key: &shared abc", "X-Api-Key: &shared [hidden]"),
        ('X-Api-Key: "' + "x" * 600, "X-Api-Key: [hidden]"),
    ],
)
def test_a_plain_text_where_a_secret_may_stand_is_hidden(line: str, expected: str):
    assert shown(line) == [expected]


def test_a_text_that_goes_on_below_its_key_is_hidden_to_its_end():
    assert shown("  X-Api-Key: |\n    one\n\n    two\n  X-Site: ams") == [
        "  X-Api-Key: [hidden]",
        "    [hidden]",
        "",
        "    [hidden]",
        "  X-Site: ams",
    ]
    assert shown("  X-Api-Key:\n    one\n    two\n  X-Site: ams") == [
        "  X-Api-Key:",
        "    [hidden]",
        "    [hidden]",
        "  X-Site: ams",
    ]
    reference = "  client_secret:\n    file: /run/secrets/x\n  client_id:\n    env: ID"
    assert shown(reference) == reference.split("\n")


def test_a_large_manifest_is_cut_and_says_how_large_it_is():
    long = excerpt("".join(f"- line {n}\n" for n in range(5_000)))
    assert (len(long.lines), long.total) == (LINE_LIMIT, 5_000)
    wide = excerpt("\n".join(["x-" * 400] * 1_000))
    assert len(wide.lines[0]) == WIDTH_LIMIT
    assert (len(wide.lines), wide.total) == (SIZE_LIMIT // WIDTH_LIMIT, 1_000)
    endless = excerpt("a: 1\r\n" + "y" * 3_000_000)
    assert (endless.lines, endless.total) == (("a: 1",), 2)


@pytest.mark.parametrize("text", ["a: 1\r\nb: 2\r\n", "a: 1\rb: 2\r", "a: 1\nb: 2"])
def test_lines_are_counted_as_the_loader_counts_them(text: str):
    assert excerpt(text) == ManifestExcerpt(("a: 1", "b: 2"), 2)
