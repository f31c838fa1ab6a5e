"""Our secrets, taken out of foreign text, should a server quote them (cli.md, "Secrets")."""

from __future__ import annotations

import json
from urllib.parse import quote

SHORTEST = 12
"""Characters; what is shorter may be a word, and is not looked for."""

INSTEAD = "[secret]"


class SecretScrubber:
    """Knows every secret that left in this run: a server may quote one long after its use."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()
        self._escaped: tuple[str, ...] = ()

    def add(self, secret: str) -> None:
        """Learn of another one."""
        if len(secret) < SHORTEST or secret in self._secrets:
            return
        # the longest first: one may be a part of another
        secrets = {*self._secrets, *_read(secret)}
        self._secrets = tuple(sorted(secrets, key=len, reverse=True))
        spellings = {*self._escaped, *_spellings(secret)}
        self._escaped = tuple(sorted(spellings, key=len, reverse=True))

    def hide(self, text: str) -> str:
        """Return the text without them, as they are and as JSON and URLs commonly escape them."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, INSTEAD)
        if "\\" in text or "%" in text:
            for escaped in self._escaped:
                text = text.replace(escaped, INSTEAD)
        return text


def _read(secret: str) -> set[str]:
    """Return it as it is, and as headers are read that are taken for another encoding."""
    octets = secret.encode()
    return {secret, octets.decode("latin-1"), octets.decode("ascii", "surrogateescape")}


def _spellings(secret: str) -> set[str]:
    """Return how JSON texts and URLs may spell it, where that is not as it is."""
    in_ascii = json.dumps(secret)[1:-1]
    in_full = json.dumps(secret, ensure_ascii=False)[1:-1]
    spelled = {in_ascii, in_full}
    spelled |= {text.replace("/", "\\/") for text in spelled}
    spelled |= {quote(secret), quote(secret, safe="")}
    return spelled - {secret}
