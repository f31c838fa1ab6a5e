"""Faults planted into runs against the platform: each must turn the judge red."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx

from runner.app.name_resolution import DirectoryAnswers
from runner.core.transfer.message import Reply
from runner.core.transfer.states import Event
from runner.gateways.websocket.transport import Dial, Transport
from runner.ports import Gateway, GatewayListener
from tests.simulation.planted_faults import PLANTED as ELSEWHERE
from tests.simulation.platform_process import PlatformParts

Change = Callable[[Any], None]
"""Changes what the platform said, in place."""


@dataclass
class Through(httpx.AsyncBaseTransport):
    """A transport that hands every exchange on."""

    inner: httpx.AsyncBaseTransport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Hand on."""
        return await self.inner.handle_async_request(request)


class Insistent(Through):
    """An HTTP library that puts a command again when its answer is lost, or a server's failure."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask, and ask again."""
        is_command = "/participants/" in request.url.path
        try:
            response = await self.inner.handle_async_request(request)
        except httpx.ReadError:
            if not is_command:
                raise
        else:
            if not is_command or response.status_code < 500:
                return response
        return await self.inner.handle_async_request(request)


@dataclass
class Retold(Through):
    """Changes what every answer to some requests says."""

    change: Change
    path: str = "/api/v2/conversations/"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask, and change the answer."""
        response = await self.inner.handle_async_request(request)
        if not request.url.path.startswith(self.path) or not response.content:
            return response
        body = response.json()
        self.change(body)
        return httpx.Response(response.status_code, headers=_kept(response), json=body)


def _kept(response: httpx.Response) -> dict[str, str]:
    return {
        name: value
        for name, value in response.headers.items()
        if name not in {"content-length", "content-type"}
    }


@dataclass
class RetoldWire:
    """Changes what every notification says."""

    inner: Transport
    change: Change

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def receive(self) -> str:
        """Return the next frame, changed."""
        told = json.loads(await self.inner.receive())
        self.change(told.get("eventBody") or {})
        return json.dumps(told)


def _retold(change: Change) -> PlatformParts:
    def dial(inner: Dial) -> Dial:
        async def dialled(url: str, headers: Mapping[str, str]) -> Transport:
            return RetoldWire(await inner(url, headers), change)

        return dialled

    return PlatformParts(transport=lambda inner: Retold(inner, change), dial=dial)


def _mistake_consultations(body: Any) -> None:
    """Let who is consulted look like who holds the customer: nothing marks them, and they come first."""
    told = body.get("participants", [])
    told.sort(key=lambda each: "consultParticipantId" not in each)
    for participant in told:
        participant.pop("consultParticipantId", None)


def _mistake_who_came_first(body: Any) -> None:
    """Let whoever joined last look like who came first: any leg at the destination is an arrival."""
    body.get("participants", []).reverse()


def _forget_initiators(body: Any) -> None:
    for transfer in body.get("recentTransfers", ()):
        transfer["initiator"] = {}


def _call_it_whole(body: Any) -> None:
    for result in body.get("results", ()):
        result["truncated"] = False


def _blame_the_client(body: Any) -> None:
    if body.get("code") == "not.authorized":
        body["code"] = "missing.permissions"


def _without_places(found: DirectoryAnswers) -> DirectoryAnswers:
    return replace(found, rows=tuple(replace(row, found_at=None) for row in found.rows))


@dataclass
class Credulous:
    """Takes a command that the platform took for carried out."""

    inner: Gateway
    listener: GatewayListener | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def open(self, listener: GatewayListener) -> None:
        """Open, and keep who is to be told."""
        self.listener = listener
        inner: Any = self.inner
        answered = inner._moves.answered

        def believe(move: Any, *, is_accepted: bool, correlation_id: str | None) -> None:
            if is_accepted:
                believed = Reply(
                    move.command.message_id, "transfer_initiated", event=Event.ACCEPTED
                )
                listener.replied(believed)
            answered(move, is_accepted=is_accepted, correlation_id=correlation_id)

        inner._moves.answered = believe
        await self.inner.open(listener)


def _as_elsewhere(fault: str) -> PlatformParts:
    """Return a fault of the first driver's simulation, which is one here as well."""
    planted = ELSEWHERE[fault]
    return PlatformParts(
        store=planted.store,
        journal=planted.journal,
        promise=planted.promise,
        policy=planted.policy,
        plans_early=planted.plans_early,
        batch=planted.batch,
    )


PLATFORM_PLANTED: Mapping[str, PlatformParts] = {
    **{
        fault: _as_elsewhere(fault)
        for fault in (
            "blind resend by the next run",
            "query, then resend",
            "intent after send",
            "plan before lock",
            "window not heeded",
            "everything in one wave",
            "failures not counted",
            "rates of destinations not kept",
        )
    },
    "command put again": PlatformParts(transport=Insistent),
    "taken for carried out": PlatformParts(gateway=Credulous),
    "blind to consultations": _retold(_mistake_consultations),
    "blind to who still holds": _retold(_mistake_who_came_first),
    "blind to who moved it": _retold(_forget_initiators),
    "blind to truncation": PlatformParts(
        transport=lambda inner: Retold(inner, _call_it_whole, "/api/v2/analytics/")
    ),
    "one hidden conversation forbids all": PlatformParts(
        transport=lambda inner: Retold(inner, _blame_the_client)
    ),
    "selected, and moved from anywhere": PlatformParts(found=_without_places),
    "no patience while it rings": PlatformParts(
        policy=lambda policy: replace(policy, negotiation_timeout_s=10.0, outcome_timeout_s=10.0)
    ),
}
