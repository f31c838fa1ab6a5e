"""The driver `interaction-websocket`: one OAuth token, one REST origin, one WebSocket per run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import httpx

from runner.core.manifest.model import Environment, RetryPolicy
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.message import Classify, Request
from runner.core.transfer.states import classify
from runner.gateways.http.client import http_client, trusted_context
from runner.gateways.http.errors import Place
from runner.gateways.http.oauth import Tokens
from runner.gateways.http.rate_limiter import PriorityRateLimiter
from runner.gateways.http.retry_waiter import RetryWaiter
from runner.gateways.http.retrying_client import RetryingClient
from runner.gateways.interaction_transfer.lookups import LookUps
from runner.gateways.interaction_transfer.session_opener import WebSocketSessionOpener
from runner.gateways.websocket.supervisor import SessionSupervisor
from runner.gateways.websocket.transport import Dial, TransportClosed, dialler
from runner.ports import Clock, GatewayListener


class InteractionWebSocket:
    """The `Gateway` port over httpx and websockets.

    `environment` must have endpoints and credentials. `jitter` returns a uniform number in [0, 1).
    A session that is lost in mid-run is dialled for `give_up_s` seconds. `meaning` returns the event
    of a reply's status and code. `dial` and `transport` replace the network, for simulations.
    Raises `GatewayError` if `ca_file` cannot be used.
    """

    def __init__(
        self,
        environment: Environment,
        policy: RetryPolicy,
        clock: Clock,
        jitter: Callable[[], float],
        give_up_s: float = 300.0,
        *,
        meaning: Classify = classify,
        dial: Dial | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        endpoints = environment.endpoints
        if endpoints is None or endpoints.websocket_url is None:
            raise ValueError(f"environment {environment.name} has no endpoints")
        token_place, rest_place, self._place = (
            Place(environment.name, url)
            for url in (endpoints.token_url, endpoints.api_url, endpoints.websocket_url)
        )
        context = None if dial and transport else trusted_context(self._place, environment.ca_file)
        waiter = RetryWaiter(policy, clock, jitter, self._paused)
        self._listener: GatewayListener | None = None
        self._closing = False
        self._client = http_client(context, transport)
        for_tokens = replace(waiter, paused=self._paused_for_token)
        self._tokens = Tokens(token_place, environment, self._client, for_tokens)
        self._rate_limiter = PriorityRateLimiter(environment.limits.http_rate_per_s, clock)
        retrying_client = RetryingClient(
            rest_place, self._client, self._tokens, waiter, self._rate_limiter
        )
        self._look_ups = LookUps(retrying_client)
        dial = dial or dialler(context, clock.wall, self._tokens.hide)
        opener = WebSocketSessionOpener(self._place, self._tokens, dial, meaning)
        self._supervisor = SessionSupervisor(self._place, self._tokens, opener, waiter, give_up_s)

    @property
    def generation(self) -> int | None:
        """The open session's generation; None while there is none."""
        session = self._supervisor.session
        return session.generation if session is not None and session.transport.is_open else None

    @property
    def token_renewals(self) -> int:
        """How many tokens were fetched after the first."""
        return self._tokens.renewals

    def writable(self) -> bool:
        """Return whether a session is open and its transport's buffer empty."""
        session = self._supervisor.session
        return session is not None and session.transport.writable()

    def due_in(self, ahead: int) -> float:  # noqa: ARG002 - as the port has it
        """Return 0.0: only the run's rate limits frames."""
        return 0.0

    @property
    def most_per_s(self) -> None:
        """Return None: only the run's rate limits frames."""

    def limit_requests(self, rate_per_s: float) -> None:
        """Limit further requests."""
        self._rate_limiter.limit(rate_per_s)

    async def open(self, listener: GatewayListener) -> None:
        """Authenticate, dial and check the session, and keep one open until `close`.

        Raises `GatewayError` if there is none after `policy.attempts` dials.
        """
        self._listener = listener
        await self._supervisor.open(listener)

    async def submit(self, request: Request) -> None:
        """Write the message's text as one frame before the first suspension.

        A session that ends meanwhile is reported by `session_lost`, not here. Raises `GatewayError`
        if there is no session: then certainly nothing was written.
        """
        session = self._supervisor.session
        if session is None:
            raise self._place.error("no session is open to write to", "wait for the next session")
        try:
            await session.submit(request.message_id, request.text)
        except TransportClosed:
            return  # `session_lost` follows; whether the frame arrived is not known

    async def look_up(self, interaction_id: str) -> Interaction:
        """Ask the REST side for an interaction's state.

        Raises `LookUpFailed` when the retries are used up, `LookUpForbidden` for a 403,
        `GatewayError` when none can succeed.
        """
        return await self._look_ups.look_up(interaction_id)

    async def close(self) -> None:
        """End the session (1000) and every connection. Idempotent, bounded in time."""
        if self._closing:
            return
        self._closing = True
        try:
            await self._supervisor.close()
        finally:
            await self._tokens.close()
            await self._client.aclose()

    def _paused(self, wait_s: float, why: str) -> None:
        if self._listener is not None:
            self._listener.paused(wait_s, why)

    def _paused_for_token(self, wait_s: float, why: str) -> None:
        """Report the token server's wait, unless the run can go on with the token that it has."""
        if self.generation is None or not self._tokens.serves:
            self._paused(wait_s, why)
