"""The requests to the platform's model, and its decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from runner.core.frozen import frozen
from runner.simulator.faults import Cut


@frozen
class Request:
    """An HTTP request; `query` has every value of a repeated name."""

    method: str
    path: str
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    authorization: str = ""
    content_type: str = ""
    body: bytes = b""


@frozen
class Reply:
    """Answer the request; None is an empty body."""

    status: int
    body: Any
    headers: Mapping[str, str]


@frozen
class Record:
    """Record a move in the ledger."""

    message_id: str
    interaction_id: str
    destination_uri: str


@frozen
class Send:
    """Write this text frame to the client that is connected to the channel."""

    channel_id: str
    text: str


@frozen
class Hangup:
    """Close the channel's socket with a handshake; if given, only the one numbered `connection`."""

    channel_id: str
    code: int
    reason: str
    connection: int | None = None


@frozen
class Work:
    """Process a request that came at `received_at` (seconds since the epoch)."""

    request: Request
    subject: str  # the request's name for the faults
    received_at: float


@frozen
class Settle:
    """Finish an accepted command: carry it out, or let it fail as drawn."""

    conversation_id: str
    command_id: str


@frozen
class Pick:
    """Let the alerted user answer a conversation."""

    conversation_id: str
    participant_id: str


@frozen
class Publish:
    """Tell subscribers what has changed in a queue."""

    queue_id: str


Step = Work | Settle | Pick | Publish
"""What the model processes when it is due."""

Action = Reply | Cut | Record | Send | Hangup | Step
Decisions = tuple[tuple[float, Action], ...]
"""What to do, each after a delay in seconds."""
