"""Questions by REST that may be put again: under the shared pace, with a token that is renewed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import httpx

from runner.core.errors import GatewayError, LookUpFailed, LookUpUnanswered
from runner.core.number_text import counted
from runner.core.pacing.retry_after import retry_after_s
from runner.gateways.http.client import BODY_LIMIT, EXCHANGES_AT_ONCE, Answer, exchange
from runner.gateways.http.errors import TRY_LATER, ConnectionFailed, Place, shown
from runner.gateways.http.oauth import NoTokenYet, Token, Tokens
from runner.gateways.http.rate_limiter import Priority, PriorityRateLimiter
from runner.gateways.http.retry_waiter import RetryWaiter

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """What is asked; asking it twice does no harm. `content` is a JSON text.

    `failure` is raised when the tries are used up, `refused` for a refusal that no further try can change;
    `thing` names what then is not there ("look-up"). For a look-up that meets an outage,
    `LookUpUnanswered` is raised.
    """

    path: str  # percent-encoded, with its query
    method: str = "GET"
    content: str | None = None
    urgency: Priority = Priority.PREFLIGHT
    thing: str = "look-up"
    failure: type[GatewayError] = LookUpFailed
    refused: type[GatewayError] = LookUpFailed

    @property
    def is_look_up(self) -> bool:
        """Whether an interaction is asked for: what waits for it can outlast an outage."""
        return self.failure is LookUpFailed and self.thing == "look-up"


Read = Callable[[Answer, Place], T | None]
"""Reads a final answer; None: the question must be put again, or is refused. May raise."""


class RetryingClient:
    """Asks one REST origin, many questions at a time."""

    def __init__(
        self,
        place: Place,
        client: httpx.AsyncClient,
        tokens: Tokens,
        patience: RetryWaiter,
        pacer: PriorityRateLimiter,
        *,
        body_limit: int = BODY_LIMIT,
    ) -> None:
        self._place = place
        self._client = client
        self._tokens = tokens
        self._patience = patience
        self._pacer = pacer
        self._body_limit = body_limit  # in bytes
        self._places = asyncio.Semaphore(EXCHANGES_AT_ONCE)

    def place_of(self, path: str) -> Place:
        """Return where a path of this origin is."""
        return Place(self._place.environment, f"{self._place.url.rstrip('/')}{path}")

    async def ask(self, question: IdempotentRequest, read: Read[T]) -> T:
        """Ask until `read` makes something of an answer.

        Raises `question.failure`, or `GatewayError` where no question can succeed.
        """
        try:
            return await self._answer_to(question, read)
        except NoTokenYet as error:  # its own tries are used up
            if not question.is_look_up:
                raise
            token_server, tries = (
                Place(error.environment, error.url),
                self._patience.policy.attempts,
            )
            raise _unanswered(token_server, error.what, tries, error.check) from error

    async def _answer_to(self, question: IdempotentRequest, read: Read[T]) -> T:
        place = self.place_of(question.path)
        attempts, what = self._patience.policy.attempts, "nothing was asked"
        is_outage = False
        for attempt in range(1, attempts + 1):
            answer = None
            try:
                answer = await self._asked(question, place)
            except ConnectionFailed as error:
                if error.final:
                    raise place.error(error.what, error.check) from error
                what, is_outage = error.what, True
            else:
                self._refuse_redirect(answer, place)
                if (found := read(answer, place)) is not None:
                    return found
                what = _complaint(answer, question.thing)
                is_outage |= answer.status != HTTPStatus.OK or answer.json_object() is None
                if not is_passing(answer.status):
                    raise place.error_of(question.refused, what, "check the interaction's id")
            if attempt < attempts:
                await self._pause(attempt, answer, place)
        what = f"no {question.thing} in {counted(attempts, 'attempt')}: {what}"
        if is_outage and question.is_look_up:
            raise _unanswered(place, what, attempts)
        raise place.error_of(question.failure, what, TRY_LATER)

    async def _asked(self, question: IdempotentRequest, place: Place) -> Answer:
        """Ask once; a refused token is renewed once and the question put again."""
        token = await self._tokens.current()
        answer = await self._exchange(question, place, token)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            answer = await self._exchange(question, place, await self._tokens.after(token))
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise refused_again(place)
        return answer

    async def _exchange(self, question: IdempotentRequest, place: Place, token: Token) -> Answer:
        await self._pacer.passed(question.urgency)
        headers = {"Authorization": token.authorization, "Cache-Control": "no-cache"}
        answer = None
        try:
            async with self._places:
                answer = await exchange(
                    self._client,
                    question.method,
                    place.url,
                    headers,
                    content=question.content,
                    body_limit=self._body_limit,
                )
        finally:
            self._pacer.answered(None if answer is None else answer.headers)
        if answer.status != HTTPStatus.UNAUTHORIZED:
            self._tokens.took(token)
        return answer.without_secrets(self._tokens.hide)

    def _refuse_redirect(self, answer: Answer, place: Place) -> None:
        if answer.redirect is not None:
            raise place.error(
                f"the gateway redirects to {shown(answer.redirect)}, which is not followed",
                "set `endpoints.api_url` to the address that answers",
            )

    async def _pause(self, attempt: int, answer: Answer | None, place: Place) -> None:
        """Wait before the next try; a limit that was hit holds for every request."""
        asked_s = None
        if answer is not None:
            asked_s = retry_after_s(answer.headers, self._patience.clock.wall())
        wait_s = self._patience.wait_s(attempt, asked_s, place, "the gateway's REST side")
        limited = answer is not None and answer.status == HTTPStatus.TOO_MANY_REQUESTS
        if limited or asked_s is not None:
            self._pacer.shut(wait_s)
        else:
            await self._patience.clock.sleep(wait_s)


def refused_again(place: Place) -> GatewayError:
    """Return the error that ends a run whose new token is refused too."""
    return place.error(
        "the gateway refuses a new token (401)",
        "check that `region` and `endpoints` belong together, and the client's role",
    )


def is_passing(status: int) -> bool:
    """Tell whether asking again may be answered otherwise; 200: the answer was of no use."""
    passing = (HTTPStatus.OK, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
    return status in passing or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _unanswered(place: Place, what: str, tries: int, check: str = TRY_LATER) -> LookUpUnanswered:
    error = place.error_of(LookUpUnanswered, what, check)
    error.tries = tries
    return error


def _complaint(answer: Answer, thing: str) -> str:
    if answer.status != HTTPStatus.OK:
        return f"the gateway answers {answer.status}"
    about = "describe the interaction" if thing == "look-up" else f"tell the {thing}"
    return f"the answer does not {about} ({answer.flaw or 'malformed body'})"
