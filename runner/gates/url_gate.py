"""Asks a gate's HTTP address, without redirects and proxies, at an address that was checked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import httpx

from runner import __version__
from runner.core.gates import GateAnswer, UrlGate, Verdict, judge_response
from runner.core.manifest.model import Secret

LARGEST_ANSWER = 256 * 1024
"""Bytes of an answer's body that are read; a longer one is inconclusive."""

Locate = Callable[[httpx.URL, bool], Awaitable[Sequence[str] | str]]
"""Returns the addresses of a URL that may be asked, or in words why none may.

The second argument says whether private ones may.
"""


async def ask_url(gate: UrlGate, client: httpx.AsyncClient, locate: Locate) -> GateAnswer:
    """Return the verdict of an HTTP address within the gate's time-out."""
    try:
        async with asyncio.timeout(gate.timeout_s):
            return await _ask(gate, client, locate)
    except TimeoutError:
        return _inconclusive(f"no answer within {gate.timeout_s:g} s")
    except httpx.InvalidURL:
        return _inconclusive("its url is malformed")
    except httpx.HTTPError as error:
        return _inconclusive(f"cannot be asked ({type(error).__name__})")


async def _ask(gate: UrlGate, client: httpx.AsyncClient, locate: Locate) -> GateAnswer:
    url = httpx.URL(gate.url)
    addresses = await locate(url, gate.allow_private)
    if isinstance(addresses, str):
        return _inconclusive(addresses)
    headers = {
        name: value.reveal() if isinstance(value, Secret) else str(value)
        for name, value in gate.headers.items()
    }
    request = client.build_request(
        "GET",
        url.copy_with(host=addresses[0]),
        headers={
            "User-Agent": f"runner/{__version__}",
            "Accept-Encoding": "identity",
            **headers,
            "Host": url.netloc.decode("ascii"),
        },
        extensions={"sni_hostname": url.raw_host.decode("ascii").strip("[]").rstrip(".")},
    )
    response = await client.send(request, stream=True)
    try:
        body = await _body_of(response) if gate.bounds else b""
    finally:
        await response.aclose()
    if body is None:
        return _inconclusive(f"the answer is longer than {LARGEST_ANSWER // 1024} KiB")
    return judge_response(gate, response.status_code, body)


async def _body_of(response: httpx.Response) -> bytes | None:
    found = bytearray()
    async for part in response.aiter_bytes():
        found += part
        if len(found) > LARGEST_ANSWER:
            return None
    return bytes(found)


def _inconclusive(why: str) -> GateAnswer:
    return GateAnswer(Verdict.INCONCLUSIVE, why)
