"""The platform's REST API: one client, token and rate; requests are repeated, commands sent once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from ssl import SSLContext
from typing import Any

import httpx

from runner.core.errors import GatewayError
from runner.core.manifest.model import Environment, RetryPolicy
from runner.core.transfer.message import always
from runner.drivers import Connection
from runner.gateways.genesys_cloud.protocol.errors import VendorFault, read_fault
from runner.gateways.http.client import Answer, exchange, http_client, trusted_context
from runner.gateways.http.errors import ConnectionFailed, Place
from runner.gateways.http.oauth import Token, Tokens
from runner.gateways.http.rate_limiter import Priority, PriorityRateLimiter
from runner.gateways.http.retry_waiter import RetryWaiter
from runner.gateways.http.retrying_client import IdempotentRequest, RetryingClient, is_passing
from runner.ports import Clock

HTTP_RATE_PER_S = 5.0
"""The default rate: 300 a minute (genesys-cloud.md, "Limits")."""

BODY_LIMIT = 16_000_000
"""Bytes of an answer that are read: a conversation with many messages exceeds a megabyte."""

SLACK_S = 0.1
"""The lateness that may be made up, because the platform counts by the minute."""

STALE_S = 1.0
"""How long after its submission a command may still be sent."""

TOO_LATE = f"its turn was more than {STALE_S:.0f} s ago"
SHUT = "it was not to leave any more when it had its connection"
"""Why a command did not leave: the second covers a window that closed, a hold and a stop meanwhile."""


class NotSent(Exception):
    """A command was certainly not sent; the text says why.

    `error` is set if it ends the run.
    """

    def __init__(self, why: str, error: GatewayError | None = None) -> None:
        super().__init__(why)
        self.error = error


class NoAnswer(Exception):
    """A command may have been sent and was not answered; the text says why."""


class GenesysRest:
    """The platform's REST API.

    `environment` must have endpoints and credentials. `paused` is called with every wait that the
    platform asks for. `leaves_within_s` bounds, by the loop's clock, how long a command waits for its
    token and its connection. `transport` replaces the network, for tests.
    """

    def __init__(
        self,
        environment: Environment,
        policy: RetryPolicy,
        clock: Clock,
        jitter: Callable[[], float],
        paused: Callable[[float, str], None],
        *,
        context: SSLContext | None = None,
        leaves_within_s: float = STALE_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if (endpoints := environment.endpoints) is None:
            raise ValueError(f"environment {environment.name} has no endpoints")
        self.place = Place(environment.name, endpoints.api_url)
        self.waiter = RetryWaiter(policy, clock, jitter, paused)
        rate_per_s = environment.limits.http_rate_per_s or HTTP_RATE_PER_S
        self.rate_limiter = PriorityRateLimiter(rate_per_s, clock, slack_s=SLACK_S)
        self.client = http_client(context, transport)
        self.tokens = Tokens(
            Place(environment.name, endpoints.token_url),
            replace(environment, scopes=()),  # roles and divisions grant rights here, not scopes
            self.client,
            self.waiter,
        )
        self.retrying_client = RetryingClient(
            self.place,
            self.client,
            self.tokens,
            self.waiter,
            self.rate_limiter,
            body_limit=BODY_LIMIT,
        )
        self._clock = clock
        self._leaves_within_s = leaves_within_s

    @classmethod
    def connected(cls, connection: Connection) -> GenesysRest:
        """Return the REST API of a connection. Raises `GatewayError` if `ca_file` is unusable."""
        environment = connection.environment
        api_url = environment.endpoints.api_url if environment.endpoints else ""
        return cls(
            environment,
            connection.policy.retry,
            connection.clock,
            connection.jitter,
            connection.paused,
            context=trusted_context(Place(environment.name, api_url), environment.ca_file),
        )

    async def close(self) -> None:
        """Stop a renewal under way and close every connection."""
        await self.tokens.close()
        await self.client.aclose()

    async def get(
        self, path: str, thing: str, priority: Priority = Priority.PREFLIGHT
    ) -> dict[str, Any]:
        """Get a JSON object; `thing` names it in errors. Raises `GatewayError`."""
        return await self.ask(
            IdempotentRequest(
                path, priority=priority, thing=thing, failure=GatewayError, refused=GatewayError
            )
        )

    async def query(
        self,
        path: str,
        body: object,
        thing: str,
        *,
        method: str = "POST",
        priority: Priority = Priority.PREFLIGHT,
    ) -> dict[str, Any]:
        """Send an idempotent request with a body. Raises `GatewayError`."""
        request = IdempotentRequest(
            path, method, json.dumps(body), priority, thing, GatewayError, GatewayError
        )
        return await self.ask(request)

    async def ask(self, request: IdempotentRequest) -> dict[str, Any]:
        """Send until a JSON object comes.

        Raises `failure` or `refused` of the request, or `GatewayError`. The error of a refusal has the vendor's code and a sentence of help.
        """

        def read(answer: Answer, place: Place) -> dict[str, Any] | None:
            if httpx.codes.is_success(answer.status):
                return answer.json_object()
            self.refuse(answer, place, request)
            return None

        return await self.retrying_client.ask(request, read)

    def refuse(self, answer: Answer, place: Place, request: IdempotentRequest) -> None:
        """Raise the error of a final refusal; return if another try may succeed."""
        if is_passing(answer.status):
            return
        fault = self.fault_of(answer)
        kind = GatewayError if answer.status == HTTPStatus.FORBIDDEN else request.refused
        what = f"no {request.thing}: {fault.said}"
        check = fault.help or "check the ids, the region and the client's role"
        raise place.error_of(kind, what, check)

    def fault_of(self, answer: Answer) -> VendorFault:
        """Read an error answer, with our secrets removed."""
        text = answer.body.decode("utf-8", "replace")
        read = replace(answer, body=text.encode(), hide=self.tokens.hide)
        return read_fault(answer.status, read.json_object())

    async def command(
        self, path: str, content: str, handed_at: float, may_leave: Callable[[], bool] = always
    ) -> tuple[Token, Answer]:
        """Post once; return the bearer token that was used and the answer, whatever its status.

        The caller has taken its turn from the rate limiter, at `handed_at` of the clock. `may_leave`
        is asked right before the first byte is written. Raises `NotSent` or `NoAnswer`; never posts
        again.
        """
        departure = _Departure(self._clock, handed_at, may_leave)
        answer = None
        try:
            token = await self._token()
            answer = await self._posted(path, content, token, departure)
        except (ConnectionFailed, _NotAnyMore) as error:
            if departure.is_certain:
                raise NotSent(f"not sent: {error}") from error
            raise NoAnswer(str(error)) from error
        finally:
            self.rate_limiter.answered(None if answer is None else answer.headers)
        if answer.status != HTTPStatus.UNAUTHORIZED:
            self.tokens.took(token)
        return token, answer.without_secrets(self.tokens.hide)

    async def _token(self) -> Token:
        try:
            async with asyncio.timeout(self._leaves_within_s):  # the renewal itself goes on
                return await self.tokens.current()
        except TimeoutError as error:
            raise NotSent("not sent: there was no token in time") from error
        except GatewayError as error:
            raise NotSent(f"not sent: {error.what}", error) from error

    async def _posted(self, path: str, content: str, token: Token, departure: _Departure) -> Answer:
        if self.client.is_closed:
            raise NotSent("not sent: the gateway was closed meanwhile")
        headers, url = (
            {"Authorization": token.authorization},
            self.retrying_client.place_of(path).url,
        )
        posting = asyncio.create_task(
            exchange(self.client, "POST", url, headers, content=content, trace=departure.trace)
        )
        try:
            await asyncio.wait({posting}, timeout=self._leaves_within_s)
            if not posting.done() and departure.is_certain:  # still on its way to a connection
                posting.cancel()
                await asyncio.wait({posting})
                raise _NotAnyMore(TOO_LATE)
            return await posting
        finally:
            posting.cancel()


class _NotAnyMore(Exception):
    """A command did not leave in time; the text says why."""


class _Departure:
    """Records whether a request's first byte was written, and stops a request that is too late."""

    def __init__(self, clock: Clock, handed_at: float, may_leave: Callable[[], bool]) -> None:
        self._clock = clock
        self._handed_at = handed_at
        self._may_leave = may_leave
        self._is_traced = False
        self._has_left = False

    @property
    def is_certain(self) -> bool:
        """Whether the request was certainly not sent; unknown for a transport without traces."""
        return self._is_traced and not self._has_left

    async def trace(self, step: str, _: Mapping[str, Any]) -> None:
        """Take a step; nothing suspends between the last step before the write and the write."""
        self._is_traced = True
        if step.endswith(".send_request_headers.started"):
            if self._clock.now() - self._handed_at > STALE_S:
                raise _NotAnyMore(TOO_LATE)
            if not self._may_leave():
                raise _NotAnyMore(SHUT)
            self._has_left = True
