"""A gate's HTTP address: only a figure out of its bound fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from runner.app.gates import locate
from runner.core.gates import GateAnswer, UrlGate, Verdict, parse_bound
from runner.core.manifest.model import Secret
from runner.gates.url_gate import LARGEST_ANSWER, ask_url

Answer = Callable[[httpx.Request], httpx.Response]


async def anywhere(_url: httpx.URL, _allow_private: bool) -> list[str]:  # noqa: FBT001 - as the type
    return ["192.0.2.1"]


def asked(answer: Answer, **gate: Any) -> GateAnswer:
    async def main() -> GateAnswer:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            given = UrlGate(name="crm", **{"url": "https://crm.example.net/health", **gate})
            return await ask_url(given, client, anywhere)

    return asyncio.run(main())


def depth(value: object) -> Answer:
    return lambda _request: httpx.Response(200, json={"queue": {"depth": value}})


BELOW_100: Mapping[str, Any] = {"bounds": {"/queue/depth": parse_bound("< 100")}}


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(3, Verdict.PASS), (100, Verdict.FAIL), ("3", Verdict.INCONCLUSIVE)],
)
def test_a_bound(value: object, verdict: Verdict):
    assert asked(depth(value), **BELOW_100).verdict is verdict


def test_the_request_goes_to_the_checked_address_with_its_headers():
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(204)

    headers = {"Authorization": Secret("Bearer hush"), "X-Site": "ams"}
    assert asked(answer, headers=headers, status=204).verdict is Verdict.PASS
    [request] = seen
    assert request.url.host == "192.0.2.1"
    assert request.headers["host"] == "crm.example.net"
    assert request.headers["authorization"] == "Bearer hush"
    assert request.extensions["sni_hostname"] == "crm.example.net"


@pytest.mark.parametrize("status", [301, 302, 401, 404, 429, 500, 503])
def test_any_other_status_is_inconclusive_and_no_redirect_is_followed(status: int):
    calls: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(str(request.url))
        return httpx.Response(status, headers={"location": "https://elsewhere.example.net/"})

    assert asked(answer, **BELOW_100).verdict is Verdict.INCONCLUSIVE
    assert len(calls) == 1


def raising(error: Exception) -> Answer:
    def answer(_request: httpx.Request) -> httpx.Response:
        raise error

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        raising(httpx.ConnectError("refused")),
        raising(httpx.ReadError("cut")),
        raising(httpx.RemoteProtocolError("rubbish")),
        lambda _request: httpx.Response(200, content=b"x" * (LARGEST_ANSWER + 1)),
    ],
)
def test_what_cannot_be_found_out_is_inconclusive(answer: Answer):
    assert asked(answer, **BELOW_100).verdict is Verdict.INCONCLUSIVE


def test_a_slow_answer_is_inconclusive():
    async def main() -> GateAnswer:
        async def slow(_request: httpx.Request) -> httpx.Response:
            await asyncio.Event().wait()
            return httpx.Response(200)

        async with httpx.AsyncClient(transport=httpx.MockTransport(slow)) as client:
            gate = UrlGate(name="crm", url="https://crm.example.net/", timeout_s=0.01)
            return await ask_url(gate, client, anywhere)

    answer = asyncio.run(main())
    assert answer == GateAnswer(Verdict.INCONCLUSIVE, "no answer within 0.01 s")


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "https://10.0.0.1/", "https://[::1]/"])
def test_private_addresses_are_asked_only_where_that_is_allowed(url: str):
    async def main(*, allowed: bool) -> object:
        return await locate(httpx.URL(url), allowed)

    refused = asyncio.run(main(allowed=False))
    assert isinstance(refused, str)
    assert "allow_private" in refused
    assert isinstance(asyncio.run(main(allowed=True)), list)
