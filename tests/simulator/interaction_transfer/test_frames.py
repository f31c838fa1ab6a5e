"""The gateway verifies a frame's format and says what is wrong with it."""

import json
from typing import Any

import pytest

from runner.core.manifest.model import GatewayConstraints
from runner.simulator.interaction_transfer.frames import (
    Malformed,
    Transfer,
    find_unsuitable,
    is_destination,
    read_transfer,
)

OPUS = {"codec": "opus", "bandwidth_kbps": 64, "bit_depth": 16}
VP8 = {"codec": "vp8", "resolution": "1280x720", "fps": 30, "bandwidth_kbps": 1200}


def test_the_protocols_own_example_is_read(frame: Any, sent_at: float) -> None:
    read = read_transfer(frame())

    assert isinstance(read, Transfer)
    assert read.interaction_id == "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
    assert read.destination_uri == "genesys://queue/billing-new"
    assert read.codecs == ("opus", "vp8")
    assert read.built_at == pytest.approx(sent_at, abs=1e-6)
    assert read.negotiates


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the frame is not JSON"),
        ("{", "the frame is not JSON"),
        ("[" * 100_000, "the frame is not JSON"),
        ('{"id": NaN}', "the frame is not JSON"),
        ('{"id": ' + "9" * 5000 + "}", "the frame is not JSON"),
        ("[1]", "the frame is not a JSON object"),
        ("{}", "id is missing or not text"),
        ('{"id": 7}', "id is missing or not text"),
        ('{"id": ""}', "id is missing or not text"),
        ('{"id": "a\\u0000"}', "id is missing or not text"),
        ('{"id": "a\\ud800"}', "id is missing or not text"),
    ],
)
def test_a_frame_without_a_usable_id_is_malformed(text: str, reason: str) -> None:
    assert read_transfer(text) == Malformed(None, reason)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "interaction.hold"}, "type is not valid"),
        ({"interaction_id": ""}, "interaction_id is not valid"),
        ({"interaction_id": 7}, "interaction_id is not valid"),
        ({"destination_uri": None}, "destination_uri is not valid"),
        ({"media_matrix": []}, "media_matrix is not an object"),
        ({"media_matrix": {}}, "media_matrix.audio is missing"),
        ({"media_matrix": {"audio": OPUS, "smell": {}}}, "media_matrix.smell is not a field"),
        ({"media_matrix": {"audio": OPUS | {"bandwidth_kbps": 0}}}, "audio.bandwidth_kbps is not"),
        ({"media_matrix": {"audio": OPUS | {"bandwidth_kbps": True}}}, "bandwidth_kbps is not"),
        ({"media_matrix": {"audio": OPUS | {"bit_depth": 16.5}}}, "audio.bit_depth is not valid"),
        ({"media_matrix": {"audio": OPUS, "video": VP8 | {"resolution": "big"}}}, "resolution is"),
        ({"media_matrix": {"audio": OPUS, "video": VP8 | {"fps": "30"}}}, "video.fps is not valid"),
        ({"timestamp": "2026-12-01T21:00:00"}, "timestamp is not valid"),
        ({"timestamp": "yesterday"}, "timestamp is not valid"),
        ({"timestamp": 1796158800}, "timestamp is not valid"),
        ({"triggers": {"codec_negotiation": True}}, "triggers.format_verification is missing"),
        ({"triggers": {"codec_negotiation": 1, "format_verification": True}}, "negotiation is not"),
        ({"priority": 1}, "priority is not a field of a transfer"),
    ],
)
def test_a_malformed_field_is_named(frame: Any, changes: dict[str, Any], reason: str) -> None:
    read = read_transfer(frame(**changes))

    assert isinstance(read, Malformed)
    assert read.message_id == json.loads(frame())["id"]
    assert reason in read.reason


@pytest.mark.parametrize(
    "uri",
    [
        "genesys://queue/billing-new",
        "genesys://user/agent-id-98765",
        "sip:desk@example.net",
        "tel:+441234567890",
        "tel:+44-1234-567890",
    ],
)
def test_destinations(uri: str) -> None:
    assert is_destination(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "genesys://queue/",
        "genesys://queue/a/b",
        "genesys://skill/a",
        "http://example.net",
        "sip:",
        "tel:441234567890",
        "tel:+44 1234",
        "genesys://queue/billing\n",
    ],
)
def test_no_destinations(uri: str) -> None:
    assert not is_destination(uri)


@pytest.mark.parametrize(
    ("media", "status"),
    [
        ({"audio": OPUS}, None),
        ({"audio": OPUS | {"codec": "OPUS"}}, None),
        ({"audio": OPUS | {"codec": "g722"}}, None),
        ({"audio": OPUS, "video": VP8}, None),
        ({"audio": OPUS | {"codec": "g729"}}, "codec_unsupported"),
        ({"audio": OPUS, "video": VP8 | {"codec": "av1"}}, "codec_unsupported"),
        ({"audio": OPUS, "video": VP8 | {"fps": 60}}, "codec_unsupported"),
        ({"audio": OPUS, "video": VP8 | {"resolution": "1280x1024"}}, "codec_unsupported"),
        ({"audio": OPUS, "video": VP8 | {"bandwidth_kbps": 1984}}, None),
        ({"audio": OPUS, "video": VP8 | {"bandwidth_kbps": 1985}}, "bandwidth_exceeded"),
    ],
)
def test_what_the_gateway_cannot_carry(
    constraints: GatewayConstraints, media: dict[str, Any], status: str | None
) -> None:
    unsuitable = find_unsuitable(media, constraints)

    assert (unsuitable and unsuitable[0]) == status
