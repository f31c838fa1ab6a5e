"""Checks a gateway over HTTP, read-only: names, TLS, token, one request, clock, rate."""

from __future__ import annotations

from collections.abc import Callable
from ssl import SSLContext
from typing import Any

from runner.core.diagnostics.diagnosis import (
    Check,
    Health,
    check_allowance,
    check_certificate,
    check_clock,
)
from runner.core.errors import GatewayError
from runner.core.pacing.retry_after import http_date_s
from runner.drivers import Connection, Examined
from runner.gateways.http.client import Answer, exchange, http_client, trusted_context
from runner.gateways.http.errors import ConnectionFailed, Place
from runner.gateways.http.oauth import Token, Tokens
from runner.gateways.http.retry_waiter import RetryWaiter
from runner.gateways.reachability import (
    connect_plain,
    host_and_port,
    is_secure,
    resolve,
    shake_hands,
)

Judge = Callable[[Answer, str], Check]
"""Returns the check of an answer, given the URL that was requested."""


class ConnectionCheck:
    """Checks one gateway once; `judge` reads the answer to a harmless GET of `path`."""

    def __init__(self, connection: Connection, path: str, judge: Judge) -> None:
        environment = self._environment = connection.environment
        assert environment.endpoints is not None  # noqa: S101 - every opened environment has them
        self._endpoints = environment.endpoints
        self._path = path
        self._judge = judge
        self._clock = connection.clock
        self._waiter = RetryWaiter(
            connection.policy.retry, self._clock, connection.jitter, lambda _wait_s, _why: None
        )
        self._place = Place(environment.name, self._endpoints.token_url)
        self._checks: list[Check] = []

    async def run(self) -> Examined:
        """Check names, TLS and token, and send the request, until one of them fails.

        Raises `GatewayError` if `tls.ca_file` cannot be used.
        """
        context = trusted_context(self._place, self._environment.ca_file)
        urls = (
            self._endpoints.token_url,
            self._endpoints.api_url,
            self._endpoints.websocket_url,
        )
        hosts = {host_and_port(url): url for url in reversed(urls) if url is not None}
        reached = [await self._reach(url, context) for url in reversed(hosts.values())]
        if not all(reached):
            return self._ended("names or TLS have to be fixed first", "token", "look-up")
        client = http_client(context, None)
        try:
            tokens = Tokens(self._place, self._environment, client, self._waiter)
            token = await self._token(tokens)
            if token is None:
                return self._ended("there is no token", "look-up")
            await self._ask(client, token, tokens)
            await tokens.close()
        finally:
            await client.aclose()
        return Examined(self._checks)

    def _add(self, name: str, health: Health, seen: str, fix: str | None = None) -> None:
        self._checks.append(Check(name, health, seen, fix))

    def _ended(self, obstacle: str, *skipped: str) -> Examined:
        for name in skipped:
            self._add(name, Health.SKIPPED, obstacle)
        return Examined(self._checks, obstacle)

    async def _reach(self, url: str, context: SSLContext) -> bool:
        """Check the name and TLS of one host; return whether it is reachable."""
        host, port = host_and_port(url)
        name = f"{host}:{port}"
        try:
            addresses = await resolve(url)
            self._add(f"DNS {host}", Health.OK, ", ".join(addresses[:4]))
            if is_secure(url):
                seen = await shake_hands(url, context)
                certificate = check_certificate(
                    f"TLS {name}", seen.version, seen.subject, seen.days_left
                )
                self._checks.append(certificate)
            else:
                await connect_plain(url)
                self._add(f"TLS {name}", Health.OK, "none: a loopback address")
        except ConnectionFailed as error:
            self._add(name, Health.FAILED, error.what, error.check)
            return False
        return True

    async def _token(self, tokens: Tokens) -> Token | None:
        try:
            token = await tokens.current()
        except GatewayError as error:
            self._add("token", Health.FAILED, error.what, error.check)
            return None
        life_s = token.expires_at - self._clock.now()
        scopes = f", scopes {tokens.scopes}" if tokens.scopes else ""
        self._add("token", Health.OK, f"granted for {life_s / 60:.0f} min{scopes}")
        return token

    async def _ask(self, client: Any, token: Token, tokens: Tokens) -> None:
        """Send one harmless request to the REST side; the headers of its answer show clock and rate."""
        url = f"{self._endpoints.api_url}{self._path}"
        headers = {"Authorization": token.authorization}
        try:
            answer = await exchange(client, "GET", url, headers)
        except ConnectionFailed as error:
            self._add("look-up", Health.FAILED, error.what, error.check)
            return
        date_s = http_date_s(answer.headers.get("Date", ""))
        self._checks.append(check_clock(date_s, self._clock.wall()))
        self._checks.append(self._judge(answer, url))
        rate_per_s = self._environment.limits.http_rate_per_s
        heard = {name.lower(): tokens.hide(value) for name, value in answer.headers.items()}
        self._checks.append(check_allowance(heard, rate_per_s))
