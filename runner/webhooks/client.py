"""Signs a callback's body and posts it to a checked address."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime

import httpx
from standardwebhooks import Webhook

from runner import __version__
from runner.core.manifest.model import Callback, Secret, plain
from runner.core.pacing.retry_after import retry_after_s
from runner.core.transfer.message import harmless
from runner.core.webhook import (
    Answered,
    AttemptResult,
    Refused,
    Suppressed,
    Unreachable,
    check_webhook_secret,
)
from runner.webhooks.addresses import Resolve, check_addresses

LARGEST_ANSWER = 64 * 1024
"""Bytes of an answer's body that are read before the connection is dropped."""

_CONNECT_S = 4.0  # so that a silent first address leaves time for the second
_REASON_LIMIT = 200
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


class WebhookClient:
    """Posts to one callback: its connections are kept only for the host that was checked."""

    def __init__(
        self, callback: Callback, *, resolve: Resolve, tls: ssl.SSLContext, simulated: bool
    ) -> None:
        self._callback = callback
        self._resolve = resolve
        self._simulated = simulated
        # No proxy from the environment: it would connect to an address of its own choosing.
        self._client = httpx.AsyncClient(
            verify=tls,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=_CONNECT_S),  # `post` limits the whole
        )
        secret = callback.secret.reveal() if callback.secret else None
        self._objection = check_webhook_secret(secret) if secret is not None else None
        self._signer = Webhook(secret) if secret and not self._objection else None

    async def post(
        self, webhook_id: str, body: str, *, wall_s: float, within_s: float
    ) -> AttemptResult:
        """Deliver `body` once, in `within_s` seconds at most; `wall_s` dates the signature."""
        try:
            async with asyncio.timeout(within_s):
                return await self._post(webhook_id, body, wall_s)
        except TimeoutError:
            return Unreachable(f"no answer within {within_s:g} s")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _post(self, webhook_id: str, body: str, wall_s: float) -> AttemptResult:
        if self._objection:
            return Refused(self._objection)
        try:
            url = httpx.URL(plain(self._callback.url))
            headers = self._headers(url, webhook_id, body, wall_s)
        except (httpx.InvalidURL, ValueError):  # UnicodeError is a ValueError
            return Refused("its url or headers are malformed; correct them in the manifest")
        addresses = await self._checked(url)
        if not isinstance(addresses, list):
            return addresses
        return await self._first_that_answers(url, addresses, headers, body.encode(), wall_s)

    async def _checked(self, url: httpx.URL) -> list[str] | Refused | Suppressed | Unreachable:
        host = url.raw_host.decode("ascii").strip("[]")
        try:
            addresses = await self._resolve(host, url.port or _default_port(url))
        except (OSError, UnicodeError):
            addresses = []
            if self._simulated:
                return Suppressed(
                    "not a loopback address; under the simulator nothing else is called"
                )
        objection = check_addresses(
            addresses,
            encrypted=url.scheme == "https",
            allow_private=self._callback.allow_private,
            simulated=self._simulated,
        )
        return objection or list(addresses)

    def _headers(self, url: httpx.URL, webhook_id: str, body: str, wall_s: float) -> httpx.Headers:
        given = self._callback.headers.items()
        theirs = {name: plain(value) for name, value in given if name.lower() not in _OURS}
        headers = httpx.Headers(theirs)
        headers.update(
            {
                "Host": url.netloc.decode("ascii"),
                "User-Agent": f"runner/{__version__}",
                "Accept-Encoding": "identity",
                "Content-Type": "application/json",
                "webhook-id": webhook_id,
                "webhook-timestamp": str(int(wall_s)),
            }
        )
        if self._signer is not None:
            moment = datetime.fromtimestamp(int(wall_s), UTC)
            headers["webhook-signature"] = self._signer.sign(webhook_id, moment, body)
        return headers

    async def _first_that_answers(
        self,
        url: httpx.URL,
        addresses: Sequence[str],
        headers: httpx.Headers,
        content: bytes,
        wall_s: float,
    ) -> AttemptResult:
        answer: AttemptResult = Unreachable("its host name has no address")
        for address in addresses:
            request = self._client.build_request(
                self._callback.method,
                url.copy_with(host=address),
                headers=headers,
                content=content,
                extensions={"sni_hostname": url.raw_host.decode("ascii").strip("[]").rstrip(".")},
            )
            try:
                return await self._sent(request, wall_s)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                is_secret = isinstance(self._callback.url, Secret)
                answer = Unreachable(_cannot_connect(url, error, is_secret=is_secret))
            except httpx.LocalProtocolError:
                return Refused("its url or headers are malformed; correct them in the manifest")
            except httpx.HTTPError as error:
                return Unreachable(f"the connection broke ({type(error).__name__})")
        return answer

    async def _sent(self, request: httpx.Request, wall_s: float) -> Answered:
        response = await self._client.send(request, stream=True)
        try:
            read = 0
            async for part in response.aiter_raw():
                read += len(part)
                if read > LARGEST_ANSWER:
                    break
        finally:
            await response.aclose()
        return Answered(response.status_code, retry_after_s(response.headers, wall_s))


def _default_port(url: httpx.URL) -> int:
    return 443 if url.scheme == "https" else 80


def _cannot_connect(url: httpx.URL, error: httpx.TransportError, *, is_secret: bool) -> str:
    """Return an error text with host and port only: paths and queries may hold tokens.

    An address that is a secret is not named at all.
    """
    host = "its host" if is_secret else url.host
    place = host if is_secret else f"{host}:{url.port or _default_port(url)}"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            what = getattr(cause, "verify_message", "") or cause.reason or "TLS failed"
            return harmless(f"TLS with {host}: {what}", _REASON_LIMIT)
        cause = cause.__cause__ or cause.__context__
    return harmless(f"cannot connect to {place}", _REASON_LIMIT)
