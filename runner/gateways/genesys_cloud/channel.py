"""One notifications channel: made, subscribed, its socket dialled and read (genesys-cloud.md, "Socket")."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from runner.core.errors import GatewayError, LookUpFailed
from runner.core.transfer.message import StrayFrame, harmless
from runner.core.urls import is_safe_socket
from runner.gateways.genesys_cloud.protocol.events import PING
from runner.gateways.genesys_cloud.rest import GenesysRest
from runner.gateways.http.client import Answer
from runner.gateways.http.errors import TRY_LATER, ConnectionFailed, HandshakeRefused, Place
from runner.gateways.http.oauth import Token
from runner.gateways.http.rate_limiter import Priority
from runner.gateways.http.retrying_client import IdempotentRequest
from runner.gateways.websocket.close_codes import INTERNAL_ERROR
from runner.gateways.websocket.session import check_wire
from runner.gateways.websocket.supervisor import FAREWELL, NORMAL_CLOSURE
from runner.gateways.websocket.transport import Dial, Transport, TransportClosed

MOST_TOPICS = 1000
"""Topics that one channel holds."""

PING_AFTER_S = 30.0
SILENT_S = 35.0
"""A socket that has said nothing for so long is dead."""

CHANNELS = "/api/v2/notifications/channels"

RELEASE_S = 2.0
"""How long a channel is tried to be released, at most."""

MOST_LOOKED_AT = 5
"""Channels of others that are asked what they follow, before another is made."""

_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class Channel:
    """A channel whose socket is open; frames go to `hear`, read by one task alone."""

    def __init__(
        self,
        channel_id: str,
        token: Token,
        wire: Transport,
        *,
        secure: bool,
        now: Callable[[], float],
        hear: Callable[[Channel, str | bytes], None],
    ) -> None:
        self.id = channel_id
        self.token = token
        self.wire = wire
        self.topics: dict[str, None] = {}
        self.is_leaving = False  # another takes its place
        self.fault: Exception | None = None  # what ended the reader, if it was no close
        self._secure = secure
        self._now = now
        self._hear = hear
        self._heard_at = now()
        self._asked_at = self._heard_at
        self.reader = asyncio.create_task(self._read())

    async def check(self) -> None:
        """See that the socket is usable. Raises as `check_wire` does."""
        await check_wire(self.wire, secure=self._secure)

    async def keep_alive(self) -> bool:
        """Ask for a sign of life if none came for a while; False: it is dead."""
        now = self._now()
        if now - self._heard_at >= SILENT_S:
            return False
        if now - max(self._heard_at, self._asked_at) >= PING_AFTER_S:
            self._asked_at = now
            await self.wire.send(PING)
        return True

    async def close(self, code: int, reason: str) -> None:
        """Close the socket and wait for the reader's end; bounded in time."""
        self.is_leaving = True
        await self.wire.close(code, reason)
        await asyncio.wait([self.reader], timeout=1)
        self.reader.cancel()

    async def _read(self) -> TransportClosed:
        try:
            while True:
                frame = await self.wire.receive()
                self._heard_at = self._now()
                self._hear(self, frame)
        except TransportClosed as closed:
            return closed
        except Exception as error:  # noqa: BLE001 - kept; a reader that dies unseen hangs the run
            self.fault = error
            return TransportClosed(INTERNAL_ERROR, f"the reader failed ({type(error).__name__})")


class Channels:
    """Makes channels, and subscribes them; what a topic is refused for goes to `note`.

    `ours` are the ids of channels that this process made, or took over, whatever became of them.
    """

    def __init__(
        self,
        rest: GenesysRest,
        dial: Dial,
        now: Callable[[], float],
        note: Callable[[StrayFrame], None],
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
        """Take a channel that is free, else make one; subscribe and dial it.

        At most `MOST_TOPICS` topics. Raises `ConnectionFailed`, `GatewayError`.
        """
        try:
            return await self._opened(topics, hear)
        except LookUpFailed as error:  # it may be otherwise in a while
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
                "the platform's channel has an address that is not encrypted",
                "check `region` or `endpoints.api_url`",
                final=True,
            )
        self._ours.add(channel_id)
        self._in_use.add(channel_id)
        held = await self._subscribed(channel_id, list(topics))
        secure = uri.startswith("wss:")
        wire = await self._dialled(uri)
        channel = Channel(channel_id, token, wire, secure=secure, now=self._now, hear=hear)
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
            if not is_sound:  # the caller that waited for it may be gone as well
                await channel.close(NORMAL_CLOSURE, FAREWELL)
        return channel

    async def release(self, channel: Channel) -> None:
        """Have a channel whose socket is closed follow nothing: it is then seen to be free.

        The platform lets nobody delete one, and evicts the oldest of twenty. Bounded in time; a
        failure is passed over, as the channel lapses by itself.
        """
        with suppress(GatewayError, TimeoutError):
            async with asyncio.timeout(RELEASE_S):
                await self._cleared(channel.id)
        self._in_use.discard(channel.id)

    async def _cleared(self, channel_id: str) -> bool:
        """Drop all that a channel follows; False: there is no such channel. Raises `GatewayError`."""

        def read(answer: Answer, place: Place) -> bool | None:
            if answer.status == HTTPStatus.NOT_FOUND:
                return False
            if 200 <= answer.status < 300:  # noqa: PLR2004 - the class of success
                return True
            self._rest.refuse(answer, place, question)
            return None

        question = IdempotentRequest(
            _subscriptions(channel_id), "DELETE", None, Priority.UPKEEP, "channel"
        )
        return await self._rest.asker.ask(question, read)

    async def _free(self) -> Mapping[str, Any] | None:
        """Return a channel that may be used again: ours, or one that follows nothing; None: none.

        (The platform lists those of this token; one that follows nothing is no longer in use.)
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
            pass  # then another is made; what forbids that too is told then
        return None

    async def add(self, channel: Channel, topics: Iterable[str]) -> None:
        """Subscribe a channel to further topics, as far as it has room. Raises `GatewayError`."""
        new = [topic for topic in topics if topic not in channel.topics]
        channel.topics.update(dict.fromkeys(new))  # at once, so that nobody asks for them again
        if new:
            await self._subscribed(channel.id, new)

    async def _subscribed(self, channel_id: str, topics: list[str]) -> list[str]:
        """Return the topics that the platform took; the halves of a list that it refuses, too."""
        if not topics or await self._asked(channel_id, topics):
            return topics
        if len(topics) == 1:
            return []
        middle = len(topics) // 2
        first = await self._subscribed(channel_id, topics[:middle])
        return first + await self._subscribed(channel_id, topics[middle:])

    async def _asked(self, channel_id: str, topics: list[str]) -> bool:
        """Ask once to be told of topics too; False: refused for what is asked, or for whom."""

        def read(answer: Answer, place: Place) -> bool | None:
            if answer.status in {
                HTTPStatus.BAD_REQUEST,
                HTTPStatus.FORBIDDEN,
                HTTPStatus.NOT_FOUND,
            }:
                if len(topics) == 1:
                    self._note(
                        StrayFrame(f"no topic {topics[0]}", self._rest.fault_of(answer).sentence)
                    )
                return False
            if 200 <= answer.status < 300:  # noqa: PLR2004 - the class of success
                return True
            self._rest.refuse(answer, place, question)
            return None

        path = _subscriptions(channel_id)
        body = "[" + ",".join(f'{{"id":"{topic}"}}' for topic in topics) + "]"
        question = IdempotentRequest(path, "POST", body, Priority.UPKEEP, "subscription")
        return await self._rest.asker.ask(question, read)

    async def _dialled(self, uri: str) -> Transport:
        """Dial a channel's own address; it bears its secret itself, and no header does."""
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
    return IdempotentRequest(path, urgency=Priority.UPKEEP, thing="list of channels")


def _objects(listing: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    entities = listing.get("entities")
    return [one for one in entities if isinstance(one, dict)] if isinstance(entities, list) else []
