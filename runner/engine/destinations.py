"""Keeps the limits of single destinations, beside the gateway's own (operations.md).

A full destination holds back its own transfers only: they take no worker, slot, seat or look-up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from runner.core.manifest.destinations import DestinationTable, key_of
from runner.core.number_text import counted, duration
from runner.core.pacing.destinations import DestinationPace
from runner.core.transfer.rows import PlannedRow
from runner.core.transfer.states import State
from runner.engine.active_transfer import ActiveTransfer, Place
from runner.engine.audit_notes import AuditNotes
from runner.engine.destination_metrics import DestinationMetrics
from runner.ports import Clock, Note, Observed, Observer

REPORTED_AGAIN_S = 60.0
"""How soon the same full destination is reported again."""

MOST_NAMED = 2
"""How many full destinations a line names."""

SHORTEST_WAIT_S = 0.01
LONGEST_WAIT_S = 0.25
"""How long a retry waits beside until it asks for its turn again."""

AGAIN = "run apply again to go on"

MAY_HAVE_MOVED = frozenset({State.TRANSFERRED, State.UNKNOWN})
"""The states in which a transfer that gives its place up may wait at its destination."""


@dataclass(slots=True)
class _Destination:
    """One destination's state, and who waits for it."""

    uri: str  # as its first row has it
    pace: DestinationPace
    waiting: dict[int, None] = field(default_factory=dict)  # transfers that wait beside, in order
    held: int = 0  # rows that were not begun
    full_since: float | None = None
    reported_at: float = -math.inf
    is_reported: bool = False
    is_given_up: bool = False  # it was full for too long: nothing further is sent to it
    unsent: set[int] = field(default_factory=set)  # transfers that were not sent for that reason
    unsent_rows: int = 0  # rows that were not even begun for that reason

    @property
    def name(self) -> str:
        """The destination as the manifest names it."""
        return self.pace.limits.written or self.uri


class Destinations:
    """Gives transfers their turn at their destination."""

    def __init__(
        self,
        table: DestinationTable,
        *,
        clock: Clock,
        observer: Observer,
        notes: AuditNotes,
        metrics: DestinationMetrics,
    ) -> None:
        self._table = table
        self._clock = clock
        self._observer = observer
        self._notes = notes
        self._metrics = metrics
        self._began = clock.now()
        self._known: dict[str, _Destination] = {}
        self._reserved: dict[int, Place] = {}  # by the row's number
        self.changed: Callable[[str], None] = lambda _key: None  # a turn may have come
        self.ask_again: Callable[[], None] = lambda: None  # for figures

    # Rows that were not begun

    def reserve(self, row: PlannedRow) -> bool:
        """Give a row its turn, if it has come; unlimited destinations have always room."""
        found = self._of(row.destination_uri)
        if found is None:
            return True
        key, one = found
        if one.is_given_up or one.waiting or self._until_turn_s(one) > 0:
            return False
        self._reserved[row.n] = _begin(key, one)
        return True

    def until_turn_s(self, uri: str) -> float:
        """Return the seconds until a row for `uri` may have its turn; inf: until `changed`."""
        found = self._of(uri)
        if found is None:
            return 0.0
        one = found[1]
        return math.inf if one.waiting else self._until_turn_s(one)

    def hold(self, uri: str, rows: int) -> None:
        """Note that so many rows more (or fewer) wait for their turn at a destination."""
        found = self._of(uri)
        if found is not None:
            found[1].held += rows

    def gave_up(self, uri: str) -> bool:
        """Return whether a destination was full for so long that nothing is sent to it any more."""
        one = self._known.get(key_of(uri))
        return one is not None and one.is_given_up

    def give_up_rows(self, uri: str, rows: int) -> None:
        """Count rows that are not sent because their destination was full for too long."""
        found = self._of(uri)
        if found is not None:
            one = found[1]
            one.is_given_up = True
            one.unsent_rows += rows

    # Transfers

    def enter(self, transfer: ActiveTransfer) -> bool:
        """Give a transfer its turn; False: it has to wait, for `retry_in_s`."""
        if transfer.place is None and (reserved := self._reserved.pop(transfer.row.n, None)):
            transfer.place = reserved
            return True
        found = self._of(transfer.row.destination_uri)
        if found is None:
            return True
        key, one = found
        if one.is_given_up:
            one.unsent.add(transfer.transfer_id)
            return False
        # What has its place waits behind no other: the others may wait for that place.
        first = next(iter(one.waiting), transfer.transfer_id)
        is_first = transfer.place is not None or first == transfer.transfer_id
        if not is_first or not self._admits(one, transfer):
            one.waiting[transfer.transfer_id] = None
            return False
        one.waiting.pop(transfer.transfer_id, None)
        if transfer.place is None:
            transfer.place = _begin(key, one)
        else:
            transfer.place.has_turn = True
            one.pace, one.full_since = one.pace.headed(), None
        self.changed(key)
        return True

    def unreserve(self, transfer: ActiveTransfer) -> None:
        """Give a row's turn back that its transfer has no use for: it was settled meanwhile."""
        reserved = self._reserved.pop(transfer.row.n, None)
        if reserved is not None:
            transfer.place = reserved
            self.release(transfer)

    def retry_in_s(self, transfer: ActiveTransfer) -> float:
        """Return how long a transfer that was not let in waits beside until it asks again."""
        found = self._of(transfer.row.destination_uri)
        wait_s = 0.0 if found is None else self._until_turn_s(found[1])
        return min(max(wait_s, SHORTEST_WAIT_S), LONGEST_WAIT_S)

    def may_leave(self, transfer: ActiveTransfer) -> bool:
        """Return whether a frame may leave now; asked right before the write."""
        if transfer.place is None:
            return True
        pace = self._known[transfer.place.key].pace
        return pace.may_leave(self._clock.now())

    def is_open(self, transfer: ActiveTransfer) -> bool:
        """Return whether what was observed since a transfer's turn still lets it be sent."""
        if transfer.place is None:
            return True
        one = self._known[transfer.place.key]
        now = self._clock.now()
        return not one.is_given_up and one.pace.ended(now, has_moved=False).why_shut(now) is None

    def left(self, transfer: ActiveTransfer) -> None:
        """Take the token of a frame that has just been written."""
        if transfer.place is not None:
            one = self._known[transfer.place.key]
            one.pace = one.pace.left(self._clock.now())
            transfer.place.has_turn = False
            self._metrics.frame_left(one.uri, self._clock.now())
            self.changed(transfer.place.key)

    def turn_back(self, transfer: ActiveTransfer) -> None:
        """Give a turn back whose frame has not left; a frame that has left took it already."""
        if transfer.place is not None and transfer.place.has_turn:
            one = self._known[transfer.place.key]
            one.pace, transfer.place.has_turn = one.pace.turned_back(), False
            self.changed(transfer.place.key)

    def leave(self, transfer: ActiveTransfer) -> None:
        """Free a transfer's place after a delivery; one in doubt keeps it until it is settled."""
        if transfer.state is State.UNKNOWN:
            self.turn_back(transfer)
        else:
            self.release(transfer)

    def release(self, transfer: ActiveTransfer) -> None:
        """Free a transfer's place, if it has one: it has an outcome, or waits for a retry."""
        self.stop_waiting(transfer)
        if transfer.place is None:
            return
        self.turn_back(transfer)
        key, transfer.place = transfer.place.key, None
        one = self._known[key]
        has_moved = transfer.state in MAY_HAVE_MOVED
        one.pace = one.pace.ended(self._clock.now(), has_moved=has_moved)
        self.changed(key)

    def occupy(self, transfer: ActiveTransfer) -> None:
        """Give a doubt of an earlier run its place: it may still be under way."""
        found = self._of(transfer.row.destination_uri)
        if found is not None and transfer.place is None:
            key, one = found
            one.pace = one.pace.begun().turned_back()
            transfer.place = Place(key, has_turn=False)

    @property
    def waiting(self) -> int:
        """How many transfers wait beside for a full destination."""
        return sum(len(one.waiting) for one in self._known.values())

    def has_waiting(self, transfer: ActiveTransfer) -> bool:
        """Return whether a transfer waits beside for its destination, or is not sent to it any more."""
        one = self._known.get(key_of(transfer.row.destination_uri))
        return one is not None and (one.is_given_up or transfer.transfer_id in one.waiting)

    def stop_waiting(self, transfer: ActiveTransfer) -> None:
        """Take a transfer out of those that wait beside."""
        one = self._known.get(key_of(transfer.row.destination_uri))
        if one is not None and transfer.transfer_id in one.waiting:
            del one.waiting[transfer.transfer_id]
            self.changed(key_of(transfer.row.destination_uri))

    # What is observed

    def observed(self, observed: Observed) -> None:
        """Take in what was observed of a destination."""
        now = self._clock.now()
        self._metrics.observed(observed.uri, observed.figures, now)
        found = self._of(observed.uri)
        if found is not None:
            key, one = found
            # Nothing describes a time to come: later figures would be passed over until then.
            one.pace = one.pace.observed(observed.figures, min(observed.at, now))
            self.changed(key)

    def watch(self) -> None:
        """Report full destinations, and give up those that were full for too long."""
        now = self._clock.now()
        for key, one in list(self._known.items()):
            is_waited_for = bool(one.held or one.waiting)
            why = one.pace.why_full(now) if is_waited_for else None
            if why is None:
                if is_waited_for and one.pace.why_limited(now) is not None:
                    self._metrics.limited(one.uri, now)
                one.full_since = None
                self._report_open(one)
                if not is_waited_for and not one.is_given_up and one.pace.is_at_rest(now):
                    del self._known[key]
                continue
            if one.full_since is None:
                one.full_since = now
            self.ask_again()
            self._metrics.held(one.uri, now)
            self._report_full(one, why, now)
            if now - one.full_since >= one.pace.limits.give_up_s and not one.is_given_up:
                one.is_given_up = True
                one.unsent.update(one.waiting)
                self._report_given_up(one, why)
                self.changed(key)

    @property
    def waiting_for(self) -> str | None:
        """What transfers wait for at full destinations, in words; None: for nothing."""
        now = self._clock.now()
        full = [
            (one, why)
            for one in self._known.values()
            if not one.is_given_up and (one.held or one.waiting) and (why := one.pace.why_full(now))
        ]
        return _named(full)

    @property
    def limiting(self) -> str | None:
        """Which destinations' own limits rows wait for, in words; None: for none."""
        now = self._clock.now()
        return _named(
            [
                (one, why)
                for one in self._known.values()
                if one.held
                and one.pace.why_shut(now) is None
                and (why := one.pace.why_limited(now))
            ]
        )

    @property
    def explanation(self) -> str | None:
        """What was not sent because its destination was full, in words; None: nothing."""
        full = [one for one in self._known.values() if one.unsent or one.unsent_rows]
        parts = [
            f"{one.name} was full for {duration(one.pace.limits.give_up_s)}"
            f" ({counted(len(one.unsent) + one.unsent_rows, 'transfer')})"
            for one in full[: MOST_NAMED + 1]
        ]
        if more := len(full) - len(parts):
            parts.append(counted(more, "further destination"))
        if not parts:
            return None
        return f"destination full: {'; '.join(parts)}; not sent; {AGAIN}"

    # Within

    def _of(self, uri: str) -> tuple[str, _Destination] | None:
        key = key_of(uri)
        one = self._known.get(key)
        if one is None:
            limits = self._table.limits_of(uri)
            if limits is None:
                return None
            pace = DestinationPace.at_start(limits, began=self._began)
            one = self._known[key] = _Destination(uri, pace)
        return key, one

    def _until_turn_s(self, one: _Destination) -> float:
        return one.pace.until_turn_s(self._clock.now())

    def _admits(self, one: _Destination, transfer: ActiveTransfer) -> bool:
        """Return whether a transfer may have its turn; one that has its place needs no other."""
        now = self._clock.now()
        pace = one.pace if transfer.place is None else one.pace.ended(now, has_moved=False)
        return pace.until_turn_s(now) <= 0

    def _report_full(self, one: _Destination, why: str, now: float) -> None:
        if not one.is_reported and now - one.reported_at >= REPORTED_AGAIN_S:
            one.is_reported, one.reported_at = True, now
            fields = {"destination": one.name, "why": why, "transfers": one.held + len(one.waiting)}
            self._observer.warned(Note.DESTINATION_FULL, **fields)
            self._notes.add(Note.DESTINATION_FULL, **fields)

    def _report_open(self, one: _Destination) -> None:
        if one.is_reported:
            one.is_reported = False
            self._observer.noticed(Note.DESTINATION_OPEN, destination=one.name)
            self._notes.add(Note.DESTINATION_OPEN, destination=one.name)

    def _report_given_up(self, one: _Destination, why: str) -> None:
        fields = {
            "destination": one.name,
            "why": why,
            "after": duration(one.pace.limits.give_up_s),
        }
        self._observer.warned(Note.DESTINATION_GIVEN_UP, **fields)
        self._notes.add(Note.DESTINATION_GIVEN_UP, **fields, uri=one.uri)


def _named(ones: Sequence[tuple[_Destination, str]]) -> str | None:
    """Name destinations, each with what it is waited for and by how many; None: there are none."""
    parts = [
        f"{one.name} ({why}; {counted(one.held + len(one.waiting), 'transfer')})"
        for one, why in ones[:MOST_NAMED]
    ]
    if more := len(ones) - len(parts):
        parts.append(f"{counted(more, 'further destination')}")
    return ", ".join(parts) or None


def _begin(key: str, one: _Destination) -> Place:
    one.pace, one.full_since = one.pace.begun(), None
    return Place(key)
