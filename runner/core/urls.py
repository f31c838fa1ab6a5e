"""Compares URLs by origin, and checks whether they are safe for secrets."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def origin(url: str) -> str:
    """Return scheme, host and port (RFC 6454), without user info, path or query."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or _DEFAULT_PORTS.get(parts.scheme)}"


def is_loopback(host: str) -> bool:
    """Return whether `host` is `localhost` or a literal loopback address, in full form."""
    if host.casefold() == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address == IPv6Address("::1") or (
        isinstance(address, IPv4Address) and address.is_loopback
    )


def is_safe_socket(url: str) -> bool:
    """Return whether a WebSocket address uses TLS or is on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme == "wss":
        return bool(host)
    return parts.scheme == "ws" and is_loopback(host)
