"""The contract between engine and driver, as pytest tests to derive from.

    class TestAcme(DriverContract):
        @asynccontextmanager
        async def stage(self):
            async with acme_server() as server:
                yield Stage(SPEC, connection_to(server), known="c-1", destination_uri="tel:+1")

The tests are plain functions with their own event loop: they need no pytest plugin. Each waits for
at most `PATIENCE_S` real seconds.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import fields
from itertools import count

from runner.core.errors import GatewayError
from runner.core.frozen import frozen
from runner.core.manifest.media import Audio, MediaMatrix
from runner.core.manifest.model import Endpoints
from runner.core.timestamps import timestamp
from runner.core.transfer.message import Draft, Request
from runner.core.transfer.states import Event
from runner.drivers import Connection, DriverSpec
from runner.ports import Gateway
from runner.testing.listener import RecordingListener

PATIENCE_S = 30.0
"""The limit for each test."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_ANSWERS = {Event.ACCEPTED, Event.LIMITED, Event.UNSUITED, Event.DENIED, Event.LOST}
_VOICE = MediaMatrix(Audio("opus", 64, 16))


@frozen
class Stage:
    """A driver, connected to a server of its tests.

    `known` is an interaction of the server that may be moved to `destination_uri`.
    """

    spec: DriverSpec
    connection: Connection
    known: str
    destination_uri: str
    unknown: str | None = None  # an interaction that the server does not have
    media: MediaMatrix = _VOICE
    lose_session: Callable[[], Awaitable[None]] | None = None  # ends the session at the server


class DriverContract(ABC):
    """The tests; derive a class and implement `stage`."""

    @abstractmethod
    def stage(self) -> AbstractAsyncContextManager[Stage]:
        """Start a server and return the driver, connected to it."""

    def test_the_specification_is_consistent(self) -> None:
        """Facts that the manifest's checks rely on."""

        async def run() -> None:
            async with self.stage() as stage:
                spec = stage.spec
                assert _NAME.fullmatch(spec.name)
                known = {each.name for each in fields(Endpoints)}
                assert "api_url" in spec.endpoints
                assert known.issuperset(spec.endpoints)
                for region in spec.regions.values():
                    assert all(getattr(region, each) for each in spec.endpoints)
                assert spec.example_region is None or spec.example_region in spec.regions
                assert not spec.can_select or spec.directory is not None
                assert spec.promises <= {"dedupes", "expires"}
                assert stage.connection.environment.driver is spec

        asyncio.run(run())

    def test_a_message_passes_its_own_verification_and_names_its_delivery(self) -> None:
        """The journal finds a delivery by its id, and a repeat is sent from the text alone."""

        async def run() -> None:
            async with self._opened() as (stage, gateway, _):
                request = await _request(stage, gateway)
                assert request.message_id in request.text
                assert request.text.isprintable()
                assert stage.spec.codec().find_fault(request.message, stage.media) is None

        asyncio.run(run())

    def test_open_reports_a_session_before_it_returns(self) -> None:
        """A run begins to send as soon as `open` returns."""

        async def run() -> None:
            async with self._opened() as (_, gateway, listener):
                assert [each.generation for each in listener.opened] == [1]
                assert gateway.generation == 1
                assert gateway.writable()
                assert gateway.due_in(0) >= 0

        asyncio.run(run())

    def test_a_look_up_returns_the_interaction_that_was_asked_for(self) -> None:
        """An answer about another interaction would be taken for this one's."""

        async def run() -> None:
            async with self._opened() as (stage, gateway, _):
                seen = await gateway.look_up(stage.known)
                assert (seen.interaction_id, seen.found) == (stage.known, True)
                if stage.unknown is not None:
                    assert not (await gateway.look_up(stage.unknown)).found

        asyncio.run(run())

    def test_a_delivery_is_answered_once_under_its_id(self) -> None:
        """An answer that comes twice, or with another id, would be recorded for the wrong delivery."""

        async def run() -> None:
            async with self._opened() as (stage, gateway, listener):
                request = await _request(stage, gateway)
                await gateway.submit(request)
                await _until(lambda: bool(listener.replies))
                await asyncio.sleep(0)
                assert [reply.message_id for reply in listener.replies] == [request.message_id]
                assert listener.replies[0].event in _ANSWERS

        asyncio.run(run())

    def test_without_a_session_nothing_is_written(self) -> None:
        """A delivery that raises `GatewayError` was certainly not sent."""

        async def run() -> None:
            async with self._opened() as (stage, gateway, listener):
                request = await _request(stage, gateway)
                await gateway.close()
                assert gateway.generation is None
                assert not gateway.writable()
                try:
                    await gateway.submit(request)
                except GatewayError:
                    assert listener.replies == []
                else:
                    raise AssertionError("a delivery was taken without a session")

        asyncio.run(run())

    def test_close_is_reported_as_ours_and_may_be_repeated(self) -> None:
        """A session that is lost in another way leaves its deliveries in doubt."""

        async def run() -> None:
            async with self._opened() as (_, gateway, listener):
                await gateway.close()
                await gateway.close()
                assert [(each.generation, each.ours) for each in listener.lost] == [(1, True)]
                assert listener.errors == []

        asyncio.run(run())

    def test_a_lost_session_is_reported_and_another_follows(self) -> None:
        """Skipped silently for a stage that cannot lose its session."""

        async def run() -> None:
            async with self._opened() as (stage, gateway, listener):
                if stage.lose_session is None:
                    return
                await stage.lose_session()
                await _until(lambda: len(listener.opened) > 1)
                assert [(each.generation, each.ours) for each in listener.lost] == [(1, False)]
                assert gateway.generation == listener.opened[1].generation == 2  # noqa: PLR2004 - the next

        asyncio.run(run())

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[tuple[Stage, Gateway, RecordingListener]]:
        async with asyncio.timeout(PATIENCE_S), self.stage() as stage:
            gateway, listener = stage.spec.gateway(stage.connection), RecordingListener()
            try:
                await gateway.open(listener)
                yield stage, gateway, listener
            finally:
                await gateway.close()


_ids = count(1)


async def _request(stage: Stage, gateway: Gateway) -> Request:
    """Return a delivery as the engine builds it: after a look-up, if the driver needs one."""
    seen = await gateway.look_up(stage.known) if stage.spec.needs_lookup else None
    message_id = f"00000000-0000-4000-8000-{next(_ids):012x}"
    at = timestamp(stage.connection.clock.wall())
    draft = Draft(message_id, stage.known, stage.destination_uri, stage.media, at, seen)
    return Request(message_id, stage.spec.codec().compose(draft), stage.connection.clock.now())


async def _until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.001)
