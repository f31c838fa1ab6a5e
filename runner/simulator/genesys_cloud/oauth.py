"""Answers token requests (genesys-cloud.md, "Order of work", 1)."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from runner.simulator.genesys_cloud.actions import Request
from runner.simulator.tokens import Tokens

TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path
_FORM = "application/x-www-form-urlencoded"
_GRANT = b"grant_type=client_credentials"


def answer_token(tokens: Tokens, request: Request, now: float) -> tuple[int, dict[str, Any]]:
    """Return status and JSON body. The request's body must be the grant type and nothing else."""
    if request.method != "POST":
        return 405, _error("invalid_request", "only POST is allowed")
    if request.content_type != _FORM or request.query:
        return 400, _error("invalid_request", "the body must be a form")
    client_id = _client_of(request.authorization)
    if client_id != tokens.client_id:
        return 400, _error("invalid_client", "client not found")
    if not tokens.knows(request.authorization):
        return 401, _error("invalid_client", "authentication failed")
    if request.body != _GRANT:
        known = request.body.startswith(_GRANT)
        code = "invalid_request" if known else "unsupported_grant_type"
        return 400, _error(code, "the body must be grant_type=client_credentials")
    life_s = tokens.life_s
    return 200, {
        "access_token": tokens.issue(frozenset(), now),
        "token_type": "bearer",
        "expires_in": int(life_s) if life_s.is_integer() else life_s,
    }


def _error(code: str, description: str) -> dict[str, Any]:
    return {"error": code, "description": description, "error_description": description}


def _client_of(authorization: str) -> str | None:
    scheme, _, encoded = authorization.partition(" ")
    try:
        decoded = b64decode(encoded.strip(), validate=True).decode()
    except ValueError:
        return None
    client_id, colon, _ = decoded.partition(":")
    return client_id if scheme.lower() == "basic" and colon else None
