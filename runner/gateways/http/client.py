"""One HTTP exchange within bounds: verified TLS, a time limit, no redirects, no decompression."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import httpx

from runner.core.frozen import frozen
from runner.core.lenient_json import decode_json
from runner.core.transfer.message import map_texts
from runner.gateways.http.errors import ConnectionFailed, Place, explained, without_user
from runner.gateways.http.unpooled_transport import UnpooledTransport

EXCHANGE_S = 10.0
"""The limit for a whole HTTP exchange, however slowly its bytes arrive."""

EXCHANGES_AT_ONCE = 64
"""Exchanges at a time; further ones wait in a queue, and their time limit begins after it."""

BODY_LIMIT = 1_000_000
"""Bytes of a body that are read, unless the caller allows more."""


@frozen
class Answer:
    """An HTTP answer. `flaw` is the reason why its body was not read; the rest is valid anyway.

    `hide` removes our secrets from the decoded body.
    """

    status: int
    headers: httpx.Headers
    body: bytes = b""
    flaw: str | None = None
    hide: Callable[[str], str] | None = None

    def without_secrets(self, hide: Callable[[str], str]) -> Answer:
        """Return the answer with our secrets removed from headers and body."""
        # As UTF-8, which has a form for every character that a header's bytes are read as.
        named = [(n.encode(), hide(text).encode()) for n, text in self.headers.multi_items()]
        return replace(self, headers=httpx.Headers(named, encoding="utf-8"), hide=hide)

    def json_object(self) -> dict[str, Any] | None:
        """Return the body if it is a JSON object that does not contradict itself, else None."""
        try:
            body, _, is_consistent = decode_json(self.body)
            body = body if self.hide is None else map_texts(body, self.hide)
        except (ValueError, RecursionError):
            return None
        return body if isinstance(body, dict) and is_consistent else None

    @property
    def redirect(self) -> str | None:
        """The target of a redirect ("nowhere" without one); None for other answers."""
        if httpx.codes.is_redirect(self.status):
            return str(self.headers.get("Location", "nowhere"))
        return None


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Return the context of all connections: TLS 1.2 or newer, certificate and name verified.

    Raises `OSError` if `ca_file` cannot be read or holds no certificate.
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def trusted_context(place: Place, ca_file: str | None) -> ssl.SSLContext:
    """Return the context of all connections. Raises `GatewayError` if `ca_file` cannot be used."""
    try:
        return tls_context(ca_file)
    except OSError as error:
        what = f"`tls.ca_file` {ca_file} cannot be used ({error.strerror or 'no certificate'})"
        raise place.error(what, "point it to a readable PEM file") from error


def http_client(
    context: ssl.SSLContext | None, transport: httpx.AsyncBaseTransport | None
) -> httpx.AsyncClient:
    """Return the client for OAuth and REST: redirects and the environment's proxies ignored."""
    quiet_libraries()
    return httpx.AsyncClient(
        transport=transport or UnpooledTransport(context),
        trust_env=False,
        follow_redirects=False,
        timeout=EXCHANGE_S,
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
    )


def quiet_libraries() -> None:
    """Keep the libraries from logging URLs with queries and headers with tokens."""
    for name in ("httpx", "httpcore", "websockets"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


Trace = Callable[[str, dict[str, Any]], Awaitable[None]]
"""Called with each step of an exchange; raises to end it (httpcore's `trace`)."""


async def exchange(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    headers: Mapping[str, str],
    form: Mapping[str, str] | None = None,
    *,
    content: str | None = None,
    trace: Trace | None = None,
    body_limit: int = BODY_LIMIT,
) -> Answer:
    """Send one request and read its answer; `content` is JSON text, `body_limit` is in bytes.

    Raises `ConnectionFailed` if no answer comes in time.
    """
    if client.is_closed:
        raise ConnectionFailed("the gateway was closed meanwhile", "run again", final=True)
    try:
        async with asyncio.timeout(EXCHANGE_S):
            request = client.build_request(
                method,
                without_user(url),
                headers=_typed(headers, content),
                data=form,
                content=content,
                extensions=None if trace is None else {"trace": trace},
            )
            response = await client.send(request, stream=True)
            try:
                return await _read(response, body_limit)
            finally:
                await response.aclose()
    except httpx.TimeoutException as error:
        raise explained(TimeoutError()) from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
        raise explained(error) from error


def _typed(headers: Mapping[str, str], content: str | None) -> dict[str, str]:
    json_type = {} if content is None else {"Content-Type": "application/json"}
    return {**headers, **json_type}


async def _read(response: httpx.Response, limit: int) -> Answer:
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        return Answer(response.status_code, response.headers, flaw="a compressed body")
    if response.is_stream_consumed:  # an injected transport answers whole
        return Answer(response.status_code, response.headers, response.content)
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > limit:
            flaw = f"a body over {limit // 1_000_000} MB"
            return Answer(response.status_code, response.headers, flaw=flaw)
    return Answer(response.status_code, response.headers, bytes(body))
