"""Decides from a look-up before a delivery what follows (protocol.md, "REST", Preflight)."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import field
from enum import Enum, auto
from typing import Any

from runner.core.frozen import frozen
from runner.core.transfer.canonical_form import same_destination
from runner.core.transfer.reasons import WORDS, Code
from runner.core.transfer.states import Event

WAITING_STATE = "queued"
READY_STATES = frozenset({"active", WAITING_STATE})
ENDED_STATES = frozenset({"completed", "abandoned"})


@frozen
class Arrival:
    """A trace of a move on the platform: a participant, or an entry of recent transfers.

    With `is_done` False the move is under way and may still fail. `by_user` is whether a person gave
    the command; None if there is no command, or unknown.
    """

    id: str
    destination_uri: str | None  # None: the platform does not report it
    is_done: bool
    by_user: bool | None = field(default=None, compare=False)


PARTICIPANT = "participant_id"
"""The handle with the participant to replace."""

NO_LONGER_WAITING = "no longer waiting in"
NO_LONGER_SERVED = "no longer with the agent who served it in"
NO_LONGER_HELD = "no longer with"
"""Beginnings of the reasons if a selected interaction has moved on; a queue's or user's name follows."""


@frozen
class FoundAt:
    """Where a selection found an interaction, which may be moved only from there.

    `name` is the queue's name in the manifest, or that of a user who served it whatever its queue.
    `participant_id` is the leg of the agent who served the interaction, and is to be replaced;
    None: the interaction waited.
    """

    destination_uri: str
    name: str
    participant_id: str | None = None

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> FoundAt:
        """Return the value that `to_json` encoded."""
        return cls(kept["destination_uri"], kept["name"], kept.get("participant_id"))

    def to_json(self) -> dict[str, Any]:
        """Return the form for plan files and journals."""
        served = {} if self.participant_id is None else {"participant_id": self.participant_id}
        return {"destination_uri": self.destination_uri, "name": self.name, **served}

    def departed(self, seen: Interaction) -> str | None:
        """Return as text how an interaction has left the place; None if it is still there."""
        if self.participant_id is not None:
            is_here = (seen.handles or {}).get(PARTICIPANT) == self.participant_id
            is_of_user = self.destination_uri.startswith("genesys://user/")
            gone = NO_LONGER_HELD if is_of_user else NO_LONGER_SERVED
            return None if is_here else f"{gone} {self.name}"
        at = (seen.destination_uri or "").casefold()
        if seen.state == WAITING_STATE and at == self.destination_uri.casefold():
            return None
        return f"{NO_LONGER_WAITING} {self.name}"


@frozen
class Interaction:
    """What a look-up saw (protocol.md, "REST"). `found` False: the gateway answered 404.

    A gateway without `last_transfer_id` may report `arrivals`, and `handles` that a delivery needs,
    such as the participant to replace. With `shows_effects` False, no field shows a move. `refusal`
    is the gateway's text if it does not show this interaction to this client.
    """

    interaction_id: str
    found: bool
    state: str | None = None
    destination_uri: str | None = None
    last_transfer_id: str | None = None
    date_s: float | None = None  # the answer's `Date` header, seconds since the epoch
    arrivals: tuple[Arrival, ...] = ()
    handles: Mapping[str, str] | None = None
    shows_effects: bool = True
    refusal: str | None = None


class LookupVerdict(Enum):
    """What follows from a look-up for the transfer."""

    TRANSFERABLE = auto()  # a delivery may follow
    CARRIED_OUT = auto()  # a delivery of ours was carried out
    ENDED = auto()
    ALREADY_THERE = auto()
    NO_LONGER_WAITING = auto()  # no longer where a selection found it
    MOVED_ON = auto()  # not where its row expects it
    BEING_SERVED = auto()  # where its row expects it, and somebody is serving it
    DESTINATION_UNSEEN = auto()  # no destination is shown, and its row expects one
    MISSING = auto()
    HIDDEN = auto()  # not shown to this client
    STATE_UNKNOWN = auto()

    @property
    def event(self) -> Event | None:
        """The event for a transfer that waits for its delivery, or None."""
        return _EVENTS.get(self)

    @property
    def code(self) -> Code | None:
        """The cause of the outcome, or None."""
        return _CODES.get(self)


_EVENTS = {
    LookupVerdict.CARRIED_OUT: Event.SEEN,
    LookupVerdict.ENDED: Event.EXCLUDED,
    LookupVerdict.ALREADY_THERE: Event.EXCLUDED,
    LookupVerdict.NO_LONGER_WAITING: Event.EXCLUDED,
    LookupVerdict.MOVED_ON: Event.EXCLUDED,
    LookupVerdict.BEING_SERVED: Event.EXCLUDED,
    LookupVerdict.DESTINATION_UNSEEN: Event.DENIED,
    LookupVerdict.MISSING: Event.DENIED,
    LookupVerdict.HIDDEN: Event.DENIED,
    LookupVerdict.STATE_UNKNOWN: Event.DENIED,
}
_CODES = {
    LookupVerdict.CARRIED_OUT: Code.FOUND_CARRIED_OUT,
    LookupVerdict.ENDED: Code.INTERACTION_ENDED,
    LookupVerdict.ALREADY_THERE: Code.ALREADY_THERE,
    LookupVerdict.NO_LONGER_WAITING: Code.NO_LONGER_WAITING,
    LookupVerdict.MOVED_ON: Code.MOVED_ON,
    LookupVerdict.BEING_SERVED: Code.BEING_SERVED,
    LookupVerdict.DESTINATION_UNSEEN: Code.DESTINATION_UNSEEN,
    LookupVerdict.MISSING: Code.INTERACTION_MISSING,
    LookupVerdict.HIDDEN: Code.INTERACTION_HIDDEN,
    LookupVerdict.STATE_UNKNOWN: Code.INTERACTION_STATE_UNKNOWN,
}


def judge_lookup(
    seen: Interaction,
    *,
    destination_uri: str,
    message_ids: AbstractSet[str],
    preflight: bool,
    sent_before: bool = False,
    found_at: FoundAt | None = None,
    expected_destination_uri: str | None = None,
) -> tuple[LookupVerdict, str | None]:
    """Return the verdict on a transfer with earlier deliveries `message_ids`, and the reason.

    Without `preflight` only the effect of an earlier delivery counts; if an earlier run sent it to
    the same place (`sent_before`), the place alone shows the effect. A selected interaction
    (`found_at`) is fit only where it was found, with `preflight` or without; one with an
    `expected_destination_uri` only where it is expected, and while it waits.
    """
    if seen.last_transfer_id is not None and seen.last_transfer_id in message_ids:
        return LookupVerdict.CARRIED_OUT, "an earlier delivery was carried out, by its id"
    if seen.refusal is not None:
        return LookupVerdict.HIDDEN, seen.refusal
    verdict: tuple[LookupVerdict, str | None] = LookupVerdict.TRANSFERABLE, None
    if preflight or expected_destination_uri is not None:
        verdict = _preflight(seen, destination_uri)
    elif sent_before and seen.found and same_destination(seen.destination_uri, destination_uri):
        verdict = LookupVerdict.ALREADY_THERE, "already there, where an earlier run sent it"
    if verdict[0] is LookupVerdict.TRANSFERABLE and expected_destination_uri is not None:
        verdict = _expected(seen, expected_destination_uri)
    if verdict[0] is LookupVerdict.TRANSFERABLE and found_at is not None and seen.found:
        departed = found_at.departed(seen)
        return verdict if departed is None else (LookupVerdict.NO_LONGER_WAITING, departed)
    return verdict


def _expected(seen: Interaction, destination_uri: str) -> tuple[LookupVerdict, str | None]:
    """Return whether a live interaction is where its row expects it, and not being served."""
    if not seen.destination_uri:
        return LookupVerdict.DESTINATION_UNSEEN, WORDS[Code.DESTINATION_UNSEEN]
    if not same_destination(seen.destination_uri, destination_uri):
        return LookupVerdict.MOVED_ON, f"moved on: it is at {seen.destination_uri}"
    if seen.state != WAITING_STATE:
        return LookupVerdict.BEING_SERVED, WORDS[Code.BEING_SERVED]
    return LookupVerdict.TRANSFERABLE, None


def _preflight(seen: Interaction, destination_uri: str) -> tuple[LookupVerdict, str | None]:
    if not seen.found:
        return LookupVerdict.MISSING, "interaction not found"
    if seen.state in ENDED_STATES:
        return LookupVerdict.ENDED, f"interaction is {seen.state}"
    if seen.state not in READY_STATES:
        return LookupVerdict.STATE_UNKNOWN, f"interaction is in the unknown state {seen.state}"
    if same_destination(seen.destination_uri, destination_uri):
        return LookupVerdict.ALREADY_THERE, "already there"
    return LookupVerdict.TRANSFERABLE, None
