"""What of a URL may be compared and shown (RFC 6454), and which sockets keep a secret."""

from __future__ import annotations

import pytest

from runner.core.urls import is_loopback, is_safe_socket, origin


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("wss://api.example.net/api/v2/websocket", "wss://api.example.net:443"),
        ("WSS://API.Example.NET:443/x?y#z", "wss://api.example.net:443"),
        ("https://user:secret@example.net/?token=secret", "https://example.net:443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("ws://localhost", "ws://localhost:80"),
        ("wss://[::1]:9/x", "wss://[::1]:9"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]:443"),
    ],
)
def test_origin(url: str, shown: str):
    assert origin(url) == shown


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.1", "127.255.0.9", "::1"])
def test_this_machine(host: str):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "127.1", "localhost.example.net", "10.0.0.1", "::2", "::ffff:127.0.0.1"]
)
def test_another_machine_or_an_address_that_a_resolver_may_read_otherwise(host: str):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("wss://api.example.net/x", True),
        ("ws://127.0.0.1:8080/x", True),
        ("ws://[::1]/x", True),
        ("ws://api.example.net/x", False),
        ("wss:///x", False),
        ("https://api.example.net", False),
        ("http://localhost", False),
        ("wss://[::1", False),
    ],
)
def test_a_socket_is_safe_over_tls_or_on_this_machine(url: str, *, safe: bool):
    assert is_safe_socket(url) is safe
