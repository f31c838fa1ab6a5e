"""The gateway's token endpoint, by RFC 6749."""

from random import Random

import pytest

from runner.simulator.tokens import Tokens

BASIC = "Basic YWRhOmxvdmVsYWNl"  # ada:lovelace
FORM = "grant_type=client_credentials&scope=websocket%3Ause+interaction%3Aview"
NOW = 1796158800.0


@pytest.fixture
def tokens() -> Tokens:
    return Tokens("ada", "lovelace", Random(1), life_s=60.0)


def test_the_right_client_gets_what_it_asked_for(tokens: Tokens) -> None:
    status, body = tokens.answer(BASIC, FORM, NOW)

    assert status == 200
    assert body["expires_in"] == 60
    assert body["token_type"] == "bearer"
    assert body["scope"] == "interaction:view websocket:use"
    grant = tokens.find(body["access_token"], NOW)
    assert grant is not None
    assert grant.scopes == {"websocket:use", "interaction:view"}


def test_scopes_the_client_may_not_have_are_left_out(tokens: Tokens) -> None:
    tokens.grantable = frozenset({"interaction:view"})

    assert tokens.answer(BASIC, FORM, NOW)[1]["scope"] == "interaction:view"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic !",
        "Basic YWRhOndyb25n",
        "Bearer YWRhOmxvdmVsYWNl",
        "Basic YWRhOmxvdmVsYWNlé",
    ],
)
def test_a_wrong_client_is_invalid(tokens: Tokens, authorization: str) -> None:
    status, body = tokens.answer(authorization, FORM, NOW)

    assert (status, body["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("form", ["", "grant_type=password", "scope=x"])
def test_another_grant_type_is_refused(tokens: Tokens, form: str) -> None:
    assert tokens.answer(BASIC, form, NOW) == (400, {"error": "unsupported_grant_type"})


def test_a_token_ends_with_its_life_and_with_its_revocation(tokens: Tokens) -> None:
    first, second = (tokens.answer(BASIC, FORM, NOW)[1]["access_token"] for _ in range(2))
    tokens.revoke(second)

    assert first != second
    assert tokens.find(first, NOW + 59.9) is not None
    assert tokens.find(first, NOW + 60) is None
    assert tokens.find(second, NOW) is None
    assert tokens.find("unheard of", NOW) is None


def test_secrets_do_not_show(tokens: Tokens) -> None:
    assert "lovelace" not in repr(tokens)
