"""Resolves names and makes TLS handshakes, to check that a gateway is reachable (cli.md, `doctor`)."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from runner.core.frozen import frozen
from runner.core.transfer.message import harmless
from runner.gateways.http.errors import ConnectionFailed, explained
from runner.gateways.websocket.transport import DIAL_S

_DAY_S = 86_400.0
_DEFAULT_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}


@frozen
class TlsHandshake:
    """The result of a TLS handshake with a verified certificate."""

    version: str
    subject: str
    days_left: float


def host_and_port(url: str) -> tuple[str, int]:
    """Return host and port of a URL, with the scheme's default port."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]


def is_secure(url: str) -> bool:
    """Return whether a URL's scheme means TLS."""
    return urlsplit(url).scheme in {"https", "wss"}


async def resolve(url: str) -> list[str]:
    """Return the IP addresses of a URL's host. Raises `ConnectionFailed`."""
    host, port = host_and_port(url)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(DIAL_S):
            found = await loop.getaddrinfo(host, port, proto=6)  # TCP
    except (OSError, UnicodeError) as error:
        raise explained(error) from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


async def shake_hands(url: str, context: ssl.SSLContext) -> TlsHandshake:
    """Make a TLS handshake with a URL's host and hang up. Raises `ConnectionFailed`."""
    host, port = host_and_port(url)
    try:
        async with asyncio.timeout(DIAL_S):
            _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
            try:
                connection = writer.get_extra_info("ssl_object")
                return _reached(connection.version(), connection.getpeercert() or {})
            finally:
                writer.transport.abort()
    except (OSError, UnicodeError) as error:
        raise explained(error) from error


async def connect_plain(url: str) -> None:
    """Connect to a URL's host without TLS and hang up. Raises `ConnectionFailed`."""
    host, port = host_and_port(url)
    try:
        async with asyncio.timeout(DIAL_S):
            _, writer = await asyncio.open_connection(host, port)
            writer.transport.abort()
    except (OSError, UnicodeError) as error:
        raise explained(error) from error


def _reached(version: str | None, certificate: Mapping[str, Any]) -> TlsHandshake:
    names = dict(pair for entry in certificate.get("subject", ()) for pair in entry)
    alternatives = [value for kind, value in certificate.get("subjectAltName", ())]
    subject = names.get("commonName") or next(iter(alternatives), "no name")
    try:
        ends_at = ssl.cert_time_to_seconds(certificate["notAfter"])
    except (KeyError, ValueError) as error:
        raise ConnectionFailed("the certificate does not say when it ends") from error
    return TlsHandshake(version or "TLS", harmless(subject), (ends_at - time.time()) / _DAY_S)
