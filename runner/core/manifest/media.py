"""Media matrices: the codecs, bandwidths and picture sizes that a transfer asks for."""

from __future__ import annotations

from typing import Any

from runner.core.frozen import frozen


@frozen
class Audio:
    """The audio half of a media matrix."""

    codec: str
    bandwidth_kbps: float
    bit_depth: int


@frozen
class Video:
    """The video half of a media matrix; `resolution` is WIDTHxHEIGHT in pixels."""

    codec: str
    bandwidth_kbps: float
    resolution: str
    fps: float


@frozen
class MediaMatrix:
    """What one delivery asks the gateway to negotiate (protocol.md, "Request")."""

    audio: Audio
    video: Video | None = None

    @property
    def bandwidth_kbps(self) -> float:
        """Audio and video together, in kbit/s."""
        return self.audio.bandwidth_kbps + (self.video.bandwidth_kbps if self.video else 0)

    def to_json(self) -> dict[str, Any]:
        """Return the wire form; `video` is left out when there is none."""
        audio = self.audio
        wire: dict[str, Any] = {
            "audio": {
                "codec": audio.codec,
                "bandwidth_kbps": audio.bandwidth_kbps,
                "bit_depth": audio.bit_depth,
            }
        }
        if (video := self.video) is not None:
            wire["video"] = {
                "codec": video.codec,
                "resolution": video.resolution,
                "fps": video.fps,
                "bandwidth_kbps": video.bandwidth_kbps,
            }
        return wire

    @classmethod
    def from_json(cls, wire: dict[str, Any]) -> MediaMatrix:
        """Read the wire form back; raises `KeyError` or `TypeError` on any other shape."""
        video = wire.get("video")
        return cls(Audio(**wire["audio"]), Video(**video) if video is not None else None)
