"""Media matrices: their sum and their wire form."""

from __future__ import annotations

import pytest

from runner.core.manifest.media import Audio, MediaMatrix, Video

VOICE = MediaMatrix(Audio("opus", 64, 16))
PICTURE = MediaMatrix(Audio("opus", 64, 16), Video("vp8", 1200, "1280x720", 30))


def test_bandwidth_is_audio_and_video_together():
    assert VOICE.bandwidth_kbps == 64
    assert PICTURE.bandwidth_kbps == 1264


def test_the_wire_form_is_the_protocols():
    assert PICTURE.to_json() == {
        "audio": {"codec": "opus", "bandwidth_kbps": 64, "bit_depth": 16},
        "video": {"codec": "vp8", "resolution": "1280x720", "fps": 30, "bandwidth_kbps": 1200},
    }
    assert VOICE.to_json() == {"audio": {"codec": "opus", "bandwidth_kbps": 64, "bit_depth": 16}}


def test_the_wire_form_is_read_back():
    assert MediaMatrix.from_json(PICTURE.to_json()) == PICTURE
    assert MediaMatrix.from_json(VOICE.to_json()) == VOICE


@pytest.mark.parametrize(
    "wire", [{}, {"audio": {}}, {"audio": {"codec": "opus"}}, {"audio": {"codec": 1, "x": 2}}]
)
def test_any_other_shape_is_an_error(wire: dict[str, object]):
    with pytest.raises((KeyError, TypeError)):
        MediaMatrix.from_json(wire)
