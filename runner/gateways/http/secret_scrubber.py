"""Removes our secrets from foreign text (cli.md, "Secrets")."""

from __future__ import annotations

import json
from urllib.parse import quote

SHORTEST = 12
"""Characters; a shorter secret may be a word, and is not removed."""

INSTEAD = "[secret]"


class SecretScrubber:
    """Knows every secret that this run has sent: a server may quote one long after its use."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()
        self._escaped: tuple[str, ...] = ()

    def add(self, secret: str) -> None:
        """Add a secret."""
        if len(secret) < SHORTEST or secret in self._secrets:
            return
        # the longest first: one may be a part of another
        secrets = {*self._secrets, *_read(secret)}
        self._secrets = tuple(sorted(secrets, key=len, reverse=True))
        spellings = {*self._escaped, *_spellings(secret)}
        self._escaped = tuple(sorted(spellings, key=len, reverse=True))

    def hide(self, text: str) -> str:
        """Return the text without the secrets, plain or as JSON and URLs escape them."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, INSTEAD)
        if "\\" in text or "%" in text:
            for escaped in self._escaped:
                text = text.replace(escaped, INSTEAD)
        return text


def _read(secret: str) -> set[str]:
    """Return a secret as it is, and as headers show it in other encodings."""
    octets = secret.encode()
    return {secret, octets.decode("latin-1"), octets.decode("ascii", "surrogateescape")}


def _spellings(secret: str) -> set[str]:
    """Return the escaped forms of a secret in JSON texts and URLs."""
    in_ascii = json.dumps(secret)[1:-1]
    in_full = json.dumps(secret, ensure_ascii=False)[1:-1]
    spelled = {in_ascii, in_full}
    spelled |= {text.replace("/", "\\/") for text in spelled}
    spelled |= {quote(secret), quote(secret, safe="")}
    return spelled - {secret}
