"""What comes on a notifications channel's socket."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.transfer.message import GatewayNote
from runner.core.urls import is_safe_socket
from runner.gateways.genesys_cloud.protocol.events import Changed, Signal, read_frame


def frame(topic: object, body: object = None) -> str:
    return json.dumps({"topicName": topic, "eventBody": body})


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        (frame("channel.metadata", {"message": "WebSocket Heartbeat"}), Signal.ALIVE),
        (frame("channel.metadata", {"message": "pong"}), Signal.ALIVE),
        (frame("v2.system.socket_closing"), Signal.CLOSING),
        (frame("v2.system.no_longer_subscribed.ch-1"), Signal.UNSUBSCRIBED),
        (frame("v2.system.token_revoked.ch-1"), Signal.TOKEN_REVOKED),
    ],
)
def test_signals_are_told_by_their_topics(text: str, signal: Signal):
    assert read_frame(text) is signal


@pytest.mark.parametrize("kind", ["v2.routing.queues.q.conversations", "v2.users.u.conversations"])
def test_a_change_names_its_conversation(kind: str):
    body: dict[str, object] = {"id": "c-1", "participants": []}
    assert read_frame(frame(kind, body)) == Changed("c-1", body)


def test_a_change_names_its_conversation_in_lower_case():
    body: dict[str, object] = {"id": "3F2504E0-4F89-41D3-9A0C-0305E82C3301", "participants": []}
    change = read_frame(frame("v2.users.u.conversations", body))
    assert change == Changed("3f2504e0-4f89-41d3-9a0c-0305e82c3301", body)


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (b"\x00", "a binary frame"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no topic"),
        ("{}", "no topic"),
        (frame(7), "no topic"),
        (frame("v2.users.u.activity", {"id": "x"}), "no event"),
        (frame("v2.users.u.conversations", {"id": 7}), "no event"),
        (frame("v2.users.u.conversations", {}), "no event"),
        (frame("v2.system.token_revoked_not"), "no event"),
    ],
)
def test_whatever_else_comes_is_a_stray(odd: str | bytes, why: str):
    note = read_frame(odd)
    assert isinstance(note, GatewayNote)
    assert note.why == why
    assert len(note.text) <= 500


@given(st.text() | st.binary())
def test_no_frame_raises(text: str | bytes):
    read_frame(text)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("wss://streaming.example/channels/1", True),
        ("ws://127.0.0.1:80/c", True),
        ("ws://localhost/c", True),
        ("ws://[::1]:8080/c", True),
        ("ws://192.0.2.1/c", False),
        ("ws://localhost.example/c", False),
        ("http://127.0.0.1/c", False),
        ("wss://", False),
        ("ws://[", False),
        ("", False),
    ],
)
def test_only_an_encrypted_socket_or_one_on_this_machine_is_safe(url: str, safe: bool):  # noqa: FBT001
    assert is_safe_socket(url) is safe
