"""The session from both ends of a loopback socket, with literal frames."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs

from runner.ports import Interaction, SessionLost, SessionOpened
from tests.fakes.wire_server import WireServer
from tests.gateways.rig import SECRET, Listener, gateway_to


async def test_happy_path_from_token_to_farewell():
    """Token, session, look-up, a transfer and its reply, and a clean close."""
    listener = Listener()
    async with WireServer() as server:
        gateway = gateway_to(server)
        await gateway.open(listener)
        assert listener.all("opened") == [SessionOpened(1, None)]
        assert gateway.generation == 1
        assert gateway.writable()

        assert await gateway.look_up("i 1/2") == Interaction("i 1/2", found=True, state="active")
        await gateway.submit(json.dumps({"id": "m-1"}))
        reply = await listener.until("replied")
        assert (reply.message_id, reply.status) == ("m-1", "transfer_initiated")

        await gateway.close()
        await gateway.close()
        assert server.peers[0].close_frame == (1000, "session terminated")
        assert listener.all("lost") == [SessionLost(1, 1000, "session terminated", ours=True)]
        assert gateway.generation is None
        assert not gateway.writable()
        assert gateway.token_renewals == 0

    token, session, look_up = server.requests
    pair = base64.b64encode(f"client-17:{SECRET}".encode()).decode()
    assert (token.method, token.headers["authorization"]) == ("POST", f"Basic {pair}")
    assert parse_qs(token.body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["interaction:transfer websocket:use interaction:view"],
    }
    assert token.headers["content-type"] == "application/x-www-form-urlencoded"
    assert session.path == "/api/v2/websocket"
    assert session.headers["authorization"] == "Bearer token-number-1"
    assert session.headers["accept"] == "application/json"
    assert "sec-websocket-extensions" not in session.headers
    assert look_up.path == "/api/v2/interactions/i%201%2F2"
    assert look_up.headers["authorization"] == "Bearer token-number-1"
    assert look_up.headers["cache-control"] == "no-cache"
    assert look_up.headers["accept-encoding"] == "identity"
