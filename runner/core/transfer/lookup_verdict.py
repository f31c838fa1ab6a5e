"""What a look-up before a delivery says about a transfer (protocol.md, "REST", Preflight)."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from runner.core.transfer.canonical_form import same_destination
from runner.core.transfer.reasons import Code
from runner.core.transfer.states import Event

WAITING_STATE = "queued"
READY_STATES = frozenset({"active", WAITING_STATE})
ENDED_STATES = frozenset({"completed", "abandoned"})


@dataclass(frozen=True, slots=True)
class Arrival:
    """A trace that a move left on the platform: a participant, or an entry of recent transfers.

    `is_done` False: the move is under way, and may yet fail. `by_user`: of a command, whether a
    person gave it; None: no command, or not known whose.
    """

    id: str
    destination_uri: str | None  # None: the platform does not report it
    is_done: bool
    by_user: bool | None = field(default=None, compare=False)


PARTICIPANT = "participant_id"
"""The handle that names the participant who is to be replaced."""

NO_LONGER_WAITING = "no longer waiting in"
NO_LONGER_SERVED = "no longer with the agent who served it in"
"""How the reasons begin for what a selection found and others moved on; a queue follows."""


@dataclass(frozen=True, slots=True)
class FoundAt:
    """Where a selection found an interaction; it may be moved away from there alone.

    `name` is the queue as the manifest calls it. `participant_id`: the agent's leg that is to be
    replaced, where the interaction was being served; None: it waited.
    """

    destination_uri: str
    name: str
    participant_id: str | None = None

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> FoundAt:
        """Return what `to_json` returned."""
        return cls(kept["destination_uri"], kept["name"], kept.get("participant_id"))

    def to_json(self) -> dict[str, Any]:
        """Return the form that plan files and journals keep."""
        served = {} if self.participant_id is None else {"participant_id": self.participant_id}
        return {"destination_uri": self.destination_uri, "name": self.name, **served}

    def departed(self, seen: Interaction) -> str | None:
        """Return in words how an interaction has left the place; None: it is still there."""
        if self.participant_id is not None:
            is_here = (seen.handles or {}).get(PARTICIPANT) == self.participant_id
            return None if is_here else f"{NO_LONGER_SERVED} {self.name}"
        at = (seen.destination_uri or "").casefold()
        if seen.state == WAITING_STATE and at == self.destination_uri.casefold():
            return None
        return f"{NO_LONGER_WAITING} {self.name}"


@dataclass(frozen=True, slots=True)
class Interaction:
    """What a look-up saw (protocol.md, "REST"). `found` False: the gateway answered 404.

    A gateway that keeps no `last_transfer_id` may report `arrivals`, and what else a delivery has to
    name of the interaction as it is now (`handles`: the participant that is to be replaced).
    `shows_effects` False: it has no field that a move would change. `refusal`: the gateway does
    not show this one interaction to this client, and says so in these words.
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
    """What follows for the transfer."""

    FIT = auto()  # a delivery may follow
    OURS = auto()  # a delivery of ours was carried out
    ENDED = auto()
    THERE = auto()
    ELSEWHERE = auto()  # not where a selection found it any more
    MISSING = auto()
    HIDDEN = auto()  # not shown to this client
    STRANGE = auto()

    @property
    def event(self) -> Event | None:
        """The event that a transfer that awaits its delivery goes through; None: none."""
        return _EVENTS.get(self)

    @property
    def code(self) -> Code | None:
        """The cause of what follows; None: nothing has to be explained."""
        return _CODES.get(self)


_EVENTS = {
    LookupVerdict.OURS: Event.SEEN,
    LookupVerdict.ENDED: Event.EXCLUDED,
    LookupVerdict.THERE: Event.EXCLUDED,
    LookupVerdict.ELSEWHERE: Event.EXCLUDED,
    LookupVerdict.MISSING: Event.DENIED,
    LookupVerdict.HIDDEN: Event.DENIED,
    LookupVerdict.STRANGE: Event.DENIED,
}
_CODES = {
    LookupVerdict.OURS: Code.FOUND_CARRIED_OUT,
    LookupVerdict.ENDED: Code.INTERACTION_ENDED,
    LookupVerdict.THERE: Code.ALREADY_THERE,
    LookupVerdict.ELSEWHERE: Code.NO_LONGER_WAITING,
    LookupVerdict.MISSING: Code.INTERACTION_MISSING,
    LookupVerdict.HIDDEN: Code.INTERACTION_HIDDEN,
    LookupVerdict.STRANGE: Code.INTERACTION_STATE_UNKNOWN,
}


def judge_lookup(
    seen: Interaction,
    *,
    destination_uri: str,
    message_ids: AbstractSet[str],
    preflight: bool,
    sent_before: bool = False,
    found_at: FoundAt | None = None,
) -> tuple[LookupVerdict, str | None]:
    """Return what a look-up says of a transfer whose deliveries have `message_ids`, and why.

    Without `preflight` only the effect of a delivery of ours counts; that may show by the place
    alone where an earlier run sent it there (`sent_before`). What a selection found (`found_at`) is
    fit only where it was found, with `preflight` or without.
    """
    if seen.last_transfer_id is not None and seen.last_transfer_id in message_ids:
        return LookupVerdict.OURS, "an earlier delivery was carried out, by its id"
    if seen.refusal is not None:
        return LookupVerdict.HIDDEN, seen.refusal
    sight: tuple[LookupVerdict, str | None] = LookupVerdict.FIT, None
    if preflight:
        sight = _preflight(seen, destination_uri)
    elif sent_before and seen.found and same_destination(seen.destination_uri, destination_uri):
        sight = LookupVerdict.THERE, "already there, where an earlier run sent it"
    if sight[0] is LookupVerdict.FIT and found_at is not None and seen.found:
        departed = found_at.departed(seen)
        return sight if departed is None else (LookupVerdict.ELSEWHERE, departed)
    return sight


def _preflight(seen: Interaction, destination_uri: str) -> tuple[LookupVerdict, str | None]:
    if not seen.found:
        return LookupVerdict.MISSING, "interaction not found"
    if seen.state in ENDED_STATES:
        return LookupVerdict.ENDED, f"interaction is {seen.state}"
    if seen.state not in READY_STATES:
        return LookupVerdict.STRANGE, f"interaction is in the unknown state {seen.state}"
    if same_destination(seen.destination_uri, destination_uri):
        return LookupVerdict.THERE, "already there"
    return LookupVerdict.FIT, None
