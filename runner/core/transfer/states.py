"""A transfer's states, and the one table of what leads from each to the next (recovery.md).

A transfer's class follows from its state: `transferred` is carried out; `sending`, `unknown` and
`resending` are unknown; every other state is certainly not carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from runner.core.transfer.outcome import Outcome


class State(StrEnum):
    """Where a transfer stands, as the journal holds it."""

    __hash__ = str.__hash__  # an enumeration's own is Python code, asked for a dozen times each

    READY = "ready"  # no delivery of it can have been carried out; the next may leave
    SENDING = "sending"  # an intent is durable; its frame may have left
    UNKNOWN = "unknown"  # a delivery may have been carried out: in doubt
    RESENDING = "resending"  # in doubt, and the same id is on its way again
    TRANSFERRED = "transferred"
    REJECTED = "rejected"
    FAILED = "failed"
    SKIPPED = "skipped"


class Event(StrEnum):
    """What can happen to a transfer, as the audit log names it."""

    __hash__ = str.__hash__

    INTENT = "intent"  # a delivery's intent became durable
    WITHDRAWN = "withdrawn"  # its frame was certainly not written
    ACCEPTED = "accepted"  # a positive reply, for any delivery of the transfer
    LIMITED = "limited"  # "too fast": not carried out, may be tried again
    UNSUITED = "unsuited"  # the media do not suit: not carried out, the next matrix may
    DENIED = "denied"  # a definite no
    LOST = "lost"  # no reply, or one that says nothing
    REPEATED = "repeated"  # the same id goes out again, to a gateway that dedupes
    SEEN = "seen"  # a look-up shows the effect
    CLEARED = "cleared"  # the fence is over and a look-up shows there was none
    EXCLUDED = "excluded"  # not to be done: ended, or already there
    EXHAUSTED = "exhausted"  # retries used up, nothing unknown
    VOUCHED = "vouched"  # a person says it was carried out
    DISOWNED = "disowned"  # a person says it was not


TABLE: Mapping[State, Mapping[Event, State]] = MappingProxyType(
    {
        State.READY: {
            Event.INTENT: State.SENDING,
            Event.DENIED: State.REJECTED,
            Event.EXCLUDED: State.SKIPPED,
            Event.EXHAUSTED: State.FAILED,
            Event.SEEN: State.TRANSFERRED,
            Event.ACCEPTED: State.TRANSFERRED,
        },
        State.SENDING: {
            Event.WITHDRAWN: State.READY,
            Event.ACCEPTED: State.TRANSFERRED,
            Event.LIMITED: State.READY,
            Event.UNSUITED: State.READY,
            Event.DENIED: State.REJECTED,
            Event.LOST: State.UNKNOWN,
        },
        State.UNKNOWN: {
            Event.ACCEPTED: State.TRANSFERRED,
            Event.SEEN: State.TRANSFERRED,
            Event.CLEARED: State.READY,
            Event.REPEATED: State.RESENDING,
            Event.VOUCHED: State.TRANSFERRED,
            Event.DISOWNED: State.FAILED,
        },
        State.RESENDING: {
            Event.WITHDRAWN: State.UNKNOWN,
            Event.ACCEPTED: State.TRANSFERRED,
            Event.LIMITED: State.UNKNOWN,  # says nothing about the first delivery
            Event.UNSUITED: State.READY,  # answered as the first was
            Event.DENIED: State.REJECTED,
            Event.LOST: State.UNKNOWN,
        },
        # Nothing undoes an effect; what was still under way when it became known ends here.
        State.TRANSFERRED: {
            Event.WITHDRAWN: State.TRANSFERRED,
            Event.ACCEPTED: State.TRANSFERRED,
            Event.LIMITED: State.TRANSFERRED,
            Event.UNSUITED: State.TRANSFERRED,
            Event.DENIED: State.TRANSFERRED,
            Event.LOST: State.TRANSFERRED,
        },
        # Evidence that comes after a definite no, or after a person's word, overrides it.
        State.REJECTED: {Event.ACCEPTED: State.TRANSFERRED, Event.SEEN: State.TRANSFERRED},
        State.FAILED: {Event.ACCEPTED: State.TRANSFERRED, Event.SEEN: State.TRANSFERRED},
        State.SKIPPED: {Event.ACCEPTED: State.TRANSFERRED, Event.SEEN: State.TRANSFERRED},
    }
)

HELD = frozenset({State.SENDING, State.UNKNOWN, State.RESENDING})
"""States in which an interaction is held: no other transfer of it may begin."""

FINAL = frozenset({State.TRANSFERRED, State.REJECTED, State.FAILED, State.SKIPPED})
"""States in which a run is done with a transfer."""

OUTCOMES: Mapping[State, Outcome] = MappingProxyType(
    {
        State.READY: Outcome.UNATTEMPTED,
        State.SENDING: Outcome.IN_DOUBT,
        State.UNKNOWN: Outcome.IN_DOUBT,
        State.RESENDING: Outcome.IN_DOUBT,
        State.TRANSFERRED: Outcome.TRANSFERRED,
        State.REJECTED: Outcome.REJECTED,
        State.FAILED: Outcome.FAILED,
        State.SKIPPED: Outcome.SKIPPED,
    }
)
"""What a run that ends with a transfer in a state reports of it."""

NOT_BEGUN = OUTCOMES[State.READY]
"""What a run reports of a transfer that it did not take up."""


class ImpossibleEvent(Exception):
    """An event that the table does not know for a state; nothing was changed."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"a transfer that is {state} cannot be {event}")
        self.state = state
        self.event = event


def step(state: State, event: Event) -> State:
    """Return the state after `event`; raise `ImpossibleEvent` where the table knows none."""
    try:
        return TABLE[state][event]
    except KeyError:
        raise ImpossibleEvent(state, event) from None


def classify(
    status: str | None,
    code: int | None,
    *,
    carried_out: frozenset[str] = frozenset(),
    not_carried_out: frozenset[str] = frozenset(),
) -> Event:
    """Return what a reply means (protocol.md, "Reply"), the gateway's own statuses included.

    A code that contradicts the status leaves what happened unknown: an error beside a status that
    says carried out, or a success beside one that says not.
    """
    if status is None:
        return Event.LIMITED if code == TOO_MANY_REQUESTS else Event.LOST
    meaning = STATUSES.get(status)
    if meaning is None:
        in_doubt = Event.DENIED if status in not_carried_out else Event.LOST
        meaning = Event.ACCEPTED if status in carried_out else in_doubt
    if code is None or meaning is Event.LOST:
        return meaning
    if code in (_ERRORS if meaning is Event.ACCEPTED else _SUCCESSES):
        return Event.LOST
    return Event.LIMITED if code == TOO_MANY_REQUESTS else meaning


def classify_repeat(event: Event, status: str | None, code: int | None) -> Event:
    """Return what a reply to a message that was sent again says of the message's first delivery.

    `event` is what it means by itself. A refusal that whatever stands before the gateway may give
    (`FRONT_DOOR`) says nothing: the first delivery may have come through.
    """
    is_refusal = event in {Event.DENIED, Event.UNSUITED}
    return Event.LOST if is_refusal and (status in FRONT_DOOR or code in _DOOR_CODES) else event


TOO_MANY_REQUESTS = 429

_SUCCESSES, _ERRORS = range(200, 300), range(400, 600)

FRONT_DOOR = frozenset({"not_authorized", "format_invalid", "rate_limited"})
"""Statuses by which a message is refused before anybody looks at its id."""

_DOOR_CODES = frozenset({401, 403, TOO_MANY_REQUESTS, *range(500, 600)})

STATUSES: Mapping[str, Event] = MappingProxyType(
    {
        "codec_negotiated": Event.ACCEPTED,
        "transfer_initiated": Event.ACCEPTED,
        "codec_unsupported": Event.UNSUITED,
        "rate_limited": Event.LIMITED,
        "interaction_not_found": Event.DENIED,
        "interaction_terminated": Event.DENIED,
        "destination_unreachable": Event.DENIED,
        "destination_invalid": Event.DENIED,
        "format_invalid": Event.DENIED,
        "bandwidth_exceeded": Event.DENIED,
        "not_authorized": Event.DENIED,
        "transfer_rejected": Event.DENIED,
    }
)
"""The statuses that the protocol lists."""
