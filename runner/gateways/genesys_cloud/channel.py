"""Notification channels: creates, subscribes, dials and reads them (genesys-cloud.md, "Socket")."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from runner.core.errors import GatewayError, LookUpFailed
from runner.core.transfer.message import GatewayNote, harmless
from runner.core.urls import is_safe_socket
from runner.gateways.genesys_cloud.protocol.events import PING
from runner.gateways.genesys_cloud.rest import GenesysRest
from runner.gateways.http.client import Answer
from runner.gateways.http.errors import TRY_LATER, ConnectionFailed, HandshakeRefused, Place
from runner.gateways.http.oauth import Token
from runner.gateways.http.rate_limiter import Priority
from runner.gateways.http.retrying_client import IdempotentRequest
from runner.gateways.websocket.close_codes import INTERNAL_ERROR
from runner.gateways.websocket.supervisor import FAREWELL, NORMAL_CLOSURE
from runner.gateways.websocket.transport import Dial, Transport, TransportClosed
from runner.gateways.websocket.transport_check import check_transport

MOST_TOPICS = 1000
"""The most topics of a channel."""

PING_AFTER_S = 30.0
SILENT_S = 35.0
"""Seconds of silence after which a socket counts as dead."""

CHANNELS = "/api/v2/notifications/channels"

RELEASE_S = 2.0
"""The limit for releasing a channel."""

MOST_LOOKED_AT = 5
"""Other processes' channels whose topics are listed before a new channel is created."""

_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class Channel:
    """A channel with an open socket; a single task reads its frames and passes them to `hear`."""

    def __init__(
        self,
        channel_id: str,
        token: Token,
        transport: Transport,
        *,
        secure: bool,
        now: Callable[[], float],
        hear: Callable[[Channel, str | bytes], None],
    ) -> None:
        self.id = channel_id
        self.token = token
        self.transport = transport
        self.topics: dict[str, None] = {}
        self.is_leaving = False  # another replaces it
        self.fault: Exception | None = None  # what ended the reader, other than a close
        self._secure = secure
        self._now = now
        self._hear = hear
        self._heard_at = now()
        self._asked_at = self._heard_at
        self.reader = asyncio.create_task(self._read())

    async def check(self) -> None:
        """Check that the socket is usable. Raises what `check_transport` raises."""
        await check_transport(self.transport, secure=self._secure)

    async def keep_alive(self) -> bool:
        """Send a ping after `PING_AFTER_S` of silence; return False once the socket is dead."""
        now = self._now()
        if now - self._heard_at >= SILENT_S:
            return False
        if now - max(self._heard_at, self._asked_at) >= PING_AFTER_S:
            self._asked_at = now
            await self.transport.send(PING)
        return True

    async def close(self, code: int, reason: str) -> None:
        """Close the socket and wait for its reader to end; bounded in time."""
        self.is_leaving = True
        await self.transport.close(code, reason)
        await asyncio.wait([self.reader], timeout=1)
        self.reader.cancel()

    async def _read(self) -> TransportClosed:
        try:
            while True:
                frame = await self.transport.receive()
                self._heard_at = self._now()
                self._hear(self, frame)
        except TransportClosed as closed:
            return closed
        except Exception as error:  # noqa: BLE001 - kept; a reader that dies unseen hangs the run
            self.fault = error
            return TransportClosed(INTERNAL_ERROR, f"the reader failed ({type(error).__name__})")


class Channels:
    """Creates and subscribes channels; passes refusals of topics to `note`.

    `ours` has the id of every channel that this process has created or taken over.
    """

    def __init__(
        self,
        rest: GenesysRest,
        dial: Dial,
        now: Callable[[], float],
        note: Callable[[GatewayNote], None],
        ours: set[str],
    ) -> None:
        self._ours = ours
        self._in_use: set[str] = set()
        self._rest = rest
        self._dial = dial
        self._now = now
        self._note = note

    async def open(
        self, topics: Sequence[str], hear: Callable[[Channel, str | bytes], None]
    ) -> Channel:
        """Take a free channel, else create one; subscribe and dial it.

        At most `MOST_TOPICS` topics. Raises `ConnectionFailed`, `GatewayError`.
        """
        try:
            return await self._opened(topics, hear)
        except LookUpFailed as error:  # a later try may succeed
            raise ConnectionFailed(error.what, error.check) from error

    async def _opened(
        self, topics: Sequence[str], hear: Callable[[Channel, str | bytes], None]
    ) -> Channel:
        token = await self._rest.tokens.current()
        made = await self._free()
        if made is None:
            making = IdempotentRequest(
                CHANNELS, "POST", None, Priority.UPKEEP, "channel", refused=GatewayError
            )
            made = await self._rest.ask(making)
        channel_id, uri = made.get("id"), made.get("connectUri")
        if not (isinstance(channel_id, str) and channel_id and isinstance(uri, str)):
            raise ConnectionFailed("the platform's channel has no id or no address", TRY_LATER)
        if not is_safe_socket(uri):
            raise ConnectionFailed(
                "the address of the platform's channel is not encrypted",
                "check `region` or `endpoints.api_url`",
                final=True,
            )
        self._ours.add(channel_id)
        self._in_use.add(channel_id)
        held = await self._subscribed(channel_id, list(topics))
        secure = uri.startswith("wss:")
        transport = await self._dialled(uri)
        channel = Channel(channel_id, token, transport, secure=secure, now=self._now, hear=hear)
        channel.topics.update(dict.fromkeys(held))
        is_sound = False
        try:
            await channel.check()
            is_sound = True
        except TransportClosed as closed:
            raise ConnectionFailed(
                f"the channel was closed at once ({closed})", TRY_LATER
            ) from closed
        finally:
            if not is_sound:  # the caller may be cancelled as well
                await channel.close(NORMAL_CLOSURE, FAREWELL)
        return channel

    async def release(self, channel: Channel) -> None:
        """Remove the topics of a channel whose socket is closed, which marks it as free.

        The platform has no way to delete a channel, and evicts the oldest of twenty. Bounded in time;
        a failure is ignored, because the channel expires by itself.
        """
        with suppress(GatewayError, TimeoutError):
            async with asyncio.timeout(RELEASE_S):
                await self._cleared(channel.id)
        self._in_use.discard(channel.id)

    async def _cleared(self, channel_id: str) -> bool:
        """Remove all topics of a channel; False: the channel does not exist. Raises `GatewayError`."""

        def read(answer: Answer, place: Place) -> bool | None:
            if answer.status == HTTPStatus.NOT_FOUND:
                return False
            if 200 <= answer.status < 300:  # noqa: PLR2004 - the class of success
                return True
            self._rest.refuse(answer, place, request)
            return None

        request = IdempotentRequest(
            _subscriptions(channel_id), "DELETE", None, Priority.UPKEEP, "channel"
        )
        return await self._rest.retrying_client.ask(request, read)

    async def _free(self) -> Mapping[str, Any] | None:
        """Return a channel that may be used again: one of ours, or one without topics; else None.

        The platform lists the channels of this token; one without topics is no longer in use.
        """
        try:
            listed = await self._rest.ask(_listing(CHANNELS))
            candidates = [
                one
                for one in _objects(listed)
                if isinstance(one.get("id"), str)
                and is_safe_socket(one.get("connectUri") or "")
                and one["id"] not in self._in_use
            ]
            ours = [one for one in candidates if one["id"] in self._ours]
            for one in ours:
                if await self._cleared(one["id"]):
                    return one
            others = [one for one in candidates if one not in ours]
            for one in others[:MOST_LOOKED_AT]:
                if not _objects(await self._rest.ask(_listing(_subscriptions(one["id"])))):
                    return one
        except GatewayError:
            pass  # then one is created; an obstacle to that too is reported there
        return None

    async def add(self, channel: Channel, topics: Iterable[str]) -> None:
        """Subscribe a channel to further topics, as far as it has room. Raises `GatewayError`."""
        new = [topic for topic in topics if topic not in channel.topics]
        channel.topics.update(dict.fromkeys(new))  # at once, so that they are not requested again
        if new:
            await self._subscribed(channel.id, new)

    async def _subscribed(self, channel_id: str, topics: list[str]) -> list[str]:
        """Subscribe and return the topics that were accepted; a refused list is tried in halves."""
        if not topics or await self._asked(channel_id, topics):
            return topics
        if len(topics) == 1:
            return []
        middle = len(topics) // 2
        first = await self._subscribed(channel_id, topics[:middle])
        return first + await self._subscribed(channel_id, topics[middle:])

    async def _asked(self, channel_id: str, topics: list[str]) -> bool:
        """Subscribe to further topics; False: refused because of the topics or the client's rights."""

        def read(answer: Answer, place: Place) -> bool | None:
            if answer.status in {
                HTTPStatus.BAD_REQUEST,
                HTTPStatus.FORBIDDEN,
                HTTPStatus.NOT_FOUND,
            }:
                if len(topics) == 1:
                    self._note(
                        GatewayNote(f"no topic {topics[0]}", self._rest.fault_of(answer).sentence)
                    )
                return False
            if 200 <= answer.status < 300:  # noqa: PLR2004 - the class of success
                return True
            self._rest.refuse(answer, place, request)
            return None

        path = _subscriptions(channel_id)
        body = "[" + ",".join(f'{{"id":"{topic}"}}' for topic in topics) + "]"
        request = IdempotentRequest(path, "POST", body, Priority.UPKEEP, "subscription")
        return await self._rest.retrying_client.ask(request, read)

    async def _dialled(self, uri: str) -> Transport:
        """Dial a channel's own address; the secret is in it, not in a header."""
        try:
            return await self._dial(uri, {})
        except HandshakeRefused as refused:
            raise HandshakeRefused(
                refused.status,
                f"the platform refuses the channel's socket ({refused.status})",
                "check the platform's status page, and proxies on the way",
                final=refused.status in _REFUSALS,
                retry_after_s=refused.retry_after_s,
            ) from refused
        except ConnectionFailed as error:
            check = error.check if error.final else f"{TRY_LATER}; WebSocket must pass proxies"
            raise ConnectionFailed(harmless(error.what), check, final=error.final) from error


def _subscriptions(channel_id: str) -> str:
    return f"{CHANNELS}/{quote(channel_id, safe='')}/subscriptions"


def _listing(path: str) -> IdempotentRequest:
    return IdempotentRequest(path, priority=Priority.UPKEEP, thing="list of channels")


def _objects(listing: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    entities = listing.get("entities")
    return [one for one in entities if isinstance(one, dict)] if isinstance(entities, list) else []
