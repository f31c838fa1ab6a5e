"""What passes between the engine and a driver: drafts, messages, requests, replies and notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from runner.core.frozen import frozen
from runner.core.manifest.media import MediaMatrix
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.states import Event

NOTE_LIMIT = 500
"""Characters of foreign text that a note keeps (protocol.md, "Session")."""

SERVER_TEXT_LIMIT = 512
"""Characters kept of a status or a reason."""

MOST_SECONDS = 1_000_000_000
"""The longest wait that is written out."""

DEEPEST = 64
"""Levels of a JSON value that are kept; a reply has three."""


class Message(NamedTuple):
    """A delivery in a driver's own form.

    The journal keeps `text`, and a repeat is sent from it. `command` is the driver's typed form,
    for a driver whose deliveries are more than a text.
    """

    text: str
    command: object | None = None


def always() -> bool:
    """Let a delivery leave whenever it can."""
    return True


class Request(NamedTuple):
    """One delivery that a gateway is to submit: its id and its message.

    `may_leave` is asked by a driver whose `submit` cannot write before its first suspension: right
    before its write, and with no suspension between. If it returns False, the delivery is withdrawn.
    """

    message_id: str
    message: Message
    built_at: float = 0.0  # the clock's monotonic seconds
    may_leave: Callable[[], bool] = always

    @property
    def text(self) -> str:
        """The message's exact text."""
        return self.message.text


class Reply(NamedTuple):
    """What the gateway answered to the delivery with `message_id`.

    `correlation_id` is the gateway's own id of the delivery. `event` is the driver's reading of the
    answer: ACCEPTED, LIMITED, UNSUITED, DENIED, WITHDRAWN (it certainly did not leave) or LOST (the
    answer says nothing definite); `status` and `code` are the gateway's own terms, for the record.
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


@frozen
class GatewayNote:
    """What the audit log keeps of a frame that is not a reply: why, and its text, cut and escaped."""

    why: str
    text: str


def uuid4_text(random_bytes: bytes) -> str:
    """Return 16 random bytes as the text of a version 4 UUID (RFC 9562)."""
    h = random_bytes.hex()
    variant = "89ab"[int(h[16], 16) & 3]
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{variant}{h[17:20]}-{h[20:]}"


class Draft(NamedTuple):
    """The content of a delivery; `timestamp` is RFC 3339 in UTC with microseconds."""

    message_id: str
    interaction_id: str
    destination_uri: str
    media: MediaMatrix
    timestamp: str
    seen: Interaction | None = None  # by the last look-up


class Unfit(Exception):
    """A draft that this gateway has no message for: certainly not delivered."""


Compose = Callable[[Draft], Message]
"""Returns a draft as a message of the driver's gateway. Raises `Unfit`."""


Classify = Callable[[str | None, int | None], Event]
"""Returns the event that a reply's status and code mean."""


def map_texts(value: Any, change: Callable[[str], str], depth: int = DEEPEST) -> Any:
    """Return a JSON value with `change` applied to each text, keys included.

    Values nested deeper than `depth` become None.
    """
    match value:
        case str():
            return change(value)
        case dict() if depth:
            return {change(key): map_texts(each, change, depth - 1) for key, each in value.items()}
        case list() if depth:
            return [map_texts(each, change, depth - 1) for each in value]
        case dict() | list():
            return None
    return value


def harmless(text: str, limit: int = NOTE_LIMIT) -> str:
    r"""Return foreign text with its control characters as `\xNN`, and cut it to `limit` characters."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    if cut.isprintable():
        return cut
    escaped = "".join(c if c.isprintable() else _escaped(c) for c in cut)
    return escaped if len(escaped) <= limit else escaped[: limit - 1] + "…"


def seconds_text(seconds: float) -> str:
    """Return a duration with its unit, exactly, up to `MOST_SECONDS`."""
    if seconds > MOST_SECONDS:
        return f"more than {MOST_SECONDS:,} s"
    return f"{round(seconds, 3):.12g} s"


def _escaped(character: str) -> str:
    point = ord(character)
    return f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}"  # noqa: PLR2004
