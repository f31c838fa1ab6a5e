"""The gateway's ports: a session, look-ups, names, and what waits in queues."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from runner.core.frozen import frozen
from runner.core.manifest.queue_selection import Listing
from runner.core.pacing.destinations import Figures
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.message import GatewayNote, Reply, Request


@frozen
class SessionOpened:
    """A session passed its check. `generation` counts from 1 in a run."""

    generation: int
    tls: str | None  # "TLSv1.3", or None on a plain loopback socket


@frozen
class SessionLost:
    """A session's reader ended, for whatever reason, the normal close included.

    `ours`: this process closed it. What was in flight is in doubt all the same.
    """

    generation: int
    code: int | None
    reason: str
    ours: bool = False


class GatewayListener(Protocol):
    """Receives what the gateway does; called on the event loop, must not block."""

    def replied(self, reply: Reply) -> None:
        """Receive a reply to any id."""

    def noted(self, note: GatewayNote) -> None:
        """Receive a note for the audit log: a frame that is not a reply, for instance."""

    def session_opened(self, opened: SessionOpened) -> None:
        """Note that a session is open and checked: frames may be submitted."""

    def session_lost(self, lost: SessionLost) -> None:
        """Note that the session is gone; the gateway dials again by itself."""

    def gave_up(self, error: Exception) -> None:
        """Note that no session can be opened any more; `error` says why."""

    def slowed(self, why: str) -> None:
        """Slow down: the gateway asked for it by a close code (1008, 1013)."""

    def paused(self, wait_s: float, why: str) -> None:
        """Send nothing for `wait_s` seconds: the gateway asked for it (`Retry-After`)."""


class Gateway(Protocol):
    """One session to a gateway, many transfers on it."""

    @property
    def generation(self) -> int | None:
        """The open session's generation; None while there is none."""

    @property
    def token_renewals(self) -> int:
        """How many tokens were fetched after the first."""

    def writable(self) -> bool:
        """Return whether a session is open and its transport's buffer empty."""

    def due_in(self, ahead: int) -> float:
        """Return the seconds until a frame that has `ahead` others before it may leave.

        For what the gateway itself paces, beyond the run's own rate; 0.0: now. `submit` counts the
        frame.
        """

    @property
    def most_per_s(self) -> float | None:
        """The most transfers a second that the gateway's own pace allows; None: any number."""

    async def open(self, listener: GatewayListener) -> None:
        """Authenticate, dial and check the session.

        Raises `GatewayError` when that is impossible; returns once a session is open, and keeps
        one open (dialling again as needed) until `close`.
        """

    async def submit(self, request: Request) -> None:
        """Hand one delivery over, before the first suspension. Returning proves nothing.

        A driver that writes it later asks `request.may_leave` right before its write.
        """

    async def look_up(self, interaction_id: str) -> Interaction:
        """Ask the REST side for an interaction's state, under `http_rate`, with retries.

        Raises `LookUpUnanswered` when an outage outlasts the retries, `LookUpFailed` when this
        interaction's look-up fails, `LookUpForbidden` when it, or any, is forbidden, `GatewayError`
        when none can succeed (credentials).
        """

    async def close(self) -> None:
        """End the session (1000, `session terminated`) and every connection. Idempotent."""


@runtime_checkable
class RequestLimited(Protocol):
    """A gateway whose HTTP request rate can be changed while it is open."""

    def limit_requests(self, rate_per_s: float) -> None:
        """Limit further requests, never above the rate that the gateway was made with."""


@frozen
class Observed:
    """What was observed of a destination.

    `figures` may describe any time since `at`, in the clock's monotonic seconds: they came later, by as
    much as the gateway's figures may lag. None: they are not known any more.
    """

    uri: str
    figures: Figures | None
    at: float


@runtime_checkable
class CapacityObserver(Protocol):
    """A gateway that can observe how much its destinations can take."""

    def observe(self, destinations: Sequence[str], tell: Callable[[Observed], None]) -> None:
        """Observe these destinations from `open` until `close`; called before `open`.

        `tell` is called on the event loop with all figures of a destination as soon as one of them
        changes, and when they are lost. A figure that is missing is not known; a driver does not put
        0 in its place. `open` raises `GatewayError` if they may not be observed.
        """

    def ask_again(self) -> None:
        """Ask for all figures soon: those known are not enough to go on."""

    async def figures_of(self, destination: str) -> Observed:
        """Ask for a destination's figures. Raises `LookUpFailed`, `GatewayError`."""


class Directory(Protocol):
    """Finds a gateway's queues, users, skills and languages by name, and what waits in a queue."""

    async def ids_of(self, kind: str, name: str) -> Sequence[str]:
        """Return the ids of every `kind` ("queue", "user", "skill", "language") of exactly this name.

        Raises `GatewayError` if it cannot be asked.
        """

    async def waiting(self, queue_id: str) -> Listing:
        """Return what waits in a queue now. Raises `GatewayError`."""

    async def connected(self, queue_id: str) -> Listing:
        """Return what came by a queue and is being served now: a row for each user who does."""

    async def held_by(self, user_id: str) -> Listing:
        """Return what a user serves now, whatever queue it came by. Raises `GatewayError`."""

    async def served_by(self, interaction_id: str, user_id: str) -> str | None:
        """Return the participant by whom a user serves an interaction; None: not any more.

        Empty: the gateway does not show it to this client. Raises `GatewayError` if it cannot be
        asked.
        """
