"""The driver `interaction-websocket`: one OAuth token, one REST origin, one WebSocket per run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from ssl import SSLContext

import httpx

from runner.core.errors import GatewayError
from runner.core.manifest import Endpoints, Environment, RetryPolicy
from runner.gateways.exchange import http_client, tls_context
from runner.gateways.faults import Place, WireError, WireRefused
from runner.gateways.oauth import NoTokenYet, Token, Tokens
from runner.gateways.remedies import Outage, Remedy, remedy
from runner.gateways.rest import LookUps
from runner.gateways.session import Session
from runner.gateways.waiting import Patience
from runner.gateways.wire import Dial, Wire, WireClosed, dialler
from runner.ports import Clock, GatewayListener, Interaction, SessionLost, SessionOpened

NORMAL_CLOSURE = 1000
FAREWELL = "session terminated"


class NoSession(Exception):
    """One dial failed, and another may succeed; `error` is what to say if none does."""

    def __init__(
        self, error: GatewayError, *, asked_s: float | None = None, at_once: bool = False
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.asked_s = asked_s  # the gateway's own wish
        self.at_once = at_once


class InteractionWebSocket:
    """The `Gateway` port over httpx and websockets.

    `environment` must bear endpoints and credentials. `jitter` returns a uniform number in
    [0, 1); `give_up_s` is how long a session lost mid-run is dialled for. `dial` and `transport`
    replace the network, for simulations.
    """

    def __init__(
        self,
        environment: Environment,
        policy: RetryPolicy,
        clock: Clock,
        jitter: Callable[[], float],
        give_up_s: float = 300.0,
        *,
        dial: Dial | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        name, endpoints = environment.name, _endpoints(environment)
        self._url = endpoints.websocket_url
        self._place = Place(name, self._url)
        self._scopes = environment.scopes
        self._clock = clock
        self._give_up_s = give_up_s
        self._patience = Patience(policy, clock, jitter, self._paused)
        context = None if dial and transport else self._tls_context(environment.ca_file)
        self._dial = dial or dialler(context, clock.wall)
        self._client = http_client(context, transport)
        self._tokens = Tokens(
            Place(name, endpoints.token_url), environment, self._client, self._patience
        )
        self._look_ups = LookUps(
            Place(name, endpoints.api_url),
            self._client,
            self._tokens,
            self._patience,
            environment.limits.http_rate_per_s,
        )
        self._listener: GatewayListener | None = None
        self._session: Session | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._outage: Outage | None = None
        self._sessions = 0
        self._closing = False

    # The port

    @property
    def generation(self) -> int | None:
        """The open session's generation; None while there is none."""
        session = self._session
        return session.generation if session is not None and session.wire.is_open else None

    @property
    def token_renewals(self) -> int:
        """How many tokens were fetched after the first."""
        return self._tokens.renewals

    def writable(self) -> bool:
        """Tell whether a session is open and its transport's buffer empty."""
        return self._session is not None and self._session.wire.writable()

    async def open(self, listener: GatewayListener) -> None:
        """Authenticate, dial and check the session. Raises `GatewayError`."""
        self._listener = listener
        self._outage = Outage(self._clock.now())
        session = await self._next_session(listener)
        self._keeper = asyncio.create_task(self._keep_open(session, listener))

    async def submit(self, text: str) -> None:
        """Write one text frame before the first suspension.

        A session that dies meanwhile is told by `session_lost`, not here. Raises `GatewayError`
        if there is no session: then certainly nothing was written.
        """
        if self._session is None:
            raise self._place.error("no session is open to write to", "wait for the next session")
        try:
            await self._session.wire.send(text)
        except WireClosed:
            return  # the reader's end tells; whether the frame arrived nobody knows

    async def look_up(self, interaction_id: str) -> Interaction:
        """Ask the REST side. Raises `LookUpFailed` or `GatewayError` as the port says."""
        return await self._look_ups.look_up(interaction_id)

    async def close(self) -> None:
        """End the session and every connection. Idempotent, bounded in time."""
        if self._closing:
            return
        self._closing = True
        if self._session is not None:
            await self._session.close(NORMAL_CLOSURE, FAREWELL)
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await self._tokens.close()
        await self._client.aclose()

    # The session's life

    async def _keep_open(self, session: Session, listener: GatewayListener) -> None:
        """See sessions come and go until `close`, or until none can be had any more."""
        try:
            while True:
                closed = await session.ended()
                self._session = None
                listener.session_lost(
                    SessionLost(session.generation, closed.code, closed.reason, self._closing)
                )
                if self._closing:
                    return
                session = await self._after(session, closed, listener)
        except Exception as error:  # noqa: BLE001 - a silent end here would hang the run
            listener.gave_up(error)

    async def _after(
        self, session: Session, closed: WireClosed, listener: GatewayListener
    ) -> Session:
        """Do what the close calls for, and dial until there is a session again."""
        now = self._clock.now()
        if self._outage is None or session.was_steady(now):
            self._outage = Outage(now)
        failure = await self._remedied(session, closed, listener)
        return await self._next_session(listener, failure)

    async def _next_session(
        self, listener: GatewayListener, failure: NoSession | None = None
    ) -> Session:
        """Wait and dial until a session is open and checked. Raises `GatewayError`."""
        while True:
            if failure is not None:
                await self._wait_after(failure)
            try:
                return await self._opened(listener)
            except NoSession as error:
                failure = error

    async def _wait_after(self, failure: NoSession) -> None:
        """Wait before dialling again. Raises `GatewayError` if enough was tried."""
        outage = self._outage = (self._outage or Outage(self._clock.now())).failed()
        error, place = failure.error, Place(self._place.environment, failure.error.url)
        if self._sessions == 0:
            left_s = float("inf")
            if outage.failures >= self._patience.policy.attempts:
                what = f"no session after {outage.failures} dials: {error.what}"
                raise place.error(what, error.check) from error
        else:
            left_s = outage.since + self._give_up_s - self._clock.now()
            if left_s <= 0:
                what = f"no session for {self._give_up_s:.0f} s, given up: {error.what}"
                raise place.error(what, error.check) from error
        if failure.asked_s is not None:
            wait_s = self._patience.obeyed_s(failure.asked_s, self._place, "the gateway")
        else:
            wait_s = 0.0 if failure.at_once else self._patience.backoff_s(outage.failures)
        await self._clock.sleep(min(wait_s, left_s))

    async def _opened(self, listener: GatewayListener) -> Session:
        """Dial once and check. Raises `NoSession` or, where no dial can help, `GatewayError`."""
        try:
            token, wire = await self._dialled()
        except NoTokenYet as error:
            if self._sessions == 0:
                raise  # the attempts were made there
            raise NoSession(error) from error
        except WireError as error:
            raise self._no_session(error) from error
        session = Session(wire, token, listener, self._tokens.hide)
        try:
            await session.check(secure=self._url.startswith("wss:"))
        except WireError as error:
            raise self._no_session(error) from error
        except WireClosed:
            raise await self._remedied(session, await session.ended(), listener) from None
        else:
            self._begin(session, listener)
            return session
        finally:
            if session is not self._session:
                await session.close(NORMAL_CLOSURE, FAREWELL)

    def _begin(self, session: Session, listener: GatewayListener) -> None:
        self._sessions += 1
        session.generation, session.opened_at = self._sessions, self._clock.now()
        self._session = session
        listener.session_opened(SessionOpened(session.generation, session.wire.tls))

    async def _dialled(self) -> tuple[Token, Wire]:
        """Dial with a fresh token; one that is refused (401) is renewed once."""
        token = await self._tokens.current()
        try:
            return token, await self._dial_with(token)
        except WireRefused as refused:
            if refused.status != HTTPStatus.UNAUTHORIZED:
                raise
        token = await self._tokens.after(token)
        try:
            return token, await self._dial_with(token)
        except WireRefused as refused:
            if refused.status != HTTPStatus.UNAUTHORIZED:
                raise
            raise WireError(
                "the gateway refuses the session with a new token too (401)",
                "three things to check: the token (client_id, client_secret), the scopes "
                f"({' '.join(self._scopes)}) and the region of the endpoints",
                final=True,
            ) from refused

    async def _dial_with(self, token: Token) -> Wire:
        headers = {"Authorization": token.authorization, "Accept": "application/json"}
        return await self._dial(self._url, headers)

    async def _remedied(
        self, session: Session, closed: WireClosed, listener: GatewayListener
    ) -> NoSession:
        """Do what the close code calls for. Raises `GatewayError` where it forbids to go on."""
        said = f"{closed.code} {closed.reason}".strip()
        what = f"the gateway closed the session ({said})"
        match remedy(closed.code, closed.reason):
            case Remedy.END:
                raise self._place.error(
                    what, "the client may not use this session: check its role and the scopes"
                )
            case Remedy.SLOW:
                listener.slowed(f"session closed with {said}")
            case Remedy.RENEW:
                return await self._renewed_after(session, what)
            case Remedy.DIAL:
                pass
        return NoSession(self._place.error(what, "check the gateway's health and log"))

    async def _renewed_after(self, session: Session, what: str) -> NoSession:
        try:
            await self._tokens.after(session.token)
        except NoTokenYet as unavailable:
            return NoSession(unavailable)
        error = self._place.error(what, "check the token's life and the clocks of both sides")
        first = self._outage is not None and self._outage.failures == 0
        return NoSession(error, at_once=first)

    def _no_session(self, error: WireError) -> NoSession:
        if error.final:
            raise self._place.error(error.what, error.check) from error
        asked_s = error.retry_after_s if isinstance(error, WireRefused) else None
        return NoSession(self._place.error(error.what, error.check), asked_s=asked_s)

    def _paused(self, wait_s: float, why: str) -> None:
        if self._listener is not None:
            self._listener.paused(wait_s, why)

    def _tls_context(self, ca_file: str | None) -> SSLContext:
        try:
            return tls_context(ca_file)
        except OSError as error:
            what = f"`tls.ca_file` {ca_file} cannot be used ({error.strerror or 'no certificate'})"
            raise self._place.error(what, "point it to a readable PEM file") from error


def _endpoints(environment: Environment) -> Endpoints:
    if environment.endpoints is None:
        raise ValueError(f"environment {environment.name} has no endpoints")
    return environment.endpoints
