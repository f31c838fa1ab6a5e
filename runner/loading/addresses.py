"""Checks the addresses that secrets travel to (manifest.md, "Plain `ws://` and `http://`")."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from runner.core.problem import Place, Problem
from runner.core.urls import is_loopback

_PLAIN = {"http": "https", "ws": "wss"}
_LAST_VISIBLE = "~"


def check_address(url: str, field: str, place: Place) -> Problem | None:
    """Return what is wrong with an address that the schema's pattern has let through."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    if parts.username is not None or parts.password is not None:
        message = f"`{field}` carries a user name or password"
        return Problem("S009", message, place, "leave out everything up to the `@`", hide=True)
    if not parts.hostname or parts.fragment or not _is_visible(url):
        message = f"`{field}` is not a well-formed address"
        mend = "write a host, an optional port and a path, without spaces and `#`"
        return Problem("S005", message, place, mend)
    if parts.scheme in _PLAIN and not is_loopback(parts.hostname):
        message = f"`{field}` is not encrypted, and {parts.hostname} is not a loopback address"
        return Problem(
            "S009", message, place, f"write {_PLAIN[parts.scheme]}:// for {parts.scheme}://"
        )
    return None


def _is_visible(url: str) -> bool:
    return all(" " < character <= _LAST_VISIBLE for character in url) and "\\" not in url
