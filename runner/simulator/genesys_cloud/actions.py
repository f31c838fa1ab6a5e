"""What passes between the platform's mind and its shell: requests in, decisions out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.simulator.faults import Cut


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as it was read; `query` keeps every value of a repeated name."""

    method: str
    path: str
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    authorization: str = ""
    content_type: str = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer the request; a body of None is none at all."""

    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Record:
    """Note in the ledger that a conversation was moved."""

    message_id: str
    interaction_id: str
    destination_uri: str


@dataclass(frozen=True, slots=True)
class Send:
    """Write this text frame to the client that is connected to the channel."""

    channel_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Hangup:
    """Close the channel's socket in due form; only the one of number `connection`, if given."""

    channel_id: str
    code: int
    reason: str
    connection: int | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """Act upon a request that came at `received_at` (seconds since the epoch)."""

    request: Request
    subject: str  # names this request for the dice
    received_at: float


@dataclass(frozen=True, slots=True)
class Settle:
    """End a command that was accepted: carry it out, or let it fail as was drawn."""

    conversation_id: str
    command_id: str


@dataclass(frozen=True, slots=True)
class Pick:
    """Let the user whom a conversation alerts take it."""

    conversation_id: str
    participant_id: str


Step = Work | Settle | Pick
"""What the mind is to be asked again, when it is due."""

Action = Reply | Cut | Record | Send | Hangup | Step
Decisions = tuple[tuple[float, Action], ...]
"""What to do, each after a delay in seconds."""
