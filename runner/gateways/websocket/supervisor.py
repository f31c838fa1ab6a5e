"""Keeps a session to the gateway open: dials again when one ends, with backoff."""

from __future__ import annotations

import asyncio
import math
from typing import Generic, Protocol, TypeVar

from runner.core.errors import GatewayError
from runner.core.number_text import counted
from runner.core.transfer.message import seconds_text
from runner.gateways.http.errors import ConnectionFailed, HandshakeRefused, Place
from runner.gateways.http.oauth import NoTokenYet, Token, Tokens
from runner.gateways.http.retry_waiter import RetryWaiter
from runner.gateways.websocket.close_codes import INTERNAL_ERROR, CloseAction, Outage, action_for
from runner.gateways.websocket.transport import TransportClosed
from runner.ports import GatewayListener, SessionLost, SessionOpened

NORMAL_CLOSURE = 1000
FAREWELL = "session terminated"


class ManagedSession(Protocol):
    """A session as the supervisor sees it: one socket, or several that open and close together."""

    generation: int  # until the check is passed: 0
    opened_at: float
    fault: Exception | None  # what ended it, other than a close

    @property
    def token(self) -> Token:
        """The token that it was opened with."""

    @property
    def tls(self) -> str | None:
        """The TLS version, as in "TLSv1.3"; None on a plain socket."""

    async def check(self) -> None:
        """Check that it is usable. Raises `ConnectionFailed` or `TransportClosed`."""

    async def ended(self) -> TransportClosed:
        """Wait for its end and return how it ended."""

    async def close(self, code: int, reason: str) -> None:
        """End it; bounded in time."""

    def was_steady(self, now: float) -> bool:
        """Return whether it was useful or lasted, so that an outage before it is over."""


SessionT = TypeVar("SessionT", bound=ManagedSession)
SessionT_co = TypeVar("SessionT_co", bound=ManagedSession, covariant=True)


class SessionOpener(Protocol[SessionT_co]):
    """Opens sessions of one kind."""

    async def open(self, listener: GatewayListener) -> SessionT_co:
        """Dial once. Raises `ConnectionFailed`, `NoTokenYet`, or `GatewayError` if no dial can succeed."""


class NoSession(Exception):
    """A dial failed and another may succeed; `error` is raised if none does."""

    def __init__(
        self, error: GatewayError, *, asked_s: float | None = None, at_once: bool = False
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.asked_s = asked_s  # the wait that the gateway asked for
        self.at_once = at_once


class SessionSupervisor(Generic[SessionT]):
    """Keeps one session open from `open` until `close`, and reports each one to the listener."""

    def __init__(
        self,
        place: Place,
        tokens: Tokens,
        opener: SessionOpener[SessionT],
        waiter: RetryWaiter,
        give_up_s: float,
    ) -> None:
        self.session: SessionT | None = None
        self._place = place
        self._tokens = tokens
        self._opener = opener
        self._waiter = waiter
        self._clock = waiter.clock
        self._give_up_s = give_up_s
        self._outage = Outage(-math.inf)
        self._sessions = 0
        self._keeper: asyncio.Task[None] | None = None
        self._closing = False

    async def open(self, listener: GatewayListener) -> None:
        """Return once a first session is open. Raises `GatewayError`."""
        self._outage = Outage(self._clock.now())
        session = await self._next_session(listener)
        self._outage = Outage(self._clock.now())  # from here on outages have an end
        self._keeper = asyncio.create_task(self._keep_open(session, listener))

    async def close(self) -> None:
        """Close the session and stop dialling; bounded in time."""
        self._closing = True
        if self.session is not None:
            await self.session.close(NORMAL_CLOSURE, FAREWELL)
        if self._keeper is not None:
            if self.session is None:
                self._keeper.cancel()
            await asyncio.wait([self._keeper])

    async def _keep_open(self, session: SessionT, listener: GatewayListener) -> None:
        """Replace each session that ends, until `close` or until none can be opened."""
        try:
            while True:
                closed = await session.ended()
                self.session = None
                listener.session_lost(
                    SessionLost(session.generation, closed.code, closed.reason, self._closing)
                )
                if self._closing:
                    return
                now = self._clock.now()
                if session.was_steady(now):
                    self._outage = Outage(now)
                failure = await self._after(session, closed, listener)
                session = await self._next_session(listener, failure)
        except Exception as error:  # noqa: BLE001 - a silent end here would hang the run
            listener.gave_up(error)

    async def _next_session(
        self, listener: GatewayListener, failure: NoSession | None = None
    ) -> SessionT:
        """Wait and dial until a session is open and checked. Raises `GatewayError`."""
        while True:
            if failure is not None:
                await self._wait_after(failure)
            try:
                return await self._opened(listener)
            except NoSession as error:
                failure = error

    async def _wait_after(self, failure: NoSession) -> None:
        """Wait before the next dial. Raises `GatewayError` when attempts or time are used up."""
        outage = self._outage = self._outage.failed()
        left_s = self._left_s(failure.error)
        if not failure.at_once:
            who = "the gateway"
            wait_s = self._waiter.wait_s(outage.failures, failure.asked_s, self._place, who)
            if failure.asked_s is not None and failure.asked_s > left_s:
                asked = seconds_text(failure.asked_s)
                what = f"{who} asks to wait {asked}, longer than is waited for a session"
                raise self._given_up(failure.error, what) from failure.error
            await self._clock.sleep(min(wait_s, left_s))

    def _left_s(self, last: GatewayError) -> float:
        """Return the seconds left for dials. Raises `GatewayError` when none are."""
        if self._sessions == 0:
            if self._outage.failures < self._waiter.policy.attempts:
                return math.inf
            place = Place(self._place.environment, last.url)
            dials = counted(self._outage.failures, "dial")
            raise place.error(f"no session after {dials}: {last.what}", last.check) from last
        left_s = self._outage.since + self._give_up_s - self._clock.now()
        if left_s <= 0:
            raise self._given_up(last, f"no session for {self._give_up_s:.0f} s") from last
        return left_s

    def _given_up(self, last: GatewayError, why: str) -> GatewayError:
        place = Place(self._place.environment, last.url)
        return place.error(f"{why}, given up: {last.what}", last.check)

    async def _opened(self, listener: GatewayListener) -> SessionT:
        """Dial once and check. Raises `NoSession`, or `GatewayError` if no dial can succeed."""
        self._check_wanted()
        try:
            session = await self._opener.open(listener)
        except NoTokenYet as error:
            if self._sessions == 0:
                raise  # its own attempts are used up
            raise NoSession(error) from error
        except ConnectionFailed as error:
            raise self._no_session(error) from error
        try:
            await session.check()
            self._begin(session, listener)
        except ConnectionFailed as error:
            raise self._no_session(error) from error
        except TransportClosed:
            raise await self._after(session, await session.ended(), listener) from None
        finally:
            if session is not self.session:
                await session.close(NORMAL_CLOSURE, FAREWELL)
        return session

    def _check_wanted(self) -> None:
        if self._closing:
            raise self._place.error("the gateway was closed meanwhile", "run again")

    def _begin(self, session: SessionT, listener: GatewayListener) -> None:
        self._check_wanted()
        self._sessions += 1
        session.generation, session.opened_at = self._sessions, self._clock.now()
        self.session = session
        listener.session_opened(SessionOpened(session.generation, session.tls))

    async def _after(
        self, session: SessionT, closed: TransportClosed, listener: GatewayListener
    ) -> NoSession:
        """Act on a close code. Raises `GatewayError`, or the failure of the session's reader."""
        if session.fault is not None:
            await session.close(INTERNAL_ERROR, "internal error")
            raise session.fault
        said = f"{closed.code} {closed.reason}".strip()
        what = f"the session was closed ({said})"
        match action_for(closed.code, closed.reason):
            case CloseAction.END:
                check = "the client may not use this session: check its role and the scopes"
                raise self._place.error(what, check)
            case CloseAction.SLOW:
                listener.slowed(f"session closed with {said}")
            case CloseAction.RENEW:
                return await self._renewed_after(session, what)
            case CloseAction.DIAL:
                pass
        return NoSession(self._place.error(what, "check the gateway's health and log"))

    async def _renewed_after(self, session: SessionT, what: str) -> NoSession:
        """Renew the token; after the first such close in an outage the next dial does not wait."""
        try:
            await self._tokens.after(session.token)
        except NoTokenYet as unavailable:
            return NoSession(unavailable)
        error = self._place.error(what, "check the token's life and the clocks of both sides")
        return NoSession(error, at_once=self._outage.failures == 0)

    def _no_session(self, error: ConnectionFailed) -> NoSession:
        # Once a session was open the address is right: what redirects now will be gone again.
        passes = self._sessions > 0 and isinstance(error, HandshakeRefused) and error.is_redirect
        if error.final and not passes:
            raise self._place.error(error.what, error.check) from error
        asked_s = error.retry_after_s if isinstance(error, HandshakeRefused) else None
        return NoSession(self._place.error(error.what, error.check), asked_s=asked_s)
