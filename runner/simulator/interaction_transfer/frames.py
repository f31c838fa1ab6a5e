"""Reads and verifies request frames (protocol.md, "Request")."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from runner.core.frozen import frozen
from runner.core.manifest.model import GatewayConstraints

_LONGEST_TEXT = 2048
_DESTINATION = re.compile(
    r"genesys://(?:queue|user)/[^\s/]+|sips?:\S+|tel:\+[0-9][0-9().-]*(?:;\S+)?"
)
_RESOLUTION = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


@frozen
class Transfer:
    """A valid request; `built_at` is its `timestamp` in seconds since the epoch."""

    message_id: str
    interaction_id: str
    destination_uri: str
    media: Mapping[str, Any]
    built_at: float
    negotiates: bool  # `triggers.codec_negotiation`

    @property
    def codecs(self) -> tuple[str, ...]:
        """The requested codecs, audio first, in lower case."""
        return tuple(stream["codec"].lower() for stream in self.media.values())


@frozen
class Malformed:
    """A frame that is not a valid request; `message_id` is None without a usable id."""

    message_id: str | None
    reason: str


def read_transfer(frame: str) -> Transfer | Malformed:
    """Read a text frame; one that is not a request becomes `Malformed`, never an error."""
    try:
        body = _DECODER.decode(frame)
    except (ValueError, RecursionError):
        return Malformed(None, "the frame is not JSON")
    if not isinstance(body, dict):
        return Malformed(None, "the frame is not a JSON object")
    message_id = body.get("id")
    if not isinstance(message_id, str) or not _is_text(message_id):
        return Malformed(None, "id is missing or not text")
    if wrong := _wrong(body, _REQUEST, ""):
        return Malformed(message_id, wrong)
    return Transfer(
        message_id,
        body["interaction_id"],
        body["destination_uri"],
        body["media_matrix"],
        datetime.fromisoformat(body["timestamp"]).timestamp(),
        body["triggers"]["codec_negotiation"],
    )


def is_destination(uri: str) -> bool:
    """Return whether `uri` is a queue, a user, a SIP address or a telephone number (rule R006)."""
    return _DESTINATION.fullmatch(uri) is not None


def find_unsuitable(
    media: Mapping[str, Any], constraints: GatewayConstraints
) -> tuple[str, str] | None:
    """Return status and reason if the gateway cannot carry `media`, else None."""
    supported = _lowered(constraints.supported_codecs)
    for stream in media.values():
        if stream["codec"].lower() not in supported:
            return "codec_unsupported", f"codec {stream['codec']} is not supported"
    asked_kbps = sum(stream["bandwidth_kbps"] for stream in media.values())
    if asked_kbps > constraints.max_bandwidth_kbps:
        most = constraints.max_bandwidth_kbps
        return "bandwidth_exceeded", f"{asked_kbps:g} kbit/s is over the limit of {most:g} kbit/s"
    video = media.get("video")
    return _unsuitable_picture(video, constraints) if video else None


@lru_cache
def _lowered(codecs: tuple[str, ...]) -> frozenset[str]:
    return frozenset(codec.lower() for codec in codecs)


def _unsuitable_picture(
    video: Mapping[str, Any], constraints: GatewayConstraints
) -> tuple[str, str] | None:
    if video["fps"] > constraints.max_fps:
        return "codec_unsupported", f"{video['fps']:g} fps is over {constraints.max_fps:g} fps"
    largest = constraints.max_resolution
    if largest and any(
        a > b for a, b in zip(_size(video["resolution"]), _size(largest), strict=True)
    ):
        return "codec_unsupported", f"{video['resolution']} is larger than {largest}"
    return None


def _size(resolution: str) -> tuple[int, int]:
    width, height = resolution.split("x")
    return int(width), int(height)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT and value.isprintable()


def _is_positive(value: object) -> bool:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return numeric and 0 < value < math.inf  # type: ignore[operator]  # numeric: it is a number


def _is_whole(value: object) -> bool:
    return _is_positive(value) and isinstance(value, int)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_resolution(value: object) -> bool:
    return isinstance(value, str) and _RESOLUTION.fullmatch(value) is not None


def _is_timestamp(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return datetime.fromisoformat(value).utcoffset() is not None
    except ValueError:
        return False


@frozen
class _Field:
    """One property of an object: the check of its value, or the fields of a nested object."""

    check: Callable[[object], bool] | None = None
    fields: Mapping[str, _Field] | None = None
    required: bool = True


_AUDIO = {
    "codec": _Field(_is_text),
    "bandwidth_kbps": _Field(_is_positive),
    "bit_depth": _Field(_is_whole),
}
_VIDEO = {
    "codec": _Field(_is_text),
    "resolution": _Field(_is_resolution),
    "fps": _Field(_is_positive),
    "bandwidth_kbps": _Field(_is_positive),
}
_MEDIA = {
    "audio": _Field(fields=_AUDIO),
    "video": _Field(fields=_VIDEO, required=False),
}
_TRIGGERS = {
    "codec_negotiation": _Field(_is_flag),
    "format_verification": _Field(_is_flag),
}
_REQUEST = {
    "type": _Field("interaction.transfer".__eq__),
    "id": _Field(_is_text),
    "interaction_id": _Field(_is_text),
    "destination_uri": _Field(_is_text),
    "media_matrix": _Field(fields=_MEDIA),
    "timestamp": _Field(_is_timestamp),
    "triggers": _Field(fields=_TRIGGERS),
}


def _wrong(body: Mapping[str, Any], fields: Mapping[str, _Field], where: str) -> str | None:
    """Return how `body` differs from `fields`, or None."""
    if unknown := body.keys() - fields.keys():
        return f"{where}{min(unknown)} is not a field of a transfer"
    for name, field in fields.items():
        if name in body:
            if wrong := _wrong_value(body[name], field, where + name):
                return wrong
        elif field.required:
            return f"{where}{name} is missing"
    return None


def _wrong_value(value: object, field: _Field, name: str) -> str | None:
    if field.check is not None:
        return None if field.check(value) is True else f"{name} is not valid"
    if not isinstance(value, dict):
        return f"{name} is not an object"
    return _wrong(value, field.fields or {}, f"{name}.")
