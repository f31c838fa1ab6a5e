"""Translates network errors for the operator.

What httpx, websockets, ssl and sockets raise becomes a `ConnectionFailed` that says what was seen,
what to check, and whether another try can succeed.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx

from runner.core.errors import GatewayError
from runner.core.frozen import frozen
from runner.core.transfer.message import harmless

TRY_LATER = "check that the gateway is up and this machine's network, then run again"

_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_HOST_MISMATCH = 62  # X509_V_ERR_HOSTNAME_MISMATCH
_ADDRESS_MISMATCH = 64  # X509_V_ERR_IP_ADDRESS_MISMATCH

_NO_FILES = (errno.EMFILE, errno.ENFILE)

_WANTED_SCOPE = re.compile(r'\bscope="([^"]{1,200})"')

ErrorT = TypeVar("ErrorT", bound=GatewayError)


class ConnectionFailed(Exception):
    """An exchange or a dial that failed below the protocol; `final`: no other try can succeed."""

    def __init__(self, what: str, check: str = TRY_LATER, *, final: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.check = check
        self.final = final


class HandshakeRefused(ConnectionFailed):
    """The server answered the handshake with an HTTP status other than 101."""

    def __init__(
        self,
        status: int,
        what: str,
        check: str,
        *,
        final: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(what, check, final=final)
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def is_redirect(self) -> bool:
        """Whether the answer leads to another address (3xx)."""
        return httpx.codes.is_redirect(self.status)


@frozen
class Place:
    """The place of an error: an environment and a URL."""

    environment: str
    url: str

    def error(self, what: str, check: str) -> GatewayError:
        """Return the error that ends a run."""
        return self.error_of(GatewayError, what, check)

    def error_of(self, kind: type[ErrorT], what: str, check: str) -> ErrorT:
        """Return an error of that kind, its URL without user info and query."""
        return kind(environment=self.environment, url=shown(self.url), what=what, check=check)


def shown(url: str) -> str:
    """Return a URL without user info, query and fragment, escaped for a terminal."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be parsed"
    host = parts.netloc.rpartition("@")[2]
    return harmless(urlunsplit((parts.scheme, host, parts.path, "", "")))


def wanted_scope(challenge: str) -> str | None:
    """Return the scope in a `WWW-Authenticate` header (RFC 6750, 3), escaped."""
    named = _WANTED_SCOPE.search(challenge)
    return harmless(named.group(1)) if named else None


def without_user(url: str) -> str:
    """Return a URL without user info: credentials come only from the manifest's references."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def explained(error: BaseException) -> ConnectionFailed:
    """Translate a network error; its own text may quote URLs and is never shown."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _certificate(cause)
    for cause in causes:
        if (wire_error := _known(cause)) is not None:
            return wire_error
    if any(isinstance(cause, httpx.RemoteProtocolError) for cause in causes):
        return ConnectionFailed(
            "the server hung up, or speaks no HTTP there",
            "check scheme and port: a server that wants TLS is reached by https:// and wss://",
        )
    if any(isinstance(cause, OSError) and cause.errno in _NO_FILES for cause in causes):
        return ConnectionFailed(
            "this process has reached its limit of open files",
            "raise the limit, for instance with `ulimit -n 1024`, or lower `limits.in_flight`",
        )
    numbers = (cause.strerror for cause in causes if isinstance(cause, OSError) and cause.errno)
    return ConnectionFailed(
        f"the connection failed ({next(numbers, None) or type(error).__name__})"
    )


def _known(cause: BaseException) -> ConnectionFailed | None:
    if isinstance(cause, ConnectionFailed):
        return cause
    for kind, what, check in _KNOWN:
        if isinstance(cause, kind):
            reason = getattr(cause, "reason", None) or getattr(cause, "strerror", None) or ""
            return ConnectionFailed(
                what.format(harmless(str(reason).replace("_", " ").lower())), check
            )
    return None


_KNOWN: tuple[tuple[type[BaseException], str, str], ...] = (
    (
        socket.gaierror,
        "the host name cannot be resolved ({})",
        "check the endpoint's spelling, the region and this machine's DNS",
    ),
    (
        ConnectionRefusedError,
        "the connection was refused: nothing listens there",
        "check host and port, and that the gateway is up",
    ),
    (
        UnicodeError,
        "the host name is not a valid one",
        "check the endpoint's spelling",
    ),
    (ConnectionResetError, "the server cut the connection", TRY_LATER),
    (BrokenPipeError, "the server cut the connection", TRY_LATER),
    (EOFError, "the server hung up without an answer", TRY_LATER),
    (
        ssl.SSLError,
        "the TLS handshake failed ({})",
        "check that the address speaks TLS 1.2 or newer on that port",
    ),
    (
        TimeoutError,
        "no answer in time",
        "check firewalls and proxies on the way, and the gateway's load",
    ),
)
"""Kinds of error, special ones first; `{}` takes the operating system's text."""


def _certificate(error: ssl.SSLCertVerificationError) -> ConnectionFailed:
    checks = {
        _EXPIRED: "check this machine's clock, then have the server's certificate renewed",
        _HOST_MISMATCH: "check the host name in `endpoints`; the certificate is for another",
        _ADDRESS_MISMATCH: "use the host name in the certificate, not the IP address",
    }
    check = checks.get(
        error.verify_code,
        "set `tls.ca_file` to the authority that issued it; verification cannot be switched off",
    )
    reason = harmless(error.verify_message or "verification failed")
    return ConnectionFailed(f"the TLS certificate is not valid: {reason}", check, final=True)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all its causes, those in groups included, outermost first."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        cause = waiting.pop(0)
        if cause is None or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        if isinstance(cause, BaseExceptionGroup):
            waiting.extend(cause.exceptions)
        waiting += [cause.__cause__, cause.__context__]
