"""A gateway listener that records what it is called with."""

from __future__ import annotations

from dataclasses import dataclass, field

from runner.core.transfer.message import Reply, StrayFrame
from runner.ports import SessionLost, SessionOpened


@dataclass
class RecordingListener:
    """Implements `ports.GatewayListener`; keeps every call's value, in order."""

    replies: list[Reply] = field(default_factory=list)
    strays: list[StrayFrame] = field(default_factory=list)
    opened: list[SessionOpened] = field(default_factory=list)
    lost: list[SessionLost] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    pauses: list[tuple[float | None, str]] = field(default_factory=list)

    def replied(self, reply: Reply) -> None:
        """Keep a reply."""
        self.replies.append(reply)

    def strayed(self, stray: StrayFrame) -> None:
        """Keep a stray frame."""
        self.strays.append(stray)

    def session_opened(self, opened: SessionOpened) -> None:
        """Keep that a session opened."""
        self.opened.append(opened)

    def session_lost(self, lost: SessionLost) -> None:
        """Keep that a session ended."""
        self.lost.append(lost)

    def gave_up(self, error: Exception) -> None:
        """Keep why no session can be had."""
        self.errors.append(error)

    def slowed(self, why: str) -> None:
        """Keep that the gateway asked for a slower pace."""
        self.pauses.append((None, why))

    def paused(self, wait_s: float, why: str) -> None:
        """Keep that the gateway asked for silence."""
        self.pauses.append((wait_s, why))
