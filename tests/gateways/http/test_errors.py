"""How foreign errors read, without a network."""

from __future__ import annotations

import errno
import socket
import ssl

import httpx
import pytest

from runner.core.errors import LookUpFailed
from runner.gateways.http.errors import ConnectionFailed, Place, explained, shown, without_user

URL = "https://user:pw@host.example:8443/a/b?token=x#y"


def caused(outer: Exception, inner: BaseException) -> Exception:
    """Return the outer error as if raised from the inner one."""
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (socket.gaierror(-2, "Name or service not known"), "cannot be resolved (name or service"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "nothing listens there"),
        (ConnectionResetError(), "the server cut the connection"),
        (EOFError("stream ended"), "hung up without an answer"),
        (TimeoutError(), "no answer in time"),
        (UnicodeError("label too long"), "host name is not a valid one"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "(Network is unreachable)"),
        (OSError("Multiple exceptions"), "the connection failed (OSError)"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] x"), "the TLS handshake failed"),
        (httpx.RemoteProtocolError("x"), "the server hung up, or speaks no HTTP there"),
        (ConnectionFailed("as it is"), "as it is"),
        (ValueError(URL), "the connection failed (ValueError)"),
    ],
)
def test_each_kind_is_told_apart_however_deep_it_lies(error: Exception, what: str):
    deep = caused(httpx.ConnectError(URL), ExceptionGroup("attempts", [error]))
    assert what in explained(error).what
    if "connection failed" not in what:
        assert what in explained(deep).what
    assert "pw" not in explained(deep).what


def test_a_circle_of_causes_ends():
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__cause__, second.__cause__ = second, first
    assert explained(first).what == "the connection failed (RuntimeError)"


def test_addresses_are_shown_without_user_and_query():
    assert shown(URL) == "https://host.example:8443/a/b"
    assert shown("http://[::1") == "an address that cannot be parsed"
    assert "\x1b" not in shown("http://host/\x1b[31m")
    assert without_user(URL) == "https://host.example:8443/a/b?token=x#y"


def test_errors_say_where_what_and_what_to_check():
    error = Place("production", URL).error_of(LookUpFailed, "it broke", "look at it")
    assert str(error) == (
        "environment production: it broke (https://host.example:8443/a/b); look at it"
    )
