"""The durable history as one run writes it: entries, and what the run reads back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, ClassVar, NamedTuple, Protocol

from runner.core.frozen import frozen
from runner.core.pacing.pace_left import HELD_OFF, SLOWED_DOWN
from runner.core.records.chained_record import RUN_ENDED
from runner.core.transfer.doubt_evidence import Baseline, SendClocks
from runner.core.transfer.rows import PlannedRow
from runner.core.transfer.states import Event, State


class Intent(NamedTuple):
    """A delivery that is about to leave: its number, its media and its exact text."""

    n: int  # counts the transfer's deliveries from 1, withdrawn ones too
    message_id: str
    media_index: int
    text: str
    hand_over: SendClocks  # of the id's first delivery
    baseline: Baseline | None = None  # what a look-up saw shortly before


@frozen
class Notification:
    """One callback to be made about an outcome; `body` is the exact JSON text to post."""

    webhook_id: str
    callback: str
    outcome: str
    body: str


class Entry(NamedTuple):
    """One event of one transfer, to be made durable; a compare-and-set on `version`."""

    event: Event
    row: PlannedRow
    transfer_id: int
    lineage: int
    version: int  # before the event; 0: the transfer's first
    state: State  # after the event
    at: float  # seconds since the epoch
    intent: Intent | None = None  # with INTENT and REPEATED
    n: int | None = None  # the delivery that the event is about, if any
    message_id: str | None = None
    sent_at: float | None = None
    latency_ms: float | None = None
    status: str | None = None
    reason: str | None = None
    media: Mapping[str, Any] | None = None  # what was negotiated
    correlation_id: str | None = None  # by which the gateway's owner finds the delivery
    notifications: Sequence[Notification] = ()
    reason_code: str | None = None  # the cause (`core.transfer.reasons`)


@frozen
class Note:
    """Something of the run worth keeping that changes no transfer's state."""

    SESSION_OPENED: ClassVar = "session opened"
    SESSION_CLOSED: ClassVar = "session closed"
    RUN_ENDED: ClassVar = RUN_ENDED
    ASKED_TO_WAIT: ClassVar = "waiting: the gateway asked for it"
    CIRCUIT_OPEN: ClassVar = "open circuit: the gateway answers nothing; only probes are sent"
    LOOK_UPS_HELD: ClassVar = "open circuit: look-ups are not answered; transfers wait"
    GOING_ON: ClassVar = "going on"
    WAVE_BEGUN: ClassVar = "wave begun"
    CONTROL: ClassVar = "control"
    PAUSE_ENDED: ClassVar = "pause ended"
    PAUSE_RESTORED: ClassVar = "pause of an earlier run holds on"
    RATE_RESTORED: ClassVar = "rate of an earlier run holds on"
    SLOWED_DOWN: ClassVar = SLOWED_DOWN
    HELD_OFF: ClassVar = HELD_OFF
    GATE: ClassVar = "gate"
    WAVE_HELD: ClassVar = "wave held"
    DESTINATION_FULL: ClassVar = "destination full; its transfers wait"
    DESTINATION_OPEN: ClassVar = "destination open again"
    DESTINATION_GIVEN_UP: ClassVar = "destination full for too long; its transfers are not sent"

    event: str
    at: float
    fields: Mapping[str, Any] = field(default_factory=dict)
    transfer_id: int | None = None  # whom the notifications are about
    notifications: Sequence[Notification] = field(default=())


class OwnRun(NamedTuple):
    """The run that began a transfer."""

    id: str
    batch: str


@frozen
class JournalledTransfer:
    """A transfer as the journal holds it, found by one of its deliveries' ids."""

    row: PlannedRow
    transfer_id: int
    lineage: int
    version: int
    state: State
    n: int  # the delivery's number
    code: str | None = None  # of the outcome
    begun_by: OwnRun | None = None  # None: this run, or one of its batch


@frozen
class Doubt:
    """A transfer in doubt, of whatever run, with the last delivery that may have left."""

    standing: JournalledTransfer  # `row` is this run's where the manifest lists it
    listed: bool  # this run may send it again: listed, selected, the destination unchanged
    message_ids: frozenset[str]  # of every delivery of its lineage
    intent: Intent
    notified: bool  # a callback about the doubt was made or is owed


class Journal(Protocol):
    """The durable history, for one run."""

    def record(self, *entries: Entry | Note) -> Awaitable[None]:
        """Make entries durable, in one transaction, together with whatever else waits.

        The awaitable raises `StorageError`; nothing may be sent after that.
        """

    def new_transfer_id(self) -> int:
        """Return an id that no transfer has yet."""

    def may_write(self) -> bool:
        """Return whether a frame may leave now: this process still has the right to send.

        Raises `StorageError` if it has lost that for good.
        """

    async def pending(
        self,
        after: int,
        limit: int,
        *,
        failed_before: bool = False,
        destination_uri: str | None = None,
    ) -> Sequence[PlannedRow]:
        """Return the next rows of the run's plan that are to be sent, after row `after`.

        `failed_before` selects rows that were rejected or failed in an earlier run; otherwise the rest.
        `destination_uri` selects rows with exactly this destination.
        """

    async def message_ids(self, lineage: int) -> frozenset[str]:
        """Return the ids of every delivery of a lineage's transfers."""

    async def find(self, message_id: str) -> JournalledTransfer | None:
        """Return the transfer that a delivery belongs to, of whatever run.

        A journal need not find a delivery that was accepted: its transfer is carried out, and no
        later reply changes that.
        """

    async def doubts(self) -> Sequence[Doubt]:
        """Return every transfer in doubt that the journal knew when the run began."""


class RunJournal(Journal, Protocol):
    """A run's journal with its callbacks, while the run goes on."""

    def settle_callback(
        self, webhook_id: str, *, state: str, attempts: int, reason: str | None, at: float
    ) -> Awaitable[None]:
        """Store what became of a callback; `state` `pending` leaves it to the next run.

        The awaitable raises `StorageError`.
        """

    def perform(self, action: Callable[[], None]) -> Awaitable[None]:
        """Call `action` between two transactions, behind the entries that wait already.

        It may read the store's position, which no transaction changes meanwhile. The awaitable
        raises what `action` raises.
        """

    async def close(self) -> None:
        """Write what waits; nothing is recorded after that."""
