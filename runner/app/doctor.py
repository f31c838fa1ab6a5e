"""`doctor`: connects as a run would, read-only, and explains what it meets on the way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping
from ssl import SSLContext
from typing import Any

from runner.app.system_clock import SystemClock
from runner.composition import client_of, opened_environment
from runner.core.diagnostics.diagnosis import (
    Check,
    Health,
    Permission,
    check_allowance,
    check_certificate,
    check_clock,
    check_permissions,
)
from runner.core.errors import GatewayError
from runner.core.manifest.model import Environment, Manifest, Platform
from runner.core.manifest.queue_selection import named_in
from runner.core.pacing.retry_after import http_date_s
from runner.core.transfer.message import Reply, Stray
from runner.gateways.http.client import Answer, exchange, http_client, trusted_context
from runner.gateways.http.errors import ConnectionFailed, Place, shown, wanted_scope
from runner.gateways.http.oauth import Token, Tokens
from runner.gateways.http.retry_waiter import RetryWaiter
from runner.gateways.probes import addresses_of, connect, host_and_port, is_secure, reach
from runner.ports import SessionLost, SessionOpened
from runner.staging.rows import Staging

LOOK_UP = "/api/v2/interactions/runner-doctor"
SUBJECT = "/api/v2/authorization/subjects/me?includeFullRoles=true"

_MOVES = "conversation:communication:blindTransfer"
_DESTINATIONS = {
    "genesys://queue/": f"{_MOVES}Queue",
    "genesys://user/": f"{_MOVES}Agent",
    "tel:": _MOVES,
    "sip:": _MOVES,
}
"""By what a destination begins with, what may move something there, beside `_MOVES`."""

_OBSERVING = (
    "analytics:queueObservation:view",
    "analytics:conversationDetail:view",
    "analytics:agentConversationDetail:view",
)


def examine(manifest: Manifest, staging: Staging) -> list[Check]:
    """Check the way to the manifest's gateway, as far as it is passable; moves nobody.

    Raises `GatewayError` if `tls.ca_file` cannot be used.
    """
    needed = tuple(_permissions(manifest, staging))
    return asyncio.run(_examined(manifest, needed))


async def _examined(manifest: Manifest, needed: tuple[Permission, ...]) -> list[Check]:
    async with opened_environment(manifest, None) as environment:
        return await _Examination(manifest, environment, needed).run()


def _permissions(manifest: Manifest, staging: Staging) -> Iterator[Permission]:
    """Yield what a client needs for this manifest (facts of the platform's operations)."""
    if manifest.environment.platform is not Platform.GENESYS_CLOUD:
        return
    destinations = [*staging.destinations(), *(s.destination_uri for s in staging.selections)]
    yield Permission("looking interactions up", ("conversation:communication:view",))
    for start, name in _DESTINATIONS.items():
        if any(uri.startswith(start) for uri in destinations):
            yield Permission(f"moving them to {start}…", tuple(dict.fromkeys((_MOVES, name))))
    named = {kind for kind, _ in filter(None, map(named_in, destinations))}
    if "queue" in named or any(named_in(f"genesys://queue/{s.queue}") for s in staging.selections):
        yield Permission("finding queues by name", ("routing:queue:view",))
    if "user" in named:
        yield Permission("finding users by name", ("directory:user:view",))
    if staging.selections:
        yield Permission("selecting what waits in a queue", _OBSERVING)


class _Examination:
    """One visit to one gateway."""

    def __init__(
        self, manifest: Manifest, environment: Environment, needed: tuple[Permission, ...]
    ) -> None:
        assert environment.endpoints is not None  # noqa: S101 - every opened environment has them
        self._manifest = manifest
        self._environment = environment
        self._endpoints = environment.endpoints
        self._needed = needed
        self._clock = SystemClock()
        self._patience = RetryWaiter(
            manifest.policy.retry, self._clock, random.random, lambda _wait_s, _why: None
        )
        self._place = Place(environment.name, self._endpoints.token_url)
        self._checks: list[Check] = []

    async def run(self) -> list[Check]:
        context = trusted_context(self._place, self._environment.ca_file)
        urls = (
            self._endpoints.token_url,
            self._endpoints.api_url,
            self._endpoints.websocket_url,
        )
        hosts = {host_and_port(url): url for url in reversed(urls) if url is not None}
        reached = [await self._reach(url, context) for url in reversed(hosts.values())]
        if not all(reached):
            self._skip("the way there has to be mended first", "token", "look-up", "session")
            return self._checks
        client = http_client(context, None)
        try:
            tokens = Tokens(self._place, self._environment, client, self._patience)
            token = await self._token(tokens)
            if token is None:
                self._skip("there is no token", "look-up", "session")
                return self._checks
            await self._ask(client, token, tokens)
            await tokens.close()
        finally:
            await client.aclose()
        await self._session()
        return self._checks

    def _add(self, name: str, health: Health, seen: str, mend: str | None = None) -> None:
        self._checks.append(Check(name, health, seen, mend))

    def _skip(self, why: str, *names: str) -> None:
        for name in names:
            self._add(name, Health.SKIPPED, why)

    async def _reach(self, url: str, context: SSLContext) -> bool:
        """Check name and TLS of one host; tell whether it can be spoken to."""
        host, port = host_and_port(url)
        name = f"{host}:{port}"
        try:
            addresses = await addresses_of(url)
            self._add(f"DNS {host}", Health.OK, ", ".join(addresses[:4]))
            if is_secure(url):
                seen = await reach(url, context)
                certificate = check_certificate(
                    f"TLS {name}", seen.version, seen.subject, seen.days_left
                )
                self._checks.append(certificate)
            else:
                await connect(url)
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
        """Put one harmless question to the REST side: its answer's headers tell the most."""
        genesys = self._environment.platform is Platform.GENESYS_CLOUD
        url = f"{self._endpoints.api_url}{SUBJECT if genesys else LOOK_UP}"
        headers = {"Authorization": token.authorization}
        try:
            answer = await exchange(client, "GET", url, headers)
        except ConnectionFailed as error:
            self._add("look-up", Health.FAILED, error.what, error.check)
            return
        date_s = http_date_s(answer.headers.get("Date", ""))
        self._checks.append(check_clock(date_s, self._clock.wall()))
        self._checks.append(self._permitted(answer) if genesys else _looked_up(answer, url))
        rate_per_s = self._environment.limits.http_rate_per_s
        heard = {name.lower(): tokens.hide(value) for name, value in answer.headers.items()}
        self._checks.append(check_allowance(heard, rate_per_s))

    def _permitted(self, answer: Answer) -> Check:
        body = answer.json_object()
        if answer.status != 200 or body is None:  # noqa: PLR2004 - OK
            seen = f"the platform does not tell them ({answer.status})"
            mend = "compare the client's roles with docs/genesys-cloud.md; the first transfer will tell"
            return Check("permissions", Health.WARNING, seen, mend)
        return check_permissions(self._needed, frozenset(_granted(body)))

    async def _session(self) -> None:
        """Open a session as a run would, and close it again."""
        gateway = client_of(self._manifest, self._environment, self._clock, random.random)
        listener = _Listener()
        try:
            await gateway.open(listener)
        except GatewayError as error:
            self._add("session", Health.FAILED, error.what, error.check)
        else:
            self._add("session", Health.OK, f"open, {listener.tls or 'no TLS'}, a ping answered")
        finally:
            await gateway.close()


def _looked_up(answer: Answer, url: str) -> Check:
    if answer.status in {200, 404}:
        return Check("look-up", Health.OK, f"interactions may be looked up ({answer.status})")
    if answer.status == 403:  # noqa: PLR2004 - forbidden
        scope = wanted_scope(answer.headers.get("WWW-Authenticate", "")) or "interaction:view"
        seen = f"look-ups are forbidden (403): the token lacks the scope {scope}"
        mend = f"have {scope} added to the client's role and to `scopes`"
        return Check("look-up", Health.FAILED, seen, mend)
    seen = f"the gateway answers {answer.status} to a look-up"
    mend = f"check `region` and `endpoints`: does {shown(url)} belong to this gateway?"
    return Check("look-up", Health.FAILED, seen, mend)


def _granted(subject: Mapping[str, Any]) -> Iterator[str]:
    """Yield the permissions of every role that a client was granted."""
    for grant in _objects(subject, "grants"):
        role = grant.get("role")
        for policy in _objects(role, "policies") if isinstance(role, dict) else ():
            domain, entity = policy.get("domain"), policy.get("entityName")
            actions = policy.get("actions")
            for action in actions if isinstance(actions, list) else ():
                yield f"{domain}:{entity}:{action}"


def _objects(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = body.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


class _Listener:
    """Hears a session open; implements `GatewayListener`."""

    tls: str | None = None

    def replied(self, reply: Reply) -> None:
        """Ignore it: nothing was asked on the session."""

    def strayed(self, stray: Stray) -> None:
        """Ignore it: nothing was asked on the session."""

    def session_opened(self, opened: SessionOpened) -> None:
        """Keep how it is secured."""
        self.tls = opened.tls

    def session_lost(self, lost: SessionLost) -> None:
        """Ignore it: the session is closed right away."""

    def gave_up(self, error: Exception) -> None:
        """Ignore it: the session is closed right away."""

    def slowed(self, why: str) -> None:
        """Ignore it: nothing is sent."""

    def paused(self, wait_s: float, why: str) -> None:
        """Ignore it: the wait is waited."""
