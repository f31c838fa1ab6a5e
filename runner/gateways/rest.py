"""Look-ups: an interaction's state by REST (protocol.md, "REST")."""

from __future__ import annotations

import asyncio
import math
from http import HTTPStatus
from urllib.parse import quote

import httpx

from runner.core.errors import GatewayError, LookUpFailed
from runner.core.message import SERVER_TEXT_LIMIT, harmless
from runner.core.pacing import Bucket, spent, take
from runner.core.retry_after import http_date_s, retry_after_s
from runner.core.sight import Interaction
from runner.gateways.exchange import EXCHANGES_AT_ONCE, Answer, exchange
from runner.gateways.faults import TRY_LATER, Place, WireError, counted, shown, wanted_scope
from runner.gateways.oauth import Token, Tokens
from runner.gateways.waiting import Patience

URI_LIMIT = 2048
"""Characters kept of a destination or an id that a look-up brings."""


class Turnstile:
    """Lets REST requests through one by one: at most `rate_per_s`, and none while paused."""

    def __init__(self, rate_per_s: float | None, patience: Patience) -> None:
        self._rate_per_s = rate_per_s
        self._clock = patience.clock
        self._queue = asyncio.Lock()
        self._bucket: Bucket | None = None  # filled by the first who comes
        self._shut_until = -math.inf

    def shut(self, wait_s: float) -> None:
        """Let nobody through for that long."""
        self._shut_until = max(self._shut_until, self._clock.now() + wait_s)

    async def passed(self) -> None:
        """Wait for one's turn; first come, first served."""
        async with self._queue:
            while (wait_s := self._due_in()) > 0:
                await self._clock.sleep(wait_s)

    def _due_in(self) -> float:
        now = self._clock.now()
        if now < self._shut_until:
            return self._shut_until - now
        if (rate_per_s := self._rate_per_s) is None:
            return 0.0
        bucket = self._bucket or spent(now=now, rate_per_s=rate_per_s, burst=1)
        self._bucket, wait_s = take(bucket, now=now, rate_per_s=rate_per_s, burst=1)
        return wait_s


class LookUps:
    """Asks for interactions, many at a time, under one shared rate."""

    def __init__(
        self,
        place: Place,
        client: httpx.AsyncClient,
        tokens: Tokens,
        patience: Patience,
        rate_per_s: float | None,
    ) -> None:
        self._place = place
        self._client = client
        self._tokens = tokens
        self._patience = patience
        self._turnstile = Turnstile(rate_per_s, patience)
        self._places = asyncio.Semaphore(EXCHANGES_AT_ONCE)

    async def look_up(self, interaction_id: str) -> Interaction:
        """Ask until there is an answer. Raises as the port's `look_up` says."""
        url = f"{self._place.url.rstrip('/')}/api/v2/interactions/{quote(interaction_id, safe='')}"
        place = Place(self._place.environment, url)
        attempts, what = self._patience.policy.attempts, "nothing was asked"
        for attempt in range(1, attempts + 1):
            answer = None
            try:
                answer = await self._asked(place)
            except WireError as error:
                if error.final:
                    raise place.error(error.what, error.check) from error
                what = error.what
            else:
                if (seen := self._seen(interaction_id, answer, place)) is not None:
                    return seen
                what = _complaint(answer)
                if not _worth_retrying(answer):
                    raise place.error_of(LookUpFailed, what, "check the interaction's id")
            if attempt < attempts:
                await self._pause(attempt, answer, place)
        raise place.error_of(
            LookUpFailed, f"no look-up in {counted(attempts, 'attempt')}: {what}", TRY_LATER
        )

    async def _asked(self, place: Place) -> Answer:
        """Ask once; a refused token is renewed once and the question put again."""
        token = await self._tokens.current()
        answer = await self._exchange(place, token)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            answer = await self._exchange(place, await self._tokens.after(token))
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise place.error(
                "the gateway refuses a new token (401)",
                "check that `region` and `endpoints` belong together, and the client's role",
            )
        return answer

    async def _exchange(self, place: Place, token: Token) -> Answer:
        await self._turnstile.passed()
        headers = {"Authorization": token.authorization, "Cache-Control": "no-cache"}
        async with self._places:
            return await exchange(self._client, "GET", place.url, headers)

    def _seen(self, interaction_id: str, answer: Answer, place: Place) -> Interaction | None:
        """Read a final answer; None if the question must be put again."""
        if answer.redirect is not None:
            raise place.error(
                f"the gateway redirects to {shown(answer.redirect)}, which is not followed",
                "set `endpoints.api_url` to the address that answers",
            )
        date_s = http_date_s(answer.headers.get("Date", ""))
        match answer.status:
            case HTTPStatus.FORBIDDEN:
                raise self._forbidden(answer, place)
            case HTTPStatus.NOT_FOUND:
                return Interaction(interaction_id, found=False, date_s=date_s)
            case HTTPStatus.OK:
                return _interaction(interaction_id, answer, date_s)
            case _:
                return None

    async def _pause(self, attempt: int, answer: Answer | None, place: Place) -> None:
        """Wait before the next try; a limit that was hit holds for every look-up."""
        asked_s = None
        if answer is not None:
            asked_s = retry_after_s(answer.headers, self._patience.clock.wall())
        wait_s = self._patience.wait_s(attempt, asked_s, place, "the gateway's REST side")
        limited = answer is not None and answer.status == HTTPStatus.TOO_MANY_REQUESTS
        if limited or asked_s is not None:
            self._turnstile.shut(wait_s)
        else:
            await self._patience.clock.sleep(wait_s)

    def _forbidden(self, answer: Answer, place: Place) -> GatewayError:
        scope = wanted_scope(answer.headers.get("WWW-Authenticate", "")) or "interaction:view"
        return place.error(
            f"look-ups are forbidden (403): the token lacks the scope {scope}",
            f"have {scope} added to the client's role and to `scopes`",
        )


def _worth_retrying(answer: Answer) -> bool:
    passing = (HTTPStatus.OK, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
    return answer.status in passing or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _complaint(answer: Answer) -> str:
    if answer.status != HTTPStatus.OK:
        return f"the gateway answers {answer.status}"
    return f"the answer does not describe the interaction ({answer.flaw or 'malformed body'})"


def _interaction(interaction_id: str, answer: Answer, date_s: float | None) -> Interaction | None:
    """Read the body; None unless it is an object about the very interaction that was asked for."""
    body = answer.json_object()
    if body is None or body.get("id") != interaction_id or not isinstance(body.get("state"), str):
        return None
    destination_uri, last_transfer_id = body.get("destination_uri"), body.get("last_transfer_id")
    if not isinstance(destination_uri, str | None) or not isinstance(last_transfer_id, str | None):
        return None
    return Interaction(
        interaction_id,
        found=True,
        state=harmless(body["state"], SERVER_TEXT_LIMIT),
        destination_uri=_kept(destination_uri),
        last_transfer_id=_kept(last_transfer_id),
        date_s=date_s,
    )


def _kept(text: str | None) -> str | None:
    return None if text is None else harmless(text, URI_LIMIT)
