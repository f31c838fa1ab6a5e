"""What the engine needs of the world. Adapters implement these; tests implement them as fakes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from runner.core.message import Reply, Stray


@dataclass(frozen=True, slots=True)
class Interaction:
    """What a look-up saw (protocol.md, "REST"). `found` False: the gateway answered 404."""

    interaction_id: str
    found: bool
    state: str | None = None
    destination_uri: str | None = None
    last_transfer_id: str | None = None
    date_s: float | None = None  # the answer's `Date` header, seconds since the epoch


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
        """A reply was read, for whatever id it bears."""

    def strayed(self, stray: Stray) -> None:
        """A frame was read that answers nothing."""

    def session_opened(self, opened: SessionOpened) -> None:
        """A session is open and checked; frames may be submitted."""

    def session_lost(self, lost: SessionLost) -> None:
        """The session is gone; the gateway dials again by itself."""

    def gave_up(self, error: Exception) -> None:
        """No session can be had any more; `error` says why."""

    def slowed(self, why: str) -> None:
        """The gateway asked for a slower pace by a close code (1008, 1013)."""

    def paused(self, wait_s: float, why: str) -> None:
        """The gateway asked for silence of `wait_s` seconds (`Retry-After`); for everyone."""


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

    async def open(self, listener: GatewayListener) -> None:
        """Authenticate, dial and check the session.

        Raises `GatewayError` when that is impossible; returns once a session is open, and keeps
        one open (dialling again as needed) until `close`.
        """

    async def submit(self, text: str) -> None:
        """Write one text frame before the first suspension. Returning proves nothing."""

    async def look_up(self, interaction_id: str) -> Interaction:
        """Ask the REST side for an interaction's state, under `http_rate`, with retries.

        Raises `LookUpFailed` when the retries are used up, `GatewayError` when no look-up can
        succeed (credentials, scopes).
        """

    async def close(self) -> None:
        """End the session (1000, `session terminated`) and every connection. Idempotent."""


class Clock(Protocol):
    """Time as the engine sees it."""

    def now(self) -> float:
        """Return monotonic seconds."""

    def wall(self) -> float:
        """Return seconds since the epoch."""

    async def sleep(self, seconds: float) -> None:
        """Suspend for at least `seconds`."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands; counts are of transfers of this run's plan."""

    total: int
    settled: int
    outcomes: Mapping[str, int]
    in_flight: int
    sent: int  # frames
    rate_per_s: float | None  # the pace in force, None: unlimited
    waiting_for: str | None = None  # "the session", "Retry-After 30 s", …


class Observer(Protocol):
    """Who watches a run: the terminal, the log. Never raises into the engine."""

    def noticed(self, event: str, **fields: Any) -> None:
        """Something worth a log line happened; `event` is a short lower-case phrase."""

    def warned(self, event: str, **fields: Any) -> None:
        """Something an operator should look at happened."""

    def progressed(self, progress: Progress) -> None:
        """The run moved on; called often, at least once a second."""
