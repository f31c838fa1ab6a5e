"""What leaves and what is told when nothing goes wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID

from tests.e2e.harness import HERE, NARROW, VIDEO, VOICE, Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import Step


def test_two_hundred_transfers_are_carried_out_once_and_reported_so(
    gateway: Gateway, harness: Harness
):
    """Each interaction moves once; a second apply sends nothing and does not even connect."""
    content = manifest(gateway, [transfer() for _ in range(200)], preflight=True)
    applied = harness.apply(content)
    assert applied.code == 0, applied.ended.err
    assert set(applied.outcomes().values()) == {"transferred"}
    assert len(gateway.effects) == len({e.interaction_id for e in gateway.effects}) == 200
    assert applied.report.summary["attempts"] == len(gateway.frames) == 200
    assert (1000, "session terminated") in gateway.closes
    applied.report.agree_with(gateway)
    again = harness.apply(content)
    assert again.code == 0
    assert set(again.outcomes().values()) == {"unchanged"}
    assert (len(gateway.frames), len(gateway.token_requests)) == (200, 1)


def test_a_request_has_exactly_the_protocols_shape(gateway: Gateway, harness: Harness):
    """The frame equals the protocol's example, `video` only where there is one."""
    sound, sight = transfer(media="voice"), transfer(media="video", to="genesys://user/agent-7")
    applied = harness.apply(manifest(gateway, [sound, sight]))
    assert applied.code == 0, applied.ended.err
    for result, media in ((sound, VOICE), (sight, VIDEO)):
        [frame] = gateway.deliveries(result["interaction_id"])
        stamp = frame.message["timestamp"]
        assert frame.message == {
            "type": "interaction.transfer",
            "id": frame.id,
            "interaction_id": result["interaction_id"],
            "destination_uri": result["destination_uri"],
            "media_matrix": media,
            "timestamp": stamp,
            "triggers": {"codec_negotiation": True, "format_verification": True},
        }
        assert list(frame.message)[:2] == ["type", "id"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", stamp)
        built = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC).timestamp()
        # The clock is UTC: others differ by 15 minutes at least. A busy machine is slow.
        assert 0 <= frame.wall - built < 900.0
        assert UUID(frame.id).version == 4
        assert str(UUID(frame.id)) == frame.id


def test_the_handshake_carries_the_token_and_wants_json(gateway: Gateway, harness: Harness):
    harness.apply(manifest(gateway, [transfer()]))
    [handshake] = gateway.handshakes
    assert handshake["authorization"] == "Bearer token-1"
    assert handshake["accept"] == "application/json"
    [request] = gateway.token_requests
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.method == "POST"
    assert request.body in {
        b"grant_type=client_credentials"
        b"&scope=interaction%3Atransfer"
        + space
        + b"websocket%3Ause"
        + space
        + b"interaction%3Aview"
        for space in (b"+", b"%20")
    }


def test_every_delivery_has_a_fresh_id(gateway: Gateway, harness: Harness):
    """Retries and fallbacks included: no id is ever used twice."""
    tries = [Step("rate_limited"), Step("codec_unsupported"), Step("rate_limited"), Step()]
    transfers = [transfer(fallback=["narrow"]) for _ in range(5)]
    for each in transfers:
        gateway.scripts[each["interaction_id"]] = tries
    applied = harness.apply(manifest(gateway, transfers, limits={"rate": "1000/s"}))
    assert applied.code == 0, applied.ended.err
    assert len({frame.id for frame in gateway.frames}) == len(gateway.frames) == 20
    assert {UUID(frame.id).version for frame in gateway.frames} == {4}
    for each in transfers:
        asked = [f.message["media_matrix"] for f in gateway.deliveries(each["interaction_id"])]
        assert asked == [VOICE, VOICE, NARROW, NARROW]
    applied.report.agree_with(gateway)
    result = applied.report.by_id[transfers[0]["interaction_id"]]
    assert [a["n"] for a in result["attempts"]] == [1, 2, 3, 4]
    assert result["message_id"] == result["attempts"][-1]["message_id"]
    assert applied.report.summary["fallbacks"] == 5
    assert applied.report.summary["retries"] == 10
    assert result["media_requested"]["audio"]["codec"] == "opus"


def test_what_was_negotiated_is_recorded(gateway: Gateway, harness: Harness):
    one = transfer(to=HERE)
    gateway.scripts[one["interaction_id"]] = [Step(media_matrix=NARROW)]
    applied = harness.apply(manifest(gateway, [one]))
    [result] = applied.report.json["transfers"]
    assert result["media_negotiated"] == NARROW
    assert result["media_requested"] == VOICE
    assert result["latency_ms"] > 0
    assert re.fullmatch(r"batch\.yaml:\d+", result["source"])
