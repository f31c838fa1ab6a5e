"""Removes secrets from what is logged or shown: by type, field name, pattern and known text."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Self
from urllib.parse import quote, quote_plus, unquote

from runner.console.terminal_text import visible
from runner.core.manifest.model import Secret

REDACTED = "[redacted]"
SHORTEST = 4
"""Shorter texts are not searched for: they occur in any text by chance."""
LONGEST_WORD = 7
"""Secrets up to this length, such as those of rehearsals, may be common words: they are not searched for."""
MAX_DEPTH = 8
LARGEST = 2.0**63

_SECRET_KEY = re.compile(
    r"authorization|token|secret|password|passwd|credential|cookie|api[_-]?key", re.IGNORECASE
)
_HARMLESS_KEY = re.compile(r"_(url|uri|s|ms|count|type|renewals)$", re.IGNORECASE)

_URL = re.compile(
    r"""\b(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<user>[^\s/?\#"'<>]*@)?(?P<path>[^\s?\#"'<>]*)"""
    r"""(?P<query>[?\#][^\s"'<>]*)?""",
    re.IGNORECASE,
)
_SCHEME_TOKEN = re.compile(r"\b(bearer|basic)(\s+|%20)[\w.~+/=-]{6,}", re.IGNORECASE)
_ASSIGNED = re.compile(
    r"""(?P<name>[\w-]*(?:authorization|token|secret|password|passwd|api[_-]?key)["']?)"""
    r"""(?P<sign>\s*=\s*["']?|["']\s*:\s*["'])(?P<text>[^\s"'&,;]+)""",
    re.IGNORECASE,
)
_HEADER = re.compile(r"\b(authorization|cookie|set-cookie)(\s*:\s*)[^\r\n\"']+", re.IGNORECASE)


class Redactor:
    """Removes registered secrets, and text that looks like a secret, from texts and values."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()

    @classmethod
    def knowing(cls, secrets: Iterable[Secret]) -> Self:
        """Return a redactor that knows these secrets."""
        redactor = cls()
        redactor.learn(secrets)
        return redactor

    def learn(self, secrets: Iterable[Secret]) -> None:
        """Register secrets, except those short enough to be a common word."""
        for secret in secrets:
            if len(secret.reveal()) > LONGEST_WORD:
                self.register(secret.reveal())

    def register(self, text: str) -> None:
        """Remove `text` from now on, also in the forms of URLs, JSON, `repr` and base64."""
        if len(text.strip()) < SHORTEST:
            return
        with self._lock:
            self._known |= _spellings(text)
            longest_first = sorted(self._known, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def text(self, text: str) -> str:
        """Return `text` without registered secrets, tokens, and the user info and queries of URLs.

        The URL of a database keeps them where they hold no password.
        """
        if self._pattern is not None:
            text = self._pattern.sub(REDACTED, text)
        text = _URL.sub(_bare_url, text)
        text = _HEADER.sub(rf"\1\2{REDACTED}", text)
        text = _SCHEME_TOKEN.sub(rf"\1\2{REDACTED}", text)
        return _ASSIGNED.sub(rf"\g<name>\g<sign>{REDACTED}", text)

    def value(self, value: Any, *, key: str = "", depth: int = 0) -> Any:
        """Return `value` redacted, in types that JSON has; never raises."""
        if value is None or isinstance(value, bool) or _is_plain_number(value):
            return value
        if isinstance(value, Secret) or _names_secret(key):
            return REDACTED
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            return self._container(value, depth + 1)
        return self.text(_shown(value))

    def _container(self, value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:  # perhaps a circular reference
            return "…"
        if isinstance(value, Mapping):
            named = ((_shown(key), item) for key, item in value.items())
            return {self.text(k): self.value(item, key=k, depth=depth) for k, item in named}
        return [self.value(item, depth=depth) for item in value]


def _is_plain_number(value: Any) -> bool:
    """Return whether JSON can hold the number: finite and below `LARGEST`."""
    return type(value) in (int, float) and abs(value) < LARGEST


def _names_secret(key: str) -> bool:
    return bool(_SECRET_KEY.search(key)) and not _HARMLESS_KEY.search(key)


def _spellings(text: str) -> set[str]:
    quoted = {quote(text, safe=""), quote(text), quote_plus(text)}
    in_code = {json.dumps(text)[1:-1], repr(text)[1:-1], repr(text.encode(errors="replace"))[2:-1]}
    encoded = base64.b64encode(text.encode(errors="replace")).decode()
    return {text, text.strip(), encoded, *quoted, *in_code}


def _bare_url(url: re.Match[str]) -> str:
    user, query = url["user"] or "", url["query"] or ""
    is_database = url["scheme"].lower() == "postgresql://"
    if is_database and ":" not in user and "password" not in unquote(query).lower():
        return url[0]  # a command that names a journal can be pasted
    return f"{url['scheme']}{url['path']}{'?…' if url['query'] else ''}"


def _shown(value: Any) -> str:
    """Return a value's text; a `__str__` that raises must not end the run."""
    try:
        if isinstance(value, BaseException):
            return f"{type(value).__name__}: {value}"
        return value if type(value) is str else str(value)
    except Exception:  # noqa: BLE001 -- a foreign `__str__` may raise anything
        return f"<{type(value).__name__} that cannot be shown>"


_process_redactor = Redactor()


def register_secrets(secrets: Iterable[Secret]) -> None:
    """Remove these secrets from everything that this process logs or shows from now on."""
    _process_redactor.learn(secrets)


def redact(text: str) -> str:
    """Return `text` without secrets, as `Redactor.text` describes."""
    return _process_redactor.text(text)


def harmless(text: str) -> str:
    """Return `text` without secrets, escaped, on one line."""
    return visible(redact(text))


def redact_value(value: Any) -> Any:
    """Return `value` without secrets, in types that JSON has."""
    return _process_redactor.value(value)
