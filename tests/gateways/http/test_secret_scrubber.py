"""No server brings our secrets before anyone's eyes, however it quotes them."""

from __future__ import annotations

import base64
import json
from collections import deque
from typing import Any
from urllib.parse import quote

import pytest

from runner.core.errors import GatewayError
from runner.core.manifest.model import Secret
from runner.gateways.http.secret_scrubber import SecretScrubber
from tests.fakes.wire_server import BINARY, TEXT, Peer, WireServer, answer, frame, obliging
from tests.gateways.harness import SECRET, Listener, QuickClock, gateway_to

BASIC = base64.b64encode(f"client-17:{SECRET}".encode()).decode()
ODD = 'canary/"secret"-ïd'
QUOTED = [SECRET, BASIC, "token-number-1"]


def hiding(*secrets: str) -> SecretScrubber:
    known = SecretScrubber()
    for secret in secrets:
        known.add(secret)
    return known


def test_every_secret_is_taken_out_the_longer_ones_first():
    known = hiding("canary-secret", "canary-secret-and-more", "other-secret")
    text = "a canary-secret, canary-secret-and-more, other-secret"
    assert known.hide(text) == "a [secret], [secret], [secret]"


def test_what_may_be_a_word_is_left():
    assert hiding("eleven-char").hide("an eleven-char word") == "an eleven-char word"


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("slash", ["/", "\\/"])
def test_a_secret_is_found_as_json_escapes_it(ascii_only: bool, slash: str):  # noqa: FBT001
    spelled = json.dumps({"a": ODD}, ensure_ascii=ascii_only).replace("/", slash)
    assert hiding(ODD).hide(spelled) == '{"a": "[secret]"}'


@pytest.mark.parametrize("safe", ["/", ""])
def test_a_secret_is_found_as_urls_escape_it(safe: str):
    assert hiding(ODD).hide(f"https://a/{quote(ODD, safe=safe)}/b") == "https://a/[secret]/b"


@pytest.mark.parametrize(("encoding", "errors"), [("latin-1", ""), ("ascii", "surrogateescape")])
def test_a_secret_is_found_in_a_header_of_another_encoding(encoding: str, errors: str):
    assert hiding(ODD).hide(f"a {ODD}".encode().decode(encoding, errors)) == "a [secret]"


async def looked_up(said: Any) -> Any:
    async with WireServer(look_up_answers=deque([said] * 4)) as server:
        gateway = gateway_to(server)
        try:
            return await gateway.look_up("i-1")
        finally:
            await gateway.close()


@pytest.mark.parametrize("quoted", QUOTED)
async def test_a_look_ups_state_and_addresses(quoted: str):
    body = {"id": "i-1", "state": quoted, "destination_uri": f"tel:{quoted}"}
    text = json.dumps(body).replace("-", "\\u002d").replace("i\\u002d1", "i-1")
    for spelled in (body, text.encode()):
        seen = await looked_up(answer(200, spelled))
        assert (seen.state, seen.destination_uri) == ("[secret]", "tel:[secret]")


@pytest.mark.parametrize("quoted", QUOTED)
@pytest.mark.parametrize(
    ("status", "header"),
    [(403, "WWW-Authenticate"), (307, "Location")],
)
async def test_a_refusals_headers(quoted: str, status: int, header: str):
    value = f'Bearer scope="{quoted}"' if status == 403 else f"https://other.example/{quoted}"
    said = answer(status, b"", **{header: value})
    with pytest.raises(GatewayError, match=r"\[secret\]") as by_rest:
        await looked_up(said)
    async with WireServer(handshake_answers=deque([said])) as server:
        gateway = gateway_to(server)
        with pytest.raises(GatewayError, match=r"\[secret\]") as by_handshake:
            await gateway.open(Listener())
        await gateway.close()
    for error in (by_rest.value, by_handshake.value):
        assert quoted not in str(error) + error.check


@pytest.mark.parametrize("quoted", QUOTED[:2])
@pytest.mark.parametrize("header", ["Content-Type", "Location"])
async def test_the_token_servers_headers(quoted: str, header: str):
    said = answer(307 if header == "Location" else 200, b"x", **{header: f"x/{quoted}"})
    async with WireServer(token_answers=deque([said])) as server:
        gateway = gateway_to(server)
        with pytest.raises(GatewayError, match=r"\[secret\]") as caught:
            await gateway.look_up("i-1")
        await gateway.close()
    assert quoted not in str(caught.value)


async def told(what: str, *frames: bytes, secret: str = SECRET) -> Any:
    """Return what the listener was told of the last of the frames that a session brings."""

    async def script(peer: Peer) -> None:
        for raw in frames:
            await peer.send(raw)
        await obliging(peer)

    listener = Listener()
    async with WireServer(sessions=deque([script])) as server:
        gateway = gateway_to(server, client_secret=Secret(secret))
        await gateway.open(listener)
        try:
            return await listener.until(what, len(frames))
        finally:
            await gateway.close()


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("slash", ["/", "\\/", "\\u002f"])
async def test_a_reply_that_escapes_the_secret(ascii_only: bool, slash: str):  # noqa: FBT001
    said = {"id": "m", "status": ODD, "reason": f"no {ODD}", "media_matrix": {ODD: [ODD]}}
    text = json.dumps(said, ensure_ascii=ascii_only).replace("/", slash)
    reply = await told("replied", frame(TEXT, text.encode()), secret=ODD)
    assert (reply.status, reply.reason) == ("[secret]", "no [secret]")
    assert reply.media == {"[secret]": ["[secret]"]}


async def test_strays_of_text_and_of_bytes():
    text = SECRET.replace("-", "\\u002d")
    stray = await told("noted", frame(TEXT, f'{{"no": "{text}"}}'.encode()))
    assert stray.text == '{"no": "[secret]"}'
    stray = await told("noted", frame(BINARY, SECRET.encode()))
    assert stray.text == "b'[secret]'"


async def test_tokens_of_long_ago_are_secrets_still():
    clock = QuickClock()
    async with WireServer(expires_in=1000) as server:
        gateway = gateway_to(server, clock)
        for _ in range(3):
            await gateway.look_up("i-1")
            clock.time_s += 1000
        state = "token-number-1 token-number-2 token-number-3"
        server.look_up_answers.append(answer(200, {"id": "i-1", "state": state}))
        assert (await gateway.look_up("i-1")).state == "[secret] [secret] [secret]"
        await gateway.close()
