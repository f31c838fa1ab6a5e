"""Fetches, caches and renews the bearer token (protocol.md, "OAuth"; RFC 6749, 4.4)."""

from __future__ import annotations

import asyncio
import base64
import math
import re
from dataclasses import replace

import httpx

from runner.core.errors import GatewayError
from runner.core.frozen import frozen
from runner.core.manifest.model import Environment, Secret
from runner.core.number_text import counted
from runner.core.pacing.retry_after import retry_after_s
from runner.core.transfer.message import harmless
from runner.gateways.http.client import Answer, exchange
from runner.gateways.http.errors import ConnectionFailed, Place, shown
from runner.gateways.http.retry_waiter import RetryWaiter
from runner.gateways.http.secret_scrubber import SecretScrubber

SHORTEST_LIFE_S = 30.0
LONGEST_LIFE_S = 24 * 3600.0
RENEW_BEFORE_S = 300.0
HOLD_OFF_S = 15.0
"""The wait after a failed renewal, while the old token is still valid."""

_SERVER_ERROR = 500
_NO_TOKENS_HERE = {404, 405, 410}
_ERROR_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_BEARER = re.compile(r"[\x21-\x7e]{1,16384}", re.ASCII)


class NoTokenYet(GatewayError):
    """The token server gave no token; the credentials may be right, and a later try may succeed."""


@frozen
class Token:
    """A bearer token; the times are the clock's monotonic seconds, `number` counts from 1."""

    number: int
    bearer: Secret
    renew_at: float
    expires_at: float

    @property
    def authorization(self) -> str:
        """The value of the `Authorization` header."""
        return f"Bearer {self.bearer.reveal()}"


class Tokens:
    """The token of a run, renewed as needed, one renewal at a time."""

    def __init__(
        self,
        place: Place,
        environment: Environment,
        client: httpx.AsyncClient,
        waiter: RetryWaiter,
    ) -> None:
        if environment.client_id is None or environment.client_secret is None:
            raise ValueError(f"environment {environment.name} has no credentials")
        self._place = place
        self._client_id = environment.client_id
        self._client_secret = environment.client_secret
        self._scopes = environment.scopes
        self._client = client
        self._waiter = waiter
        self._hiding = SecretScrubber()
        self._hiding.add(self._client_secret.reveal())
        self._hiding.add(self._basic())
        self._token: Token | None = None
        self._renewal: asyncio.Task[Token] | None = None
        self._asked_until = -math.inf  # the end of a wait that no attempt was left to wait for
        self.taken = 0  # the number of the newest that a server accepted

    def took(self, token: Token) -> None:
        """Record that a server accepted a token."""
        self.taken = max(self.taken, token.number)

    @property
    def renewals(self) -> int:
        """How many tokens were fetched after the first."""
        return self._token.number - 1 if self._token else 0

    @property
    def serves(self) -> bool:
        """Whether there is a token that has not expired, even if its renewal is due."""
        return self._token is not None and self._waiter.clock.now() < self._token.expires_at

    @property
    def scopes(self) -> str:
        """The scopes that are asked for, as one text."""
        return " ".join(self._scopes)

    async def current(self) -> Token:
        """Return a valid token, fetched if necessary.

        Raises `GatewayError` if there is none.
        """
        token, now = self._token, self._waiter.clock.now()
        if token is not None and now < token.renew_at:
            return token
        try:
            return await self._renewed()
        except NoTokenYet:
            if token is None or self._waiter.clock.now() >= token.expires_at:
                raise
            held_off = max(self._waiter.clock.now() + HOLD_OFF_S, self._asked_until)
            self._token = replace(token, renew_at=min(held_off, token.expires_at))
            return self._token

    async def after(self, refused: Token) -> Token:
        """Return a token newer than the one that was refused. Raises `GatewayError`."""
        token = self._token
        if token is not None and token.number > refused.number:
            return await self.current()
        if token is not None:  # not to be used any more
            self._token = replace(token, renew_at=-math.inf, expires_at=-math.inf)
        return await self._renewed()

    def hide(self, text: str) -> str:
        """Return foreign text with our secrets removed."""
        return self._hiding.hide(text)

    async def close(self) -> None:
        """Stop a renewal that is under way."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])

    async def _renewed(self) -> Token:
        """Wait for the renewal under way, or begin one; a cancelled caller does not cancel it."""
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._fetch())
            self._renewal.add_done_callback(self._renewal_ended)
        renewal, caller = self._renewal, asyncio.current_task()
        try:
            return await asyncio.shield(renewal)
        except asyncio.CancelledError:
            if renewal.cancelled() and caller is not None and not caller.cancelling():
                raise self._place.error("the gateway was closed meanwhile", "run again") from None
            raise

    def _renewal_ended(self, renewal: asyncio.Task[Token]) -> None:
        self._renewal = None
        if not renewal.cancelled() and renewal.exception() is None:
            self._token = renewal.result()

    async def _fetch(self) -> Token:
        """Request a token until one is granted or the attempts are used up."""
        place, attempts = self._place, self._waiter.policy.attempts
        if (left_s := self._asked_until - self._waiter.clock.now()) > 0:
            await self._waiter.clock.sleep(left_s)
        for attempt in range(1, attempts + 1):
            asked_s = None
            try:
                answer = await self._asked()
            except ConnectionFailed as error:
                what, check = error.what, error.check
                if error.final:
                    raise place.error(what, check) from error
            else:
                if not _temporary(answer):
                    return self._token_of(answer)
                what = f"the token server answers {answer.status}"
                check = "check its health, then run again"
                asked_s = retry_after_s(answer.headers, self._waiter.clock.wall())
            wait_s = self._waiter.wait_s(attempt, asked_s, place, "the token server")
            if attempt < attempts:
                await self._waiter.clock.sleep(wait_s)
            elif asked_s is not None:
                self._asked_until = self._waiter.clock.now() + wait_s
        raise place.error_of(
            NoTokenYet, f"no token after {counted(attempts, 'attempt')}: {what}", check
        )

    async def _asked(self) -> Answer:
        headers = {"Authorization": f"Basic {self._basic()}"}
        form = {"grant_type": "client_credentials"}
        if self._scopes:
            form["scope"] = self.scopes
        return await exchange(self._client, "POST", self._place.url, headers, form)

    def _basic(self) -> str:
        """Return the client's id and secret, encoded for Basic authentication (RFC 7617)."""
        pair = f"{self._client_id.reveal()}:{self._client_secret.reveal()}".encode()
        return base64.b64encode(pair).decode()

    def _token_of(self, answer: Answer) -> Token:
        """Return the token in an answer. Raises `GatewayError` for any other answer."""
        place = self._place
        if answer.redirect is not None:
            raise place.error(
                f"the token server redirects to {shown(self.hide(answer.redirect))}, which is not followed",
                "set `endpoints.token_url` to the address that issues tokens",
            )
        if not httpx.codes.is_success(answer.status):
            raise self._refusal(answer)
        body = answer.json_object()
        if body is None:
            media_type = self.hide(answer.headers.get("Content-Type", "no type"))
            flaw = answer.flaw or harmless(media_type, 80)
            raise place.error(
                f"the token server's answer is not a JSON object ({flaw})",
                "check `endpoints.token_url`: a login page or a proxy may answer there",
            )
        life_s = _life_s(body.get("expires_in"))
        bearer = body.get("access_token")
        if life_s is None:
            raise self._malformed("a missing, negative or impossible expires_in")
        if not isinstance(bearer, str) or not _BEARER.fullmatch(bearer):
            raise self._malformed("no usable access_token")
        if str(body.get("token_type", "bearer")).lower() != "bearer":
            raise self._malformed("a token_type other than Bearer")
        self._check_scopes(body.get("scope"))
        self._hiding.add(bearer)
        now = self._waiter.clock.now()
        return Token(
            number=self._token.number + 1 if self._token else 1,
            bearer=Secret(bearer),
            renew_at=now + life_s - min(RENEW_BEFORE_S, life_s / 5),
            expires_at=now + life_s,
        )

    def _malformed(self, what: str) -> GatewayError:
        return self._place.error(
            f"the token server's answer has {what}",
            "check `endpoints.token_url` and ask the gateway's owner (RFC 6749, 5.1)",
        )

    def _refusal(self, answer: Answer) -> GatewayError:
        code = (answer.json_object() or {}).get("error")
        named = isinstance(code, str) and _ERROR_CODE.fullmatch(code) and self.hide(code) == code
        check = (
            "check the credentials' references (client_id, client_secret), that the client may "
            "use client credentials, and the region"
        )
        if not named and answer.status in _NO_TOKENS_HERE:
            check = "check `endpoints.token_url`, its path included, and the region"
        return self._place.error(
            f"the token server refuses: {answer.status} {code if named else 'without error code'}",
            check,
        )

    def _check_scopes(self, granted: object) -> None:
        if granted is None:
            return  # RFC 6749, 5.1: left out where it is what was asked for
        had = granted.split() if isinstance(granted, str) else []
        missing = [scope for scope in self._scopes if scope not in had]
        if missing:
            raise self._place.error(
                f"the granted token lacks the scope {', '.join(missing)}",
                "have it added to the client's role, or take it out of `scopes`",
            )


def _temporary(answer: Answer) -> bool:
    return answer.status == httpx.codes.TOO_MANY_REQUESTS or answer.status >= _SERVER_ERROR


def _life_s(expires_in: object) -> float | None:
    """Return the token's life within bounds; None unless it is a finite number of at least 0."""
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return None
    if isinstance(expires_in, float) and not math.isfinite(expires_in):
        return None
    if expires_in < 0:
        return None
    return float(min(max(expires_in, SHORTEST_LIFE_S), LONGEST_LIFE_S))
