"""Origins: what of a URL may be compared and shown (RFC 6454)."""

from __future__ import annotations

import pytest

from runner.core.urls import origin


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
