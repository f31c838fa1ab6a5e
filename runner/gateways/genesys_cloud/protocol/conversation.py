"""Reads conversations: where they are, who can be replaced, what has arrived.

Unknown fields are ignored; fields that a decision needs must be as documented, or the whole body
counts as unreadable (genesys-cloud.md, "Order of work", 3 and 5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from runner.core.frozen import frozen
from runner.core.manifest.queue_selection import is_id
from runner.core.timestamps import seconds_or_none
from runner.core.transfer.canonical_form import canonical_interaction, same_destination
from runner.core.transfer.lookup_verdict import PARTICIPANT, Arrival, Interaction
from runner.gateways.genesys_cloud.protocol.command import CALLBACK, queue_uri, user_uri

MEDIA = (
    "calls",
    "callbacks",
    "chats",
    "cobrowsesessions",
    "emails",
    "internalMessages",
    "messages",
    "screenshares",
    "socialExpressions",
    "videos",
)
"""The lists that hold a participant's communications."""

ENDED_STATES = frozenset({"disconnected", "terminated", "none"})
"""States of a communication that is over; any other state is live."""

_HERE = ("calls", "chats", "messages", "videos")
"""Media that end when the customer leaves; an e-mail or a callback goes on without them."""

_DONE = "complete"
FAILED = frozenset({"failed", "canceled", "timeout"})
"""States of a failed transfer; look-ups write them capitalised, events in lower case."""

_AGENTS = frozenset({"agent", "user"})
_OUTSIDE = frozenset({"external", "customer"})
_HELD = frozenset({"connected", "parked"})
"""States in which an agent holds a communication; a parked e-mail still belongs to the agent."""

_WATCHING = ("monitoredParticipantId", "screenMonitoredParticipantId", "coachedParticipantId")
"""Fields of a supervisor who only listens; one who barged in talks, and may hold it later."""

ID_LIMIT = 256
"""The most characters of an id."""

MOST = 2000
"""The most participants, communications or transfers of a conversation; more is unreadable."""


class _OddError(Exception):
    """A field that a decision needs is not as documented."""


@frozen
class Setback:
    """A failed transfer: its id, its state, and its destination if that is shown.

    `is_foreign`: a user gave the command, so it was not ours.
    """

    id: str
    state: str
    destination_uri: str | None
    is_foreign: bool


@frozen
class Reading:
    """The content of a conversation's body."""

    interaction: Interaction
    setbacks: tuple[Setback, ...] = ()
    # The recent transfers that no user began, failed or not.
    transfer_ids: frozenset[str] = frozenset()


@frozen
class _Participant:
    id: str
    purpose: str
    queue_id: str | None
    user_id: str | None
    address: str | None
    media: Mapping[str, tuple[str, ...]]  # the states of its communications, by medium
    is_gone: bool  # it has an end
    ended_at: float | None  # when, in seconds since the epoch; None: not yet, or unknown
    was_connected: bool
    is_consulted: bool  # a consultation leg: holds the customer only when no other does
    is_watching: bool  # a supervisor who listens or coaches
    is_barging: bool

    @property
    def is_live(self) -> bool:
        states = [state for each in self.media.values() for state in each]
        if self.is_gone:
            return False
        return any(state not in ENDED_STATES for state in states) if states else True

    @property
    def is_connected(self) -> bool:
        return self.is_live and any(not _HELD.isdisjoint(each) for each in self.media.values())

    @property
    def could_hold(self) -> bool:
        """Whether it holds the customer, or may have before it ended."""
        is_beside = self.is_consulted or self.is_watching or self.is_barging
        return not is_beside and (self.purpose == "acd" or self.purpose in _AGENTS)

    @property
    def uri(self) -> str | None:
        """The place of a conversation that this participant holds."""
        if self.purpose == "acd":
            return queue_uri(self.queue_id) if self.queue_id else None
        if self.purpose in _AGENTS:
            return user_uri(self.user_id) if self.user_id else None
        return self.address if self.purpose == "external" else None


def read_conversation(
    body: object, conversation_id: str, date_s: float | None = None
) -> Reading | None:
    """Read the body of the conversation that was asked for; None if it is unreadable."""
    try:
        fields = _mapping(body)
        if canonical_interaction(_id(fields, "id")) != canonical_interaction(conversation_id):
            return None
        participants = [_participant(each) for each in _list(fields, "participants")]
        arrivals, setbacks = _transfers(fields)
    except _OddError:
        return None
    has_ended = fields.get("endTime") is not None
    at = _holder(participants)
    state = _state(participants, at, has_ended=has_ended)
    seen = Interaction(
        conversation_id,
        found=True,
        state=state,
        destination_uri=at.uri if at is not None else _outside(participants),
        date_s=date_s,
        arrivals=(*_arrived(participants, at), *arrivals),
        handles=None if at is None else _handles(at, participants),
    )
    ids = {each.id for each in arrivals if not each.by_user}
    ids |= {each.id for each in setbacks if not each.is_foreign}
    return respelled(Reading(seen, tuple(setbacks), frozenset(ids)), _places(participants))


def find_served_by(body: object, conversation_id: str, user_id: str) -> str | None:
    """Return the participant id of a user who holds a conversation; None: not held, or unreadable."""
    reading = read_conversation(body, conversation_id)
    if reading is None:
        return None
    if not same_destination(reading.interaction.destination_uri, user_uri(user_id)):
        return None
    return (reading.interaction.handles or {}).get(PARTICIPANT)


def respelled(reading: Reading, spelled: Mapping[str, str]) -> Reading:
    """Return a reading with its places spelled as in the manifest.

    `spelled` has the manifest's spellings by their lower-case form: ids may differ in case. The
    address of a transfer may be a bare id of a queue or user, or a number without its scheme.
    """

    def as_written(uri: str | None) -> str | None:
        if uri is None:
            return None
        starts = (*_STARTS, "") if is_id(uri) else ("", *_SCHEMES)
        places = (spelled.get(f"{start}{uri}".casefold()) for start in starts)
        return next((place for place in places if place is not None), uri)

    seen = reading.interaction
    arrivals = (
        replace(each, destination_uri=as_written(each.destination_uri)) for each in seen.arrivals
    )
    setbacks = (
        replace(each, destination_uri=as_written(each.destination_uri)) for each in reading.setbacks
    )
    at = as_written(seen.destination_uri)
    interaction = replace(seen, destination_uri=at, arrivals=tuple(arrivals))
    return replace(reading, interaction=interaction, setbacks=tuple(setbacks))


_STARTS = (queue_uri(""), user_uri(""))
_SCHEMES = ("tel:", "sip:", "sips:")


def _places(participants: list[_Participant]) -> dict[str, str]:
    """Return the places of participants by their lower-case form, for `respelled`."""
    return {each.uri.casefold(): each.uri for each in participants if each.uri is not None}


def _holder(participants: list[_Participant]) -> _Participant | None:
    """Return the participant to replace: the agent who holds the customer, else the queue.

    Of several agents the first, who called the others in. A consulted agent only once all others
    have left: then the consultation leg holds the customer.
    """
    parties = [p for p in participants if not p.is_watching and p is not _caller(participants)]
    for candidates in (
        [p for p in parties if not p.is_consulted and not p.is_barging],
        [p for p in parties if not p.is_consulted],
        parties,
    ):
        talking = [p for p in candidates if p.purpose in _AGENTS and p.is_connected]
        if talking:
            return talking[0]
        waiting = [p for p in candidates if p.purpose == "acd" and p.is_live]
        if waiting:
            return waiting[-1]
    return None


def _caller(participants: list[_Participant]) -> _Participant | None:
    """Return the user who called internally; None: an outside party takes part."""
    if any(p.purpose in _OUTSIDE for p in participants):
        return None
    first = next(iter(participants), None)
    return first if first is not None and first.purpose in _AGENTS else None


def _state(
    participants: list[_Participant], holder: _Participant | None, *, has_ended: bool
) -> str:
    live = [p for p in participants if p.is_live]
    if has_ended or not live or _customer_left(participants):
        return "completed"
    return "queued" if holder is not None and holder.purpose == "acd" else "active"


def _customer_left(participants: list[_Participant]) -> bool:
    """Return whether the customer has left a conversation that ends without them."""
    inside = [p for p in participants if p.purpose not in _OUTSIDE and p.is_live]
    media = {medium for p in inside for medium, states in p.media.items() if states}
    if not media or not media <= set(_HERE):
        return False
    outside = [p for p in participants if p.purpose in _OUTSIDE and not p.is_consulted]
    return bool(outside) and not any(p.is_live for p in outside)


def _outside(participants: list[_Participant]) -> str | None:
    """Return the outside address that holds a conversation without a participant inside."""
    if not any(p.purpose == "customer" for p in participants):
        return None  # then the outside one is the customer
    outside = [p for p in participants if p.purpose == "external" and not p.is_consulted]
    live = [p.address for p in outside if p.is_live]
    return live[-1] if live else None


def _handles(holder: _Participant, participants: list[_Participant]) -> dict[str, str]:
    is_callback = any(p.media.get("callbacks") and p.is_live for p in participants)
    return {PARTICIPANT: holder.id, **({CALLBACK: "yes"} if is_callback else {})}


def _arrived(participants: list[_Participant], holder: _Participant | None) -> Iterator[Arrival]:
    """Yield participants as arrivals of moves: at a queue at once, else once connected.

    While somebody who came earlier still holds the customer, or held them to the end of a leg, the
    customer has not arrived: a leg of a queue may have died at once, and a colleague may only have
    been called in. Consulted and watching participants are not arrivals; a consultation leg that
    holds the customer is a move by an agent.
    """
    last = len(participants) if holder is None else participants.index(holder)
    for n, each in enumerate(participants):
        if each.uri is None or each.is_watching or each.is_barging:
            continue
        is_done = n <= last and (each.purpose == "acd" or each.was_connected)
        is_done = is_done and not _is_outlived(each, participants[:n])
        if not (is_done or each.is_live):
            continue  # it rang and was never answered
        if not each.is_consulted:
            yield Arrival(each.id, each.uri, is_done)
        elif each is holder:
            yield Arrival(each.id, each.uri, is_done, by_user=True)


def _is_outlived(leg: _Participant, earlier: list[_Participant]) -> bool:
    """Return whether a leg ended no later than one that came before it and may have held the customer."""
    ended_at = leg.ended_at
    if leg.is_live or ended_at is None:
        return False
    ends = (each.ended_at for each in earlier if each.could_hold and not each.is_live)
    return any(end is not None and end >= ended_at for end in ends)


def _transfers(fields: Mapping[str, Any]) -> tuple[list[Arrival], list[Setback]]:
    arrivals, setbacks = [], []
    for each in map(_mapping, _list(fields, "recentTransfers", needed=False)):
        transfer_id, spelled_state = _id(each, "id", needed=True), each.get("state")
        if not isinstance(spelled_state, str):
            raise _OddError
        state, destination_uri = spelled_state.lower(), _destination(each)
        if state in FAILED:
            setbacks.append(Setback(transfer_id, state, destination_uri, _by_a_user(each)))
        else:  # Pending, Active, Unknown and undocumented states: it may yet fail
            arrivals.append(
                Arrival(transfer_id, destination_uri, state == _DONE, by_user=_by_a_user(each))
            )
    return arrivals, setbacks


def _destination(transfer: Mapping[str, Any]) -> str | None:
    fields = transfer.get("destination")
    if fields is None:
        return None
    destination = _mapping(fields)
    user_id, address = _id(destination, "userId"), destination.get("address")
    if not isinstance(address, str | None):
        raise _OddError
    return user_uri(user_id) if user_id else address or None


def _by_a_user(transfer: Mapping[str, Any]) -> bool:
    initiator = transfer.get("initiator")
    return isinstance(initiator, dict) and bool(initiator.get("userId"))


def _participant(body: object) -> _Participant:
    fields = _mapping(body)
    purpose, address = fields.get("purpose"), fields.get("address")
    if not isinstance(purpose, str | None):
        raise _OddError
    communications = {
        medium: [_mapping(each) for each in _list(fields, medium, needed=False)] for medium in MEDIA
    }
    media = {medium: tuple(map(_communication, each)) for medium, each in communications.items()}
    # A participant's own time is that of its joining the conversation, as one that rings has too.
    legs = [each for found in communications.values() for each in found] or [fields]
    was_connected = any("connected" in states for states in media.values()) or any(
        each.get("connectedTime") is not None for each in legs
    )
    return _Participant(
        _id(fields, "id", needed=True),
        (purpose or "").lower(),
        _id(fields, "queueId") or _id_within(fields, "queue"),
        _id(fields, "userId") or _id_within(fields, "user"),
        address if isinstance(address, str) and address else None,
        media,
        fields.get("endTime") is not None,
        _ended_at(fields, [each for found in communications.values() for each in found]),
        was_connected,
        bool(_id(fields, "consultParticipantId")),
        any(_id(fields, name) for name in _WATCHING),
        bool(_id(fields, "bargedParticipantId")),
    )


def _ended_at(fields: Mapping[str, Any], communications: list[Mapping[str, Any]]) -> float | None:
    """Return when the last communication of a participant ended, else when it left."""
    ends = [_time(each, "disconnectedTime") for each in communications]
    known = [end for end in ends if end is not None]
    return max(known) if known and len(known) == len(ends) else _time(fields, "endTime")


def _time(fields: Mapping[str, Any], name: str) -> float | None:
    """Return a time; None if there is none that can be read: no decision needs it."""
    value = fields.get(name)
    return seconds_or_none(value) if isinstance(value, str) else None


def _communication(fields: Mapping[str, Any]) -> str:
    state = fields.get("state")
    if state is None:  # left out where it has ended
        return "none" if fields.get("disconnectedTime") is not None else "connected"
    if not isinstance(state, str):
        raise _OddError
    return state.lower()


def _mapping(body: object) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise _OddError
    return body


def _list(fields: Mapping[str, Any], name: str, *, needed: bool = True) -> list[Any]:
    value = fields.get(name)
    if value is None and not needed:
        return []
    if not isinstance(value, list) or len(value) > MOST:
        raise _OddError
    return value


def _id(fields: Mapping[str, Any], name: str, *, needed: bool = False) -> str:
    value = fields.get(name)
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or len(value) > ID_LIMIT or (needed and not value):
        raise _OddError
    return value


def _id_within(fields: Mapping[str, Any], name: str) -> str | None:
    """Return the id in a nested object, as notifications have it."""
    value = fields.get(name)
    return _id(value, "id") or None if isinstance(value, dict) else None
