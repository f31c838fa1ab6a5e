"""Conversations and their participants, and the effect of a command on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.core.frozen import frozen
from runner.simulator.genesys_cloud.entities import make_id

MEDIA = ("call", "message", "email", "callback")
COLLECTIONS = {"call": "calls", "message": "messages", "email": "emails", "callback": "callbacks"}
"""A participant's list of communications, by media type."""

_RECENT = 20
_TELEPHONE_SCHEMES = ("sip:", "sips:", "tel:")


@frozen
class Destination:
    """The destination of a command; exactly one field is set."""

    queue_id: str | None = None
    user_id: str | None = None
    address: str | None = None

    @property
    def uri(self) -> str:
        """The destination URI, as in manifests."""
        if self.queue_id is not None:
            return f"genesys://queue/{self.queue_id}"
        if self.user_id is not None:
            return f"genesys://user/{self.user_id}"
        address = self.address or ""
        return address if address.lower().startswith(_TELEPHONE_SCHEMES) else f"tel:{address}"

    @classmethod
    def of(cls, uri: str) -> Destination:
        """Return the destination of a URI."""
        kind, _, entity_id = uri.removeprefix("genesys://").partition("/")
        if not uri.startswith("genesys://"):
            return cls(address=uri)
        return cls(queue_id=entity_id) if kind == "queue" else cls(user_id=entity_id)


@dataclass(slots=True)
class Participant:
    """A participant; times are seconds since the epoch."""

    id: str
    purpose: str
    started_at: float
    state: str = "connected"
    queue_id: str | None = None
    user_id: str | None = None
    address: str | None = None
    connected_at: float | None = None
    ended_at: float | None = None
    consults_for: str | None = None  # the participant who consults this one

    @property
    def is_active(self) -> bool:
        """Whether it is in the conversation now."""
        return self.state != "disconnected"

    def leave(self, at: float) -> None:
        """Disconnect."""
        self.state, self.ended_at = "disconnected", at

    def join(self, at: float) -> None:
        """Connect."""
        self.state, self.connected_at = "connected", at


@dataclass(slots=True)
class Command:
    """An entry of `recentTransfers`; `end` is its final state."""

    id: str
    destination: Destination
    issued_at: float
    transfer_type: str = "Unattended"
    state: str = "Pending"
    end: str = "Complete"
    user_id: str | None = None  # who gave the command; None: a client
    replaced: str | None = None  # the participant to replace


@dataclass(slots=True)
class Conversation:
    """A live contact. `media` is one of `MEDIA`."""

    id: str
    media: str
    started_at: float
    participants: list[Participant] = field(default_factory=list)
    commands: deque[Command] = field(default_factory=lambda: deque(maxlen=_RECENT))
    ended_at: float | None = None
    address_from: str = ""
    address_to: str = ""
    skill_id: str | None = None
    language_id: str | None = None
    priority: int = 0
    earlier_view: Mapping[str, Any] | None = None  # what look-ups show until `hidden_until`
    hidden_until: float = 0.0

    def find(self, participant_id: str) -> Participant | None:
        """Return the participant of that id."""
        return next((one for one in self.participants if one.id == participant_id), None)

    def find_command(self, command_id: str) -> Command | None:
        """Return the recent command of that id; None if it is too old."""
        return next((one for one in self.commands if one.id == command_id), None)

    def holders(self) -> list[Participant]:
        """Return the active participants other than the customer."""
        return [one for one in self.participants if one.purpose != "customer" and one.is_active]

    def add(self, purpose: str, at: float, **more: Any) -> Participant:
        """Add a participant."""
        participant_id = make_id(self.id, "participant", len(self.participants))
        participant = Participant(participant_id, purpose, at, **more)
        self.participants.append(participant)
        return participant

    def end(self, at: float) -> None:
        """End the conversation: every active participant leaves, the customer first."""
        self.ended_at = at
        for participant in self.participants:
            if participant.is_active:
                participant.leave(at)

    def move(self, destination: Destination, at: float, replaced: str | None = None) -> Participant:
        """Replace the holder of the conversation by the destination.

        If `replaced` is only consulted, it alone is replaced: the customer stays.
        """
        named = None if replaced is None else self.find(replaced)
        consulted = named is not None and named.consults_for is not None
        for holder in self.holders():
            if not consulted or holder is named:
                holder.leave(at)
        if destination.queue_id is not None:
            return self.add("acd", at, queue_id=destination.queue_id, connected_at=at)
        if destination.user_id is not None:
            return self.add("agent", at, user_id=destination.user_id, state="alerting")
        return self.add("external", at, address=destination.address, connected_at=at)
