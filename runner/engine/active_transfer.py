"""The state of one transfer during a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.rows import PlannedRow
from runner.core.transfer.states import OUTCOMES, Event, State, step
from runner.ports import Entry, Intent, Notification, OwnRun


class EventDetails(NamedTuple):
    """Details of a delivery, or of a transfer, that are recorded with an event."""

    n: int | None = None
    message_id: str | None = None
    sent_at: float | None = None  # seconds since the epoch
    latency_ms: float | None = None
    status: str | None = None
    reason: str | None = None
    media: Mapping[str, Any] | None = None
    correlation_id: str | None = None
    reason_code: str | None = None


NO_DETAILS = EventDetails()


@dataclass(slots=True)
class Place:
    """A transfer's place at its destination, until it has an outcome or waits beside."""

    key: str
    has_turn: bool = True  # and its frame has not left


UNDER_WAY = frozenset({State.READY, State.SENDING, State.RESENDING})


@dataclass(slots=True)
class ActiveTransfer:
    """One transfer of a run, with its state, which only `enter` changes."""

    row: PlannedRow
    transfer_id: int
    lineage: int
    state: State = State.READY
    version: int = 0
    message_ids: set[str] = field(default_factory=set)  # of every delivery of its lineage
    deliveries: int = 0
    media_index: int = 0
    tries: int = 0  # deliveries of the matrix in force
    seen: Interaction | None = None  # by the last look-up
    seen_at: float | None = None
    unseen: int = 0  # look-ups in a row that met an outage
    unseen_since: float | None = None  # when the first of them did
    last: Intent | None = None  # the last delivery
    left_at: float | None = None  # when it was handed over, or the process began
    wait_s: float = 0.0  # before the next delivery
    repeats: int = 0  # of the last delivery under its id, in this run
    repeating_since: float | None = None  # when the first repeat was due
    repeatable_until: float = -math.inf  # of the clock's uptime: when its id may be forgotten
    notified: bool = False  # callbacks have reported that it is in doubt
    is_settling: bool = False  # a late reply has settled it; the journal is about to learn of it
    code: str | None = None  # of the outcome, once there is one
    begun_by: OwnRun | None = None  # another run, whose callbacks hear of it; None: this one's
    has_seat: bool = False  # see `failure_seats`
    is_failure: bool = False  # among those that count against `max_failures`
    is_counted: bool = True  # among this run's figures; not, if an earlier run took it up
    is_of_batch: bool = False  # an earlier run of this batch took it up: its failure counts
    counted: Outcome | None = (
        None  # the outcome that the figures, or the batch's counts, have of it
    )
    place: Place | None = None  # see `destinations`

    @property
    def outcome(self) -> Outcome | None:
        """The outcome that the state stands for; None while the transfer is under way."""
        return None if self.state in UNDER_WAY else OUTCOMES[self.state]

    def enter(
        self,
        event: Event,
        at: float,
        details: EventDetails = NO_DETAILS,
        *,
        intent: Intent | None = None,
        notifications: Sequence[Notification] = (),
    ) -> Entry:
        """Take the step that `event` leads to, and return it for the journal.

        Raises `ImpossibleEvent`, changing nothing.
        """
        self.state = step(self.state, event)
        self.code = details.reason_code or details.status
        entry = Entry(
            event,
            self.row,
            self.transfer_id,
            self.lineage,
            self.version,
            self.state,
            at,
            intent=intent,
            n=details.n,
            message_id=details.message_id,
            sent_at=details.sent_at,
            latency_ms=details.latency_ms,
            status=details.status,
            reason=details.reason,
            media=details.media,
            correlation_id=details.correlation_id,
            notifications=notifications,
            reason_code=details.reason_code,
        )
        self.version += 1
        return entry
