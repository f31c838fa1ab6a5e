"""Issues and checks access tokens (protocol.md, "OAuth"); pure: time and randomness are arguments."""

from __future__ import annotations

import hmac
from base64 import b64decode
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import parse_qs

from runner.core.frozen import frozen

SCOPES = ("interaction:transfer", "websocket:use", "interaction:view")
"""The scopes of this gateway; a request without scopes is granted all."""


@frozen
class Grant:
    """The scopes of a token and its expiry (seconds since the epoch)."""

    scopes: frozenset[str]
    expires_at: float


@dataclass(slots=True)
class Tokens:
    """The tokens of one client. `grantable` has the client's scopes, `life_s` is a token's life."""

    client_id: str
    client_secret: str = field(repr=False)
    random: Random = field(repr=False)
    life_s: float = 3600.0
    grantable: frozenset[str] = frozenset(SCOPES)
    _grants: dict[str, Grant] = field(default_factory=dict, repr=False)

    def answer(self, authorization: str, form: str, now: float) -> tuple[int, dict[str, Any]]:
        """Answer a token request: the HTTP status and the JSON body (RFC 6749, 4.4 and 5.2)."""
        if not self.knows(authorization):
            return 401, {"error": "invalid_client", "error_description": "unknown client or secret"}
        asked = parse_qs(form)
        if asked.get("grant_type") != ["client_credentials"]:
            return 400, {"error": "unsupported_grant_type"}
        scopes = self.grantable.intersection(" ".join(asked.get("scope", SCOPES)).split())
        return 200, {
            "access_token": self.issue(scopes, now),
            "token_type": "bearer",
            "expires_in": int(self.life_s) if self.life_s.is_integer() else self.life_s,
            "scope": " ".join(sorted(scopes)),
        }

    def find(self, token: str, now: float) -> Grant | None:
        """Return the grant of `token`; None if it is unknown, revoked or expired."""
        grant = self._grants.get(token)
        return grant if grant is not None and now < grant.expires_at else None

    def revoke(self, token: str) -> None:
        """Revoke `token`."""
        self._grants.pop(token, None)

    def knows(self, authorization: str) -> bool:
        """Return whether a Basic `authorization` has the client's id and secret."""
        scheme, _, encoded = authorization.partition(" ")
        try:
            given = b64decode(encoded.strip(), validate=True)
        except ValueError:
            return False
        wanted = f"{self.client_id}:{self.client_secret}".encode()
        return scheme.lower() == "basic" and hmac.compare_digest(given, wanted)

    def issue(self, scopes: frozenset[str], now: float) -> str:
        """Return a new token with `scopes`, valid for `life_s`."""
        for token in [token for token, grant in self._grants.items() if grant.expires_at <= now]:
            del self._grants[token]
        token = f"{self.random.getrandbits(256):064x}"
        self._grants[token] = Grant(scopes, now + self.life_s)
        return token
