"""The tests' own wire reads and writes the bytes that the RFCs show."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.foreign.wire import (
    CLOSE,
    PING,
    TEXT,
    Request,
    WebResponse,
    Wire,
    WireFrame,
    accept,
    close_frame,
    frame,
)

HANDSHAKE = (
    b"GET /api/v2/websocket HTTP/1.1\r\nHost: api.example.net\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)  # the key of RFC 6455, 1.3
HELLO = bytes.fromhex("81 85 37 fa 21 3d 7f 9f 4d 51 58")  # RFC 6455, 5.7
PINGED = bytes.fromhex("89 85 37 fa 21 3d 7f 9f 4d 51 58")
TOKEN = (
    b"POST /oauth/token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 29\r\n\r\ngrant_type=client_credentials"
)
STREAM = TOKEN + HANDSHAKE + HELLO + PINGED


def session() -> Wire:
    wire = Wire()
    wire.receive(HANDSHAKE)
    return wire


def masked(opcode: int, payload: bytes, mask: bytes = b"\x37\xfa\x21\x3d") -> bytes:
    """Spell a client's frame, byte by byte."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65_536:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    sent = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
    return bytes([0x80 | opcode]) + length + mask + sent


@given(st.sets(st.integers(0, len(STREAM))))
def test_requests_and_frames_are_the_same_however_the_stream_is_cut(cuts: set[int]):
    wire, edges = Wire(), [0, *sorted(cuts), len(STREAM)]
    pieces = (STREAM[a:b] for a, b in pairwise(edges))
    token, handshake, *frames = [item for piece in pieces for item in wire.receive(piece)]
    assert isinstance(token, Request)
    assert (token.method, token.path) == ("POST", "/oauth/token")
    assert token.body == b"grant_type=client_credentials"
    assert isinstance(handshake, Request)
    assert (token.is_handshake, handshake.is_handshake) == (False, True)
    assert frames == [WireFrame(TEXT, b"Hello"), WireFrame(PING, b"Hello")]


def test_a_session_is_accepted_with_the_key_of_the_standard():
    (request,) = Wire().receive(HANDSHAKE)
    assert isinstance(request, Request)
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in accept(request)


@pytest.mark.parametrize("size", [0, 1, 3, 125, 126, 65_535, 65_536])
def test_a_frame_of_any_length_is_read(size: int):
    payload = bytes(n % 251 for n in range(size))
    assert session().receive(masked(TEXT, payload)) == [WireFrame(TEXT, payload)]


@pytest.mark.parametrize(
    ("size", "head"), [(5, "8105"), (126, "817e007e"), (65_536, "817f0000000000010000")]
)
def test_a_servers_frame_is_not_masked(size: int, head: str):
    payload = b"x" * size
    assert frame(TEXT, payload) == bytes.fromhex(head) + payload


def test_a_close_frame_has_code_and_reason():
    assert close_frame(4401, "token") == bytes.fromhex("88 07 11 31") + b"token"
    (closed,) = session().receive(masked(CLOSE, b"\x03\xe8session terminated"))
    assert isinstance(closed, WireFrame)
    assert (closed.close_code, closed.close_reason) == (1000, "session terminated")
    assert WireFrame(CLOSE, b"").close_code == 1005


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (bytes.fromhex("8105") + b"Hello", "masks"),
        (b"\x01" + HELLO[1:], "one frame"),  # the first of several
        (b"\xc1" + HELLO[1:], "extensions"),
    ],
)
def test_what_no_client_may_send_is_refused(raw: bytes, why: str):
    with pytest.raises(AssertionError, match=why):
        session().receive(raw)


def test_an_answer_says_how_long_it_is_and_of_what_kind():
    spelt = WebResponse(429, {"message": "wait"}, {"Retry-After": "1"}).spelt()
    head, _, body = spelt.partition(b"\r\n\r\n")
    assert body == b'{"message": "wait"}'
    assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\nDate: ")
    assert b"\r\nContent-Type: application/json\r\nContent-Length: 19\r\nRetry-After: 1" in head
