"""The wire's messages: requests built, replies read (protocol.md, "Request" and "Reply")."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from runner.core.foreign_json import read_frame
from runner.core.manifest.media import MediaMatrix
from runner.core.records.audit_chain import canonical, is_finite_json
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.states import Event, classify

NOTE_LIMIT = 500
"""Characters of foreign text that a note keeps (protocol.md, "Session")."""

SERVER_TEXT_LIMIT = 512
"""Characters kept of a status or a reason."""

MOST_SECONDS = 1_000_000_000
"""The longest wait that is written out."""

MEDIA_LIMIT = 4096
"""Characters of JSON beyond which a reply's media are not kept."""

DEEPEST = 64
"""Levels of a JSON value that are looked at; messages of the protocol have three."""


class Message(NamedTuple):
    """A delivery as a driver words it.

    `text` is what the journal keeps, and what a repeat is sent from. `command` is the driver's own
    typed form of it, for a driver whose deliveries are more than a text.
    """

    text: str
    command: object | None = None


class Request(NamedTuple):
    """One delivery that a gateway is asked for: its id and its message."""

    message_id: str
    message: Message
    built_at: float = 0.0  # the clock's monotonic seconds

    @property
    def text(self) -> str:
        """The message's exact text."""
        return self.message.text


class Reply(NamedTuple):
    """What the gateway answered to the delivery with `message_id`.

    `correlation_id` is by what the gateway's owner finds it again. `event` is what the driver says
    that the answer means for the transfer: ACCEPTED, LIMITED, UNSUITED, DENIED, WITHDRAWN (it
    certainly did not leave) or LOST (the answer says nothing definite); `status` and `code` are
    the gateway's own words for it, for the record.
    """

    message_id: str
    status: str | None = None
    code: int | None = None
    reason: str | None = None
    retry_after_s: float | None = None
    media: Mapping[str, Any] | None = None
    correlation_id: str | None = None
    event: Event = Event.LOST

    @property
    def unsent(self) -> bool:
        """Whether the delivery certainly did not leave."""
        return self.event is Event.WITHDRAWN


@dataclass(frozen=True, slots=True)
class StrayFrame:
    """A frame that answers nothing: why, and its text, cut and made harmless."""

    why: str
    text: str


def uuid4_text(random_bytes: bytes) -> str:
    """Return 16 random bytes as the text of a version 4 UUID (RFC 9562)."""
    h = random_bytes.hex()
    variant = "89ab"[int(h[16], 16) & 3]
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{variant}{h[17:20]}-{h[20:]}"


class Draft(NamedTuple):
    """What a delivery is to say; `timestamp` is RFC 3339 in UTC with microseconds."""

    message_id: str
    interaction_id: str
    destination_uri: str
    media: MediaMatrix
    timestamp: str
    seen: Interaction | None = None  # by the last look-up


class Unfit(Exception):
    """A draft that no message of this gateway can say: certainly not to be delivered."""


Compose = Callable[[Draft], Message]
"""Words a delivery as a driver's gateway takes it. Raises `Unfit`."""


def build_message(draft: Draft) -> Message:
    """Return the request as a message of the interaction-transfer protocol."""
    return Message(build_text(draft))


def build_text(draft: Draft) -> str:
    """Return the request's exact text (protocol.md, "Request")."""
    message = {
        "type": "interaction.transfer",
        "id": draft.message_id,
        "interaction_id": draft.interaction_id,
        "destination_uri": draft.destination_uri,
        "media_matrix": draft.media.to_json(),
        "timestamp": draft.timestamp,
        "triggers": {"codec_negotiation": True, "format_verification": True},
    }
    return orjson.dumps(message).decode()


Classify = Callable[[str | None, int | None], Event]
"""Returns what a reply's status and code mean."""


def read_reply(
    frame: str | bytes,
    hide: Callable[[str], str] | None = None,
    meaning: Classify = classify,
) -> Reply | StrayFrame:
    """Read one frame of the gateway; a frame that is not a reply becomes a `StrayFrame`, never an error.

    `hide` takes out of its texts, once they are unescaped, what is not to be kept. `meaning` knows
    the gateway's own statuses beside those of the protocol.
    """
    if isinstance(frame, bytes):
        return StrayFrame("a binary frame", harmless(repr(frame[:NOTE_LIMIT])))
    try:
        body, contradictions, _ = read_frame(frame, _DECISIVE)
        if hide is not None and (clean := replace_texts(body, hide)) != body:
            body, frame = clean, json.dumps(clean)
    except (ValueError, RecursionError):
        return StrayFrame("not JSON", harmless(frame))
    if not isinstance(body, dict):
        return StrayFrame("not a JSON object", harmless(frame))
    if contradiction := _contradiction(contradictions, hide):
        body = {"id": body.get("id"), "reason": contradiction}
    message_id, status, reason = body.get("id"), body.get("status"), body.get("reason")
    if not isinstance(message_id, str) or "id" in contradictions:
        return StrayFrame("two ids" if "id" in contradictions else "no id", harmless(frame))
    status = harmless(status, SERVER_TEXT_LIMIT) if isinstance(status, str) else None
    code = _whole(body.get("code"))
    if status is None and code is None and contradiction is None:
        return StrayFrame("neither status nor code", harmless(frame))
    return Reply(
        harmless(message_id),  # ours are harmless as they are
        status,
        code,
        harmless(reason, SERVER_TEXT_LIMIT) if isinstance(reason, str) else None,
        _retry_after(body.get("retry_after")),
        _storable(body.get("media_matrix")),
        event=meaning(status, code),
    )


def replace_texts(value: Any, replace: Callable[[str], str], depth: int = DEEPEST) -> Any:
    """Return a JSON value with `replace` applied to each of its texts, keys included.

    What is nested deeper than `depth` is left out.
    """
    match value:
        case str():
            return replace(value)
        case dict() if depth:
            return {
                replace(key): replace_texts(each, replace, depth - 1) for key, each in value.items()
            }
        case list() if depth:
            return [replace_texts(each, replace, depth - 1) for each in value]
        case dict() | list():
            return None
    return value


_DECISIVE = ("id", "status", "code")
"""Keys of a reply that say what became of which delivery."""


def _contradiction(
    contradictions: Mapping[str, Sequence[Any]], hide: Callable[[str], str] | None
) -> str | None:
    """Return in words how a reply contradicts itself on what became of its delivery, if it does."""
    for key in _DECISIVE:
        if key in contradictions:
            values = (v if isinstance(v, str) else json.dumps(v) for v in contradictions[key])
            said = " and ".join(harmless(v if hide is None else hide(v), 100) for v in values)
            return harmless(f"the reply contradicts itself: `{key}` is {said}", SERVER_TEXT_LIMIT)
    return None


def harmless(text: str, limit: int = NOTE_LIMIT) -> str:
    r"""Write foreign text's control characters as `\xNN`, and cut it to `limit` characters."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    if cut.isprintable():
        return cut
    escaped = "".join(c if c.isprintable() else _escaped(c) for c in cut)
    return escaped if len(escaped) <= limit else escaped[: limit - 1] + "…"


def seconds_text(seconds: float) -> str:
    """Return a time that a gateway asks for in full, however long, with its unit."""
    if seconds > MOST_SECONDS:
        return f"more than {MOST_SECONDS:,} s"
    return f"{round(seconds, 3):.12g} s"


def _escaped(character: str) -> str:
    point = ord(character)
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}"  # noqa: PLR2004


def _whole(code: object) -> int | None:
    """Return a code, written as 429 or as 429.0: JSON knows one kind of number."""
    if isinstance(code, float) and code.is_integer():
        return int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def _storable(media: object) -> Mapping[str, Any] | None:
    """Return media that the journal can hold; a number that is none must not cost the reply."""
    if not isinstance(media, dict):
        return None
    if is_finite_json(media) and _is_plain(canonical(media)):
        return media  # as almost all are
    kept: Mapping[str, Any] = replace_texts(media, _kept)
    return kept if is_finite_json(kept) and len(canonical(kept)) <= MEDIA_LIMIT else None


def _is_plain(text: str) -> bool:
    """Return whether a JSON text is short, and nothing in it is to be made harmless."""
    return len(text) <= SERVER_TEXT_LIMIT and "\\" not in text and text.isprintable()


def _kept(text: str) -> str:
    return harmless(text, SERVER_TEXT_LIMIT)


def _retry_after(seconds: object) -> float | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    if isinstance(seconds, float) and not math.isfinite(seconds):
        return None
    # A whole number may have more digits than a float can hold.
    return float(min(seconds, sys.float_info.max)) if seconds >= 0 else None
