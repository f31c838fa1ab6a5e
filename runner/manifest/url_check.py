"""Checks addresses to which secrets are sent (manifest.md, "Plain `ws://` and `http://`")."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from runner.core.diagnostics.problem import Place, Problem
from runner.core.urls import is_loopback
from runner.manifest.secret_lines import public_part

_PLAIN = {"http": "https", "ws": "wss"}
_LAST_VISIBLE = "~"


def check_address(url: str, field: str, place: Place) -> Problem | None:
    """Return the problem with an address, or None; the schema's pattern has accepted it."""
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
        fix = "write a host, an optional port and a path, without spaces and `#`"
        return Problem("S005", message, place, fix, hide=hide)
    if parts.scheme in _PLAIN and not is_loopback(host):
        message = f"`{field}` is not encrypted, and {host} is not a loopback address"
        fix = f"write {_PLAIN[parts.scheme]}:// instead of {parts.scheme}://"
        fix += "; without encryption only this machine may be called, such as 127.0.0.1"
        return Problem("S009", message, place, fix, hide=hide)
    return None


def _read(url: str) -> tuple[SplitResult, str | None]:
    """Return an address's parts, and their fault or None."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", ""), "an invalid host"
    try:
        parts.port  # noqa: B018 - raises for an invalid port
    except ValueError:
        return parts, "a port that is not a number up to 65535"
    if not _is_visible(url):
        return parts, "a space, or another character that must be written as %HH"
    return parts, "a fragment, the part from `#` on" if parts.fragment else None


def _is_visible(url: str) -> bool:
    return all(" " < character <= _LAST_VISIBLE for character in url) and "\\" not in url
