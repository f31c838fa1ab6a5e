"""What keeps a run from beginning, and what preflight finds."""

from __future__ import annotations

import socket

from tests.e2e.harness import HERE, Harness, ids, manifest, transfer
from tests.foreign.gateway import CLIENT_SECRET, Gateway
from tests.foreign.script import Interaction
from tests.foreign.wire import WebResponse


def unreachable(harness: Harness, gateway: Gateway, **changes: str) -> str:
    """Apply against a gateway that cannot be had; return what was said."""
    content = manifest(gateway, [transfer() for _ in range(2)])
    content["environments"]["foreign"]["endpoints"] |= changes
    applied = harness.apply(content)
    assert applied.code == 4, applied.ended
    assert set(applied.outcomes().values()) == {"unattempted"}
    assert applied.report.run["outcome"] == "unreachable"
    assert not gateway.frames
    said = applied.ended.out + applied.ended.err
    assert CLIENT_SECRET not in said
    assert "Traceback" not in said
    return applied.ended.out


def test_a_wrong_secret_is_named_by_environment_and_address(gateway: Gateway, harness: Harness):
    harness.env["FOREIGN_SECRET"] = "not the secret"
    said = unreachable(harness, gateway)
    assert "invalid_client" in said
    assert gateway.token_url in said
    assert "foreign" in said
    assert "not the secret" not in said
    assert len(gateway.token_requests) == 1


def test_a_missing_scope_is_named(gateway: Gateway, harness: Harness):
    gateway.granted_scope = "interaction:transfer interaction:view"
    assert "websocket:use" in unreachable(harness, gateway)
    assert not gateway.handshakes


def test_a_web_page_is_not_a_token(gateway: Gateway, harness: Harness):
    page = b"<html><body>Sign in, dear user</body></html>"
    gateway.token_answers = [WebResponse(body=page)] * 9
    said = unreachable(harness, gateway)
    assert gateway.token_url in said
    assert "Sign in" not in said


def test_a_closed_port_is_unreachable(gateway: Gateway, harness: Harness):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    token_url = f"http://127.0.0.1:{port}/oauth/token"
    assert token_url in unreachable(harness, gateway, token_url=token_url)
    assert not gateway.token_requests


def test_a_closed_socket_port_is_unreachable_and_a_journal_knows_its_gateway(
    gateway: Gateway, harness: Harness
):
    """The second gateway's history must not be kept in the first one's journal."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    websocket_url = f"ws://127.0.0.1:{port}/api/v2/websocket"
    assert websocket_url in unreachable(harness, gateway, websocket_url=websocket_url)
    mended = manifest(gateway, [transfer()])
    assert harness.apply(mended).code == 0  # nothing had been sent: the address was mistyped
    mended["environments"]["foreign"]["endpoints"]["websocket_url"] = websocket_url
    other = harness.run("apply", harness.write(mended))
    assert other.code == 74
    assert f"ws://127.0.0.1:{port}" in other.err
    assert gateway.websocket_url.removesuffix("/api/v2/websocket") in other.err
    assert "--journal" in other.err
    assert len(gateway.frames) == 1


def test_refused_handshakes_say_what_to_check(gateway: Gateway, harness: Harness):
    """401 twice: token, scopes, region; 403: the scope. A 401 once is mended by a new token."""
    gateway.handshake_answers = [401, 401]
    said = unreachable(harness, gateway)
    assert all(word in said for word in ("token", "scopes", "region"))
    assert len(gateway.token_requests) == 2
    gateway.handshake_answers = [403]
    assert "websocket:use" in unreachable(harness, gateway)
    gateway.handshake_answers = [401, 503]
    assert harness.apply(manifest(gateway, [transfer()])).code == 0


def test_preflight_decides_before_anything_is_sent(gateway: Gateway, harness: Harness):
    states = {
        "active": ("transferred", "codec_negotiated"),
        "queued": ("transferred", "codec_negotiated"),
        "completed": ("skipped", "interaction is completed"),
        "abandoned": ("skipped", "interaction is abandoned"),
        "parked": ("rejected", "parked"),
    }
    transfers = {state: transfer(key=state) for state in states}
    for state, each in transfers.items():
        name = each["interaction_id"]
        gateway.interactions[name] = Interaction(name, state)
    gone, there, broken, slow = (transfer() for _ in range(4))
    gateway.missing.add(gone["interaction_id"])
    there_id = there["interaction_id"]
    gateway.interactions[there_id] = Interaction(there_id, destination_uri=HERE)
    gateway.look_up_answers[broken["interaction_id"]] = [WebResponse(400)]
    gateway.look_up_answers[slow["interaction_id"]] = [
        WebResponse(429, headers={"Retry-After": "0"}),
        WebResponse(500),
    ]
    all_of_them = [*transfers.values(), gone, there, broken, slow]
    applied = harness.apply(manifest(gateway, all_of_them, preflight=True))
    assert applied.code == 1, applied.ended.err
    result = applied.report.by_id
    for state, (outcome, reason) in states.items():
        found = result[transfers[state]["interaction_id"]]
        assert (found["outcome"], reason in found["reason"]) == (outcome, True), found
    assert [applied.outcomes()[name] for name in ids([gone, there, broken, slow])] == [
        "rejected",
        "skipped",
        "failed",
        "transferred",
    ]
    assert result[gone["interaction_id"]]["reason"] == "interaction not found"
    assert "already there" in result[there_id]["reason"]
    assert result[there_id]["message_id"] is result[there_id]["latency_ms"] is None
    assert len(gateway.frames) == 3
    applied.report.agree_with(gateway)


def test_skipped_counts_as_done(gateway: Gateway, harness: Harness):
    ended = transfer()
    name = ended["interaction_id"]
    gateway.interactions[name] = Interaction(name, "completed")
    assert harness.apply(manifest(gateway, [ended], preflight=True)).code == 0


def test_a_revoked_token_is_renewed_once(gateway: Gateway, harness: Harness):
    """A look-up that is answered 401 renews the token and asks again."""
    one = transfer()
    gateway.look_up_answers[one["interaction_id"]] = [WebResponse(401)]
    applied = harness.apply(manifest(gateway, [one], preflight=True))
    assert applied.code == 0, applied.ended.err
    assert len(gateway.token_requests) == 2
    assert applied.report.json["session"]["token_renewals"] == 1
