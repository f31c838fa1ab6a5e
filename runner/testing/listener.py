"""A gateway listener that records its calls."""

from __future__ import annotations

from dataclasses import dataclass, field

from runner.core.transfer.message import GatewayNote, Reply
from runner.ports import SessionLost, SessionOpened


@dataclass
class RecordingListener:
    """Implements `ports.GatewayListener`; keeps the value of every call, in order."""

    replies: list[Reply] = field(default_factory=list)
    notes: list[GatewayNote] = field(default_factory=list)
    opened: list[SessionOpened] = field(default_factory=list)
    lost: list[SessionLost] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    pauses: list[tuple[float | None, str]] = field(default_factory=list)

    def replied(self, reply: Reply) -> None:
        """Keep a reply."""
        self.replies.append(reply)

    def noted(self, note: GatewayNote) -> None:
        """Keep a note."""
        self.notes.append(note)

    def session_opened(self, opened: SessionOpened) -> None:
        """Keep the opening of a session."""
        self.opened.append(opened)

    def session_lost(self, lost: SessionLost) -> None:
        """Keep the end of a session."""
        self.lost.append(lost)

    def gave_up(self, error: Exception) -> None:
        """Keep the reason why no session can be opened."""
        self.errors.append(error)

    def slowed(self, why: str) -> None:
        """Keep a request for a slower rate."""
        self.pauses.append((None, why))

    def paused(self, wait_s: float, why: str) -> None:
        """Keep a request for a pause."""
        self.pauses.append((wait_s, why))
