"""Sends idempotent REST requests again until they are answered: one rate, one token, renewed once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

import httpx

from runner.core.errors import GatewayError, LookUpFailed, LookUpUnanswered
from runner.core.frozen import frozen
from runner.core.number_text import counted
from runner.core.pacing.retry_after import retry_after_s
from runner.gateways.http.client import BODY_LIMIT, EXCHANGES_AT_ONCE, Answer, exchange
from runner.gateways.http.errors import TRY_LATER, ConnectionFailed, Place, shown
from runner.gateways.http.oauth import NoTokenYet, Token, Tokens
from runner.gateways.http.rate_limiter import Priority, PriorityRateLimiter
from runner.gateways.http.retry_waiter import RetryWaiter

T = TypeVar("T")

CHECK_API_URL = "set `endpoints.api_url` to the address that answers"


@frozen
class IdempotentRequest:
    """A request that may be sent twice. `content` is a JSON text.

    `failure` is raised when the tries are used up, `refused` for a refusal that no further try can
    change; `thing` names in errors what was asked for ("look-up"). A look-up that meets an outage
    raises `LookUpUnanswered`.
    """

    path: str  # percent-encoded, with its query
    method: str = "GET"
    content: str | None = None
    priority: Priority = Priority.PREFLIGHT
    thing: str = "look-up"
    failure: type[GatewayError] = LookUpFailed
    refused: type[GatewayError] = LookUpFailed

    @property
    def is_look_up(self) -> bool:
        """Whether it asks for an interaction: the transfer can then wait for an outage to end."""
        return self.failure is LookUpFailed and self.thing == "look-up"


@frozen
class _Failure:
    """Why one try failed. `is_outage`: the answer says nothing about what was asked for."""

    what: str
    check: str = TRY_LATER
    is_outage: bool = True
    is_redirect: bool = False
    answer: Answer | None = None


Read = Callable[[Answer, Place], T | None]
"""Reads a final answer; None if it must be asked for again, or is a refusal. May raise."""


class RetryingClient:
    """Sends requests to one REST origin, many at a time."""

    def __init__(
        self,
        place: Place,
        client: httpx.AsyncClient,
        tokens: Tokens,
        waiter: RetryWaiter,
        rate_limiter: PriorityRateLimiter,
        *,
        body_limit: int = BODY_LIMIT,
    ) -> None:
        self._place = place
        self._client = client
        self._tokens = tokens
        self._waiter = waiter
        self._rate_limiter = rate_limiter
        self._body_limit = body_limit  # in bytes
        self._has_answered = False  # so that the address is right
        self._exchanges = 0
        self._has_room = asyncio.Event()
        self._has_room.set()

    def place_of(self, path: str) -> Place:
        """Return where a path of this origin is."""
        return Place(self._place.environment, f"{self._place.url.rstrip('/')}{path}")

    async def ask(self, request: IdempotentRequest, read: Read[T]) -> T:
        """Send until `read` accepts an answer.

        Raises `request.failure`, `request.refused`, `LookUpUnanswered`, or `GatewayError` where no
        request can succeed.
        """
        try:
            return await self._answer_to(request, read)
        except NoTokenYet as error:  # the token's own tries are used up
            if not request.is_look_up:
                raise
            token_server, tries = (
                Place(error.environment, error.url),
                self._waiter.policy.attempts,
            )
            raise _unanswered(token_server, error.what, tries, error.check) from error

    async def _answer_to(self, request: IdempotentRequest, read: Read[T]) -> T:
        place, attempts = self.place_of(request.path), self._waiter.policy.attempts
        failure, is_outage = _Failure("nothing was asked"), False
        for attempt in range(1, attempts + 1):
            answer = await self._try(request, place, read)
            if not isinstance(answer, _Failure):
                self._has_answered = True
                return answer
            failure, is_outage = answer, is_outage or answer.is_outage
            await self._pause(attempt, failure.answer, place, is_last=attempt == attempts)
        what = f"no {request.thing} in {counted(attempts, 'attempt')}: {failure.what}"
        if failure.is_redirect and not self._has_answered:
            raise place.error(what, failure.check)
        if is_outage and request.is_look_up:
            raise _unanswered(place, what, attempts, failure.check)
        raise place.error_of(request.failure, what, failure.check)

    async def _try(self, request: IdempotentRequest, place: Place, read: Read[T]) -> T | _Failure:
        """Send once and read the answer. Raises `GatewayError` where another try is no use."""
        try:
            answer = await self._send(request, place)
        except ConnectionFailed as error:
            if error.final:
                raise place.error(error.what, error.check) from error
            return _Failure(error.what)
        if answer.redirect is not None:
            return _redirected(answer, request, place)
        if (found := read(answer, place)) is not None:
            return found
        what = _complaint(answer, request.thing)
        if not is_passing(answer.status):
            raise place.error_of(request.refused, what, "check the interaction's id")
        is_outage = answer.status != HTTPStatus.OK or answer.json_object() is None
        return _Failure(what, is_outage=is_outage, answer=answer)

    async def _send(self, request: IdempotentRequest, place: Place) -> Answer:
        """Send once; renew a refused token and send again, once."""
        token, answer = await self._exchange(request, place)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            await self._tokens.after(token)
            _, answer = await self._exchange(request, place)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise refused_again(place)
        return answer

    async def _exchange(self, request: IdempotentRequest, place: Place) -> tuple[Token, Answer]:
        """Send once; return the token that was used, and the answer.

        A turn is given only where there is room: what had its turn and still waited would leave all at
        once. The token is that of the turn: one that was chosen before may be over by then.
        """
        answer = None
        await self._tokens.current()  # all who need a new one wait for it, or fail, together
        token = await self._rate_limiter.acquire(self._ready, request.priority)
        self._take_room()
        try:
            headers = {"Authorization": token.authorization, "Cache-Control": "no-cache"}
            answer = await exchange(
                self._client,
                request.method,
                place.url,
                headers,
                content=request.content,
                body_limit=self._body_limit,
            )
        finally:
            self._leave_room()
            self._rate_limiter.answered(None if answer is None else answer.headers)
        if answer.status != HTTPStatus.UNAUTHORIZED:
            self._tokens.took(token)
        return token, answer.without_secrets(self._tokens.hide)

    async def _ready(self) -> Token:
        """Wait for room for one more exchange; return the token to send it with."""
        await self._has_room.wait()
        return await self._tokens.current()

    def _take_room(self) -> None:
        self._exchanges += 1
        if self._exchanges >= EXCHANGES_AT_ONCE:
            self._has_room.clear()

    def _leave_room(self) -> None:
        self._exchanges -= 1
        self._has_room.set()

    async def _pause(
        self, attempt: int, answer: Answer | None, place: Place, *, is_last: bool
    ) -> None:
        """Wait before the next try; a limit that was hit holds for every request, after the last too."""
        asked_s = None
        if answer is not None:
            asked_s = retry_after_s(answer.headers, self._waiter.clock.wall())
        wait_s = self._waiter.wait_s(attempt, asked_s, place, "the gateway's REST side")
        limited = answer is not None and answer.status == HTTPStatus.TOO_MANY_REQUESTS
        if limited or asked_s is not None:
            self._rate_limiter.shut(wait_s)
        elif not is_last:
            await self._waiter.clock.sleep(wait_s)


def refused_again(place: Place) -> GatewayError:
    """Return the error that ends a run whose new token is refused too."""
    return place.error(
        "the gateway refuses a new token (401)",
        "check that `region` and `endpoints` belong together, and the client's role",
    )


def is_passing(status: int) -> bool:
    """Return whether another try may succeed; after 200 the body was unusable."""
    passing = (HTTPStatus.OK, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
    return status in passing or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _unanswered(place: Place, what: str, tries: int, check: str = TRY_LATER) -> LookUpUnanswered:
    error = place.error_of(LookUpUnanswered, what, check)
    error.tries = tries
    return error


def _redirected(answer: Answer, request: IdempotentRequest, place: Place) -> _Failure:
    """Return a redirect as an outage of look-ups: it says nothing about an interaction.

    Raises `GatewayError` for every other request.
    """
    what = f"the gateway redirects to {shown(answer.redirect or '')}, which is not followed"
    if answer.redirect == "nowhere":
        what = f"the gateway answers {answer.status}"
    if not request.is_look_up:
        raise place.error(what, CHECK_API_URL)
    return _Failure(what, CHECK_API_URL, is_redirect=True, answer=answer)


def _complaint(answer: Answer, thing: str) -> str:
    if answer.status != HTTPStatus.OK:
        return f"the gateway answers {answer.status}"
    about = "describe the interaction" if thing == "look-up" else f"contain the {thing}"
    return f"the answer does not {about} ({answer.flaw or 'malformed body'})"
