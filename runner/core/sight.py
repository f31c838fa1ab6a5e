"""What a look-up before a delivery says about a transfer (protocol.md, "REST", Preflight)."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum, auto

from runner.core.reasons import Reason
from runner.core.transfer import Event

READY_STATES = frozenset({"active", "queued"})
ENDED_STATES = frozenset({"completed", "abandoned"})


@dataclass(frozen=True, slots=True)
class Arrival:
    """A trace that a move left on the platform: a participant, or an entry of recent transfers.

    `is_done` False: the move is under way, and may yet fail.
    """

    id: str
    destination_uri: str | None  # None: the platform does not tell where to
    is_done: bool


@dataclass(frozen=True, slots=True)
class Interaction:
    """What a look-up saw (protocol.md, "REST"). `found` False: the gateway answered 404.

    A gateway that keeps no `last_transfer_id` may tell `arrivals`, and what else a delivery has to
    name of the interaction as it is now (`handles`: the participant that is to be replaced).
    `shows_effects` False: it bears no field that a move would change.
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


class Sight(Enum):
    """What follows for the transfer."""

    FIT = auto()  # a delivery may follow
    OURS = auto()  # a delivery of ours was carried out
    ENDED = auto()
    THERE = auto()
    MISSING = auto()
    STRANGE = auto()

    @property
    def event(self) -> Event | None:
        """The event that a transfer that awaits its delivery goes through; None: none."""
        return _EVENTS.get(self)

    @property
    def code(self) -> Reason | None:
        """The code of the outcome that it leads to; None: it leads to none."""
        return _CODES.get(self)


_EVENTS = {
    Sight.OURS: Event.SEEN,
    Sight.ENDED: Event.EXCLUDED,
    Sight.THERE: Event.EXCLUDED,
    Sight.MISSING: Event.DENIED,
    Sight.STRANGE: Event.DENIED,
}
_CODES = {
    Sight.ENDED: Reason.ENDED,
    Sight.THERE: Reason.ALREADY_THERE,
    Sight.MISSING: Reason.NOT_FOUND,
    Sight.STRANGE: Reason.UNKNOWN_STATE,
}


def judge_sight(
    seen: Interaction,
    *,
    destination_uri: str,
    message_ids: AbstractSet[str],
    preflight: bool,
    sent_before: bool = False,
) -> tuple[Sight, str | None]:
    """Return what a look-up says of a transfer whose deliveries bore `message_ids`, and why.

    Without `preflight` only the effect of a delivery of ours counts; that may show by the place
    alone where an earlier run sent it there (`sent_before`).
    """
    if seen.last_transfer_id is not None and seen.last_transfer_id in message_ids:
        return Sight.OURS, "an earlier delivery was carried out, by its id"
    if preflight:
        return _preflight(seen, destination_uri)
    if sent_before and seen.found and seen.destination_uri == destination_uri:
        return Sight.THERE, "already there, where an earlier run sent it"
    return Sight.FIT, None


def _preflight(seen: Interaction, destination_uri: str) -> tuple[Sight, str | None]:
    if not seen.found:
        return Sight.MISSING, "interaction not found"
    if seen.state in ENDED_STATES:
        return Sight.ENDED, f"interaction is {seen.state}"
    if seen.state not in READY_STATES:
        return Sight.STRANGE, f"interaction is in the unknown state {seen.state}"
    if seen.destination_uri == destination_uri:
        return Sight.THERE, "already there"
    return Sight.FIT, None
