"""A transfer's states, and the table of all transitions (recovery.md).

A transfer's class follows from its state: `transferred` is carried out; `sending`, `unknown` and
`resending` are unknown; every other state is certainly not carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from runner.core.transfer.outcome import Outcome


class State(StrEnum):
    """A transfer's state in the journal."""

    __hash__ = str.__hash__  # faster: an enumeration's own is Python code, and is called often

    READY = "ready"  # no delivery can have been carried out; the next may be sent
    SENDING = "sending"  # an intent is durable; its frame may have been sent
    UNKNOWN = "unknown"  # a delivery may have been carried out: in doubt
    RESENDING = "resending"  # in doubt, and the same id is being sent again
    TRANSFERRED = "transferred"
    REJECTED = "rejected"
    FAILED = "failed"
    SKIPPED = "skipped"


class Event(StrEnum):
    """What can happen to a transfer; the audit log has these names."""

    __hash__ = str.__hash__

    INTENT = "intent"  # a delivery's intent became durable
    WITHDRAWN = "withdrawn"  # its frame was certainly not written
    ACCEPTED = "accepted"  # a positive reply, for any delivery of the transfer
    LIMITED = "limited"  # "too fast": not carried out, may be tried again
    UNSUITED = "unsuited"  # the media are not supported: not carried out, the next matrix may be
    DENIED = "denied"  # a definite refusal
    LOST = "lost"  # no reply, or one without a meaning
    REPEATED = "repeated"  # the same id is sent again, to a gateway that dedupes
    SEEN = "seen"  # a look-up shows the effect
    CLEARED = "cleared"  # the fence is over and a look-up shows no effect
    EXCLUDED = "excluded"  # not to be done: ended, or already there
    EXHAUSTED = "exhausted"  # retries used up, nothing unknown
    VOUCHED = "vouched"  # a person states that it was carried out
    DISOWNED = "disowned"  # a person states that it was not


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
            Event.LIMITED: State.UNKNOWN,  # no evidence on the first delivery
            Event.UNSUITED: State.READY,  # answered like the first
            Event.DENIED: State.REJECTED,
            Event.LOST: State.UNKNOWN,
        },
        # Nothing undoes an effect; later events of deliveries under way end here.
        State.TRANSFERRED: {
            Event.WITHDRAWN: State.TRANSFERRED,
            Event.ACCEPTED: State.TRANSFERRED,
            Event.LIMITED: State.TRANSFERRED,
            Event.UNSUITED: State.TRANSFERRED,
            Event.DENIED: State.TRANSFERRED,
            Event.LOST: State.TRANSFERRED,
        },
        # Later evidence overrides a definite refusal or a person's statement.
        State.REJECTED: {Event.ACCEPTED: State.TRANSFERRED, Event.SEEN: State.TRANSFERRED},
        State.FAILED: {Event.ACCEPTED: State.TRANSFERRED, Event.SEEN: State.TRANSFERRED},
        State.SKIPPED: {Event.ACCEPTED: State.TRANSFERRED, Event.SEEN: State.TRANSFERRED},
    }
)

UNDER_WAY = frozenset({State.SENDING, State.RESENDING})
"""States in which a delivery's reply is still waited for."""

HELD = UNDER_WAY | {State.UNKNOWN}
"""States in which an interaction is held: no other transfer of it may begin."""

FINAL = frozenset({State.TRANSFERRED, State.REJECTED, State.FAILED, State.SKIPPED})
"""States in which a transfer is settled."""

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
"""The outcome that a run reports if it ends with a transfer in a state."""

NOT_BEGUN = OUTCOMES[State.READY]
"""What a run reports of a transfer that it did not take up."""


class ImpossibleEvent(Exception):
    """An event that the table does not allow in a state; nothing was changed."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"a transfer that is {state} cannot be {event}")
        self.state = state
        self.event = event


def step(state: State, event: Event) -> State:
    """Return the state after `event`. Raises `ImpossibleEvent` if the table has none."""
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
    """Return the event of a reply (protocol.md, "Reply"), with the gateway's further statuses.

    A code that contradicts the status makes it LOST: an error with a status that means carried out,
    or a success with one that means not carried out.
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
    """Return what the reply to a repeated message means for its first delivery.

    `event` is its meaning by itself. A refusal that may come from a proxy before the gateway
    (`FRONT_DOOR`) is LOST: the first delivery may have been carried out.
    """
    is_refusal = event in {Event.DENIED, Event.UNSUITED}
    return Event.LOST if is_refusal and (status in FRONT_DOOR or code in _DOOR_CODES) else event


TOO_MANY_REQUESTS = 429

_SUCCESSES, _ERRORS = range(200, 300), range(400, 600)

FRONT_DOOR = frozenset({"not_authorized", "format_invalid", "rate_limited"})
"""Statuses that refuse a message before its id is examined."""

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
