"""A conversation of the vendor's platform, read: where it is, who can be replaced, what arrived.

Unknown fields are passed over; what a judgement rests on must be as the vendor's documents say, or
the whole body counts as unreadable (genesys-cloud.md, "Order of work", 3 and 5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from runner.core.manifest.queue_selection import is_id
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
"""States of a communication that is over; one in any other may yet carry a word."""

_HERE = ("calls", "chats", "messages", "videos")
"""Media that end when the customer goes; an e-mail or a callback waits without them."""

_DONE = "complete"
FAILED = frozenset({"failed", "canceled", "timeout"})
"""States of a transfer that came to nothing; look-ups write them large, events small."""

_AGENTS = frozenset({"agent", "user"})
_OUTSIDE = frozenset({"external", "customer"})
_HELD = frozenset({"connected", "parked"})
"""States of an agent's communication that is his; an e-mail that he parked waits with him."""

_WATCHING = ("monitoredParticipantId", "screenMonitoredParticipantId", "coachedParticipantId")
"""What names whom a supervisor only listens to; one that barged in talks, and may hold it later."""

ID_LIMIT = 256
"""Characters that an id may have; a longer one is none."""

MOST = 2000
"""Participants, communications or transfers of one conversation that are read; more is odd."""


class _OddError(Exception):
    """Something that a judgement would rest on is not as it should be."""


@dataclass(frozen=True, slots=True)
class Setback:
    """A transfer that came to nothing: its id, how it ended, to whom it was to go, if that is fields.

    `is_foreign`: a user gave the command, so that it was not ours.
    """

    id: str
    state: str
    destination_uri: str | None
    is_foreign: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """What a conversation's body says."""

    interaction: Interaction
    setbacks: tuple[Setback, ...] = ()
    # Of the recent transfers that no user began, whatever came of them.
    transfer_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Participant:
    id: str
    purpose: str
    queue_id: str | None
    user_id: str | None
    address: str | None
    media: Mapping[str, tuple[str, ...]]  # the states of its communications, by medium
    is_gone: bool  # it has an end
    was_connected: bool
    is_consulted: bool  # a leg of a consultation: it does not hold the customer while another does
    is_watching: bool  # a supervisor's, who listens or coaches
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
    def uri(self) -> str | None:
        """Where a conversation is that is with this participant."""
        if self.purpose == "acd":
            return queue_uri(self.queue_id) if self.queue_id else None
        if self.purpose in _AGENTS:
            return user_uri(self.user_id) if self.user_id else None
        return self.address if self.purpose == "external" else None


def read_conversation(
    body: object, conversation_id: str, date_s: float | None = None
) -> Reading | None:
    """Return what a body says of the conversation that was asked for; None if it is unreadable."""
    try:
        fields = _mapping(body)
        if fields.get("id") != conversation_id:
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
    """Return the participant by whom a user holds a conversation; None: he does not, or unreadable."""
    reading = read_conversation(body, conversation_id)
    if reading is None or reading.interaction.destination_uri != user_uri(user_id):
        return None
    return (reading.interaction.handles or {}).get(PARTICIPANT)


def respelled(reading: Reading, spelled: Mapping[str, str]) -> Reading:
    """Return a reading whose places are written as the manifest writes them.

    `spelled` has the manifest's spellings by themselves in small letters: ids differ in case alone.
    An address of a transfer may be a queue's or a user's mere id, or a number without its scheme.
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
    """Return the places of participants by themselves in small letters, as `respelled` wants them."""
    return {each.uri.casefold(): each.uri for each in participants if each.uri is not None}


def _holder(participants: list[_Participant]) -> _Participant | None:
    """Return who is to be replaced: the agent who holds the customer, else the queue it waits in.

    Never who is only consulted, and of several agents the first, who called the others in; a leg of
    a consultation holds the customer once all others have left.
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
    """Return the user who called from inside; None: somebody outside takes part."""
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
    """Tell whether the outside is gone from a conversation that ends with it."""
    inside = [p for p in participants if p.purpose not in _OUTSIDE and p.is_live]
    media = {medium for p in inside for medium, states in p.media.items() if states}
    if not media or not media <= set(_HERE):
        return False
    outside = [p for p in participants if p.purpose in _OUTSIDE and not p.is_consulted]
    return bool(outside) and not any(p.is_live for p in outside)


def _outside(participants: list[_Participant]) -> str | None:
    """Return the outside address where a conversation is that is with nobody inside."""
    if not any(p.purpose == "customer" for p in participants):
        return None  # then the outside one is the customer
    outside = [p for p in participants if p.purpose == "external" and not p.is_consulted]
    live = [p.address for p in outside if p.is_live]
    return live[-1] if live else None


def _handles(holder: _Participant, participants: list[_Participant]) -> dict[str, str]:
    is_callback = any(p.media.get("callbacks") and p.is_live for p in participants)
    return {PARTICIPANT: holder.id, **({CALLBACK: "yes"} if is_callback else {})}


def _arrived(participants: list[_Participant], holder: _Participant | None) -> Iterator[Arrival]:
    """Yield participants as traces of moves: at a queue at once, else once connected.

    Who is consulted or watches was not moved to; a consultation whose leg holds the customer by now
    was a move that an agent made.
    """
    for each in participants:
        if each.uri is None or each.is_watching or each.is_barging:
            continue
        is_done = each.purpose == "acd" or each.was_connected
        if not (is_done or each.is_live):
            continue  # it was rung, and never took it
        if not each.is_consulted:
            yield Arrival(each.id, each.uri, is_done)
        elif each is holder:
            yield Arrival(each.id, each.uri, is_done, by_user=True)


def _transfers(fields: Mapping[str, Any]) -> tuple[list[Arrival], list[Setback]]:
    arrivals, setbacks = [], []
    for each in map(_mapping, _list(fields, "recentTransfers", needed=False)):
        transfer_id, spelled_state = _id(each, "id", needed=True), each.get("state")
        if not isinstance(spelled_state, str):
            raise _OddError
        state, destination_uri = spelled_state.lower(), _destination(each)
        if state in FAILED:
            setbacks.append(Setback(transfer_id, state, destination_uri, _by_a_user(each)))
        else:  # Pending, Active, Unknown and what is not known here yet: it may yet fail
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
    media: dict[str, tuple[str, ...]] = {}
    was_connected = fields.get("connectedTime") is not None
    for medium in MEDIA:
        communications = [_mapping(each) for each in _list(fields, medium, needed=False)]
        states = media[medium] = tuple(_communication(each) for each in communications)
        was_connected |= "connected" in states
        was_connected |= any(each.get("connectedTime") is not None for each in communications)
    return _Participant(
        _id(fields, "id", needed=True),
        (purpose or "").lower(),
        _id(fields, "queueId") or _id_within(fields, "queue"),
        _id(fields, "userId") or _id_within(fields, "user"),
        address if isinstance(address, str) and address else None,
        media,
        fields.get("endTime") is not None,
        was_connected,
        bool(_id(fields, "consultParticipantId")),
        any(_id(fields, name) for name in _WATCHING),
        bool(_id(fields, "bargedParticipantId")),
    )


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
    """Return the id of what a notification tells as an object of its own."""
    value = fields.get(name)
    return _id(value, "id") or None if isinstance(value, dict) else None
