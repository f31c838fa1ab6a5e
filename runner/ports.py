"""What the engine needs of the world. Adapters implement these; tests implement them as fakes."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple, Protocol

from runner.core.manifest.queue_selection import Waiting
from runner.core.records.latency import RecentLatency
from runner.core.records.recent_failures import RecentFailure
from runner.core.transfer.evidence import Baseline, SendClocks
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.message import Reply, Stray
from runner.core.transfer.plan import PlannedRow
from runner.core.transfer.states import Event, State


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A session passed its check. `generation` counts from 1 in a run."""

    generation: int
    tls: str | None  # "TLSv1.3", or None on a plain loopback socket


@dataclass(frozen=True, slots=True)
class SessionLost:
    """A session's reader ended, for whatever reason, the normal close included.

    `ours` tells that we closed it ourselves. What was in flight is in doubt all the same.
    """

    generation: int
    code: int | None
    reason: str
    ours: bool = False


class GatewayListener(Protocol):
    """Who is told what the gateway does; called on the event loop, must not block."""

    def replied(self, reply: Reply) -> None:
        """Take a reply, for whatever id it bears."""

    def strayed(self, stray: Stray) -> None:
        """Take a frame that answers nothing."""

    def session_opened(self, opened: SessionOpened) -> None:
        """Learn that a session is open and checked: frames may be submitted."""

    def session_lost(self, lost: SessionLost) -> None:
        """Learn that the session is gone; the gateway dials again by itself."""

    def gave_up(self, error: Exception) -> None:
        """Learn that no session can be had any more; `error` says why."""

    def slowed(self, why: str) -> None:
        """Slow down: the gateway asked for it by a close code (1008, 1013)."""

    def paused(self, wait_s: float, why: str) -> None:
        """Be silent for `wait_s` seconds: the gateway asked everyone for it (`Retry-After`)."""


class Gateway(Protocol):
    """One session to a gateway, many transfers on it."""

    @property
    def generation(self) -> int | None:
        """The open session's generation; None while there is none."""

    @property
    def token_renewals(self) -> int:
        """How many tokens were fetched after the first."""

    def writable(self) -> bool:
        """Tell whether a session is open and its transport's buffer empty."""

    def due_in(self, ahead: int) -> float:
        """Return the seconds until a frame that has `ahead` others before it may leave.

        For what the gateway itself paces, beyond the run's own rate; 0.0: now. `submit` counts the
        frame.
        """

    @property
    def most_per_s(self) -> float | None:
        """How many transfers a second it can carry at most by its own pace; None: any number."""

    async def open(self, listener: GatewayListener) -> None:
        """Authenticate, dial and check the session.

        Raises `GatewayError` when that is impossible; returns once a session is open, and keeps
        one open (dialling again as needed) until `close`.
        """

    async def submit(self, text: str) -> None:
        """Write one text frame before the first suspension. Returning proves nothing."""

    async def look_up(self, interaction_id: str) -> Interaction:
        """Ask the REST side for an interaction's state, under `http_rate`, with retries.

        Raises `LookUpUnanswered` when an outage outlasts the retries, `LookUpFailed` when this
        interaction's look-up fails, `GatewayError` when none can succeed (credentials, scopes).
        """

    async def close(self) -> None:
        """End the session (1000, `session terminated`) and every connection. Idempotent."""


class Directory(Protocol):
    """Who knows a gateway's queues and users by name, and what waits in a queue."""

    async def ids_of(self, kind: str, name: str) -> Sequence[str]:
        """Return the ids of every queue or user (`kind`) of that very name.

        Raises `GatewayError` if it cannot be asked.
        """

    async def waiting(self, queue_id: str) -> Sequence[Waiting]:
        """Return what waits in a queue now; an interaction may come twice. Raises `GatewayError`."""

    async def connected(self, queue_id: str) -> Sequence[Waiting]:
        """Return likewise what came by a queue and is being served now, each with its user."""

    async def served_by(self, interaction_id: str, user_id: str) -> str | None:
        """Return the participant by whom a user serves an interaction; None: not any more.

        Empty: the gateway does not show it to this client. Raises `GatewayError` if it cannot be
        asked.
        """


class Clock(Protocol):
    """Time as the engine sees it."""

    def now(self) -> float:
        """Return monotonic seconds."""

    def wall(self) -> float:
        """Return seconds since the epoch."""

    def uptime(self) -> float:
        """Return seconds that run through suspend, comparable under one `boot`."""

    @property
    def boot(self) -> str | None:
        """What tells this boot of the machine from every other; None: not known."""

    async def sleep(self, seconds: float) -> None:
        """Suspend for at least `seconds`."""


class SessionState(StrEnum):
    """Whether frames can leave."""

    DIALLING = "dialling"  # none was open yet
    OPEN = "open"
    LOST = "lost"  # dialling again
    CLOSED = "closed"  # the run is done with it


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands; counts are of transfers of this run's plan. None: not known."""

    total: int
    settled: int
    outcomes: Mapping[str, int]
    in_flight: int
    sent: int  # frames
    rate_per_s: float | None  # the pace in force, None: unlimited
    waiting_for: str | None = None  # "the session", "30 s more (Retry-After)", …
    limit_per_s: float | None = None  # what the pace may climb to
    sent_per_s: float | None = None  # frames that left in the last second
    session: SessionState | None = None
    latency_ms: RecentLatency | None = None
    callbacks_owed: int | None = None
    is_stopping: bool = False  # nothing new is sent, what is in flight settles
    stage: str | None = None  # "wave 2 of 5"
    troubles: Sequence[RecentFailure] = ()  # the last few, oldest first
    burst: int | None = None  # frames beyond `limit_per_s` that one second may hold


class Observer(Protocol):
    """Who watches a run: the terminal, the log. Never raises into the engine."""

    def noticed(self, event: str, **fields: Any) -> None:
        """Note what is worth a log line; `event` is a short lower-case phrase."""

    def warned(self, event: str, **fields: Any) -> None:
        """Note what an operator should look at."""

    def progressed(self, progress: Progress) -> None:
        """Show where the run stands; called often, at least once a second."""


class Intent(NamedTuple):
    """A delivery that is about to leave: its number, its media and its exact text."""

    n: int  # counts the transfer's deliveries from 1, withdrawn ones too
    message_id: str
    media_index: int
    text: str
    hand_over: SendClocks  # of the id's first delivery
    baseline: Baseline | None = None  # what a look-up saw shortly before


@dataclass(frozen=True, slots=True)
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
    reason_code: str | None = None  # the cause (core.reasons)


@dataclass(frozen=True, slots=True)
class Note:
    """Something of the run worth keeping that changes no transfer's state."""

    SESSION_OPENED: ClassVar = "session opened"
    SESSION_CLOSED: ClassVar = "session closed"
    ASKED_TO_WAIT: ClassVar = "waiting: the gateway asked for it"
    CIRCUIT_OPEN: ClassVar = "open circuit: the gateway answers nothing; only probes are sent"
    LOOK_UPS_HELD: ClassVar = "open circuit: look-ups are not answered; transfers wait"
    GOING_ON: ClassVar = "going on"
    WAVE_BEGUN: ClassVar = "wave begun"

    event: str
    at: float
    fields: Mapping[str, Any] = field(default_factory=dict)
    transfer_id: int | None = None  # whom the notifications are about
    notifications: Sequence[Notification] = field(default=())


@dataclass(frozen=True, slots=True)
class JournalledTransfer:
    """A transfer as the journal holds it, found by one of its deliveries' ids."""

    row: PlannedRow
    transfer_id: int
    lineage: int
    version: int
    state: State
    n: int  # the delivery's number
    code: str | None = None  # of the outcome


@dataclass(frozen=True, slots=True)
class Doubt:
    """A transfer in doubt, of whatever run, with the last delivery that may have left."""

    standing: JournalledTransfer  # `row` is this run's where the manifest lists it
    listed: bool  # this run may send it again: listed, selected, the destination unchanged
    message_ids: frozenset[str]  # of every delivery of its lineage
    intent: Intent
    notified: bool  # callbacks have been told that it is in doubt


class Journal(Protocol):
    """The durable history, for one run."""

    def record(self, *entries: Entry | Note) -> Awaitable[None]:
        """Make entries durable, in one transaction, together with whatever else waits.

        The awaitable raises `StorageError`; nothing may be sent after that.
        """

    def new_transfer_id(self) -> int:
        """Return an id that no transfer bears yet."""

    async def pending(
        self, after: int, limit: int, *, failed_before: bool = False
    ) -> Sequence[PlannedRow]:
        """Return the next rows of the run's plan that are to be sent, behind row `after`.

        Of those that were rejected or failed before, or of the others.
        """

    async def message_ids(self, lineage: int) -> frozenset[str]:
        """Return the ids of every delivery of a lineage's transfers."""

    async def find(self, message_id: str) -> JournalledTransfer | None:
        """Return the transfer that a delivery belongs to, of whatever run."""

    async def doubts(self) -> Sequence[Doubt]:
        """Return every transfer in doubt that the journal knew when the run began."""
