"""Checks the addresses that secrets travel to (manifest.md, "Plain `ws://` and `http://`")."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from runner.core.diagnostics.problem import Place, Problem
from runner.core.urls import is_loopback
from runner.manifest.secret_lines import public_part

_PLAIN = {"http": "https", "ws": "wss"}
_LAST_VISIBLE = "~"


def check_address(url: str, field: str, place: Place) -> Problem | None:
    """Return what is wrong with an address that the schema's pattern has let through."""
    parts, fault = _read(url)
    hide = public_part(url) != url
    if parts.username is not None or parts.password is not None:
        message = f"`{field}` contains a user name or password"
        return Problem(
            "S009", message, place, "remove the part before the `@`, and the `@`", hide=True
        )
    host = parts.hostname
    if fault is not None or not host:
        message = f"`{field}` has {fault or 'no host'}"
        mend = "write a host, an optional port and a path, without spaces and `#`"
        return Problem("S005", message, place, mend, hide=hide)
    if parts.scheme in _PLAIN and not is_loopback(host):
        message = f"`{field}` is not encrypted, and {host} is not a loopback address"
        mend = f"write {_PLAIN[parts.scheme]}:// instead of {parts.scheme}://"
        mend += "; without encryption only this machine may be called, such as 127.0.0.1"
        return Problem("S009", message, place, mend, hide=hide)
    return None


def _read(url: str) -> tuple[SplitResult, str | None]:
    """Return an address's parts, and what it has that it must not have."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", ""), "an invalid host"
    try:
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        return parts, "a port that is not a number up to 65535"
    if not _is_visible(url):
        return parts, "a space, or another character that must be written as %HH"
    return parts, "a fragment, the part from `#` on" if parts.fragment else None


def _is_visible(url: str) -> bool:
    return all(" " < character <= _LAST_VISIBLE for character in url) and "\\" not in url
