"""One notifications channel: made, subscribed, its socket dialled and read (genesys-cloud.md, "Socket")."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from urllib.parse import quote

from runner.core.errors import GatewayError, LookUpFailed
from runner.core.genesys_events import PING
from runner.core.message import Stray, harmless
from runner.core.urls import is_safe_socket
from runner.gateways.asking import Question
from runner.gateways.exchange import Answer
from runner.gateways.faults import TRY_LATER, Place, WireError, WireRefused
from runner.gateways.genesys_rest import GenesysRest
from runner.gateways.line import FAREWELL, NORMAL_CLOSURE
from runner.gateways.oauth import Token
from runner.gateways.pacer import Urgency
from runner.gateways.remedies import INTERNAL_ERROR
from runner.gateways.session import check_wire
from runner.gateways.wire import Dial, Wire, WireClosed

MOST_TOPICS = 1000
"""Topics that one channel holds."""

PING_AFTER_S = 30.0
SILENT_S = 35.0
"""A socket that has said nothing for so long is dead."""

CHANNELS = "/api/v2/notifications/channels"

_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


class Channel:
    """A channel whose socket is open; frames go to `hear`, read by one task alone."""

    def __init__(
        self,
        channel_id: str,
        token: Token,
        wire: Wire,
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

    async def _read(self) -> WireClosed:
        try:
            while True:
                frame = await self.wire.receive()
                self._heard_at = self._now()
                self._hear(self, frame)
        except WireClosed as closed:
            return closed
        except Exception as error:  # noqa: BLE001 - kept; a reader that dies unseen hangs the run
            self.fault = error
            return WireClosed(INTERNAL_ERROR, f"the reader failed ({type(error).__name__})")


class Channels:
    """Makes channels, and subscribes them; what a topic is refused for goes to `note`."""

    def __init__(
        self, rest: GenesysRest, dial: Dial, now: Callable[[], float], note: Callable[[Stray], None]
    ) -> None:
        self._rest = rest
        self._dial = dial
        self._now = now
        self._note = note

    async def open(
        self, topics: Sequence[str], hear: Callable[[Channel, str | bytes], None]
    ) -> Channel:
        """Make a channel, subscribe it and dial it; at most `MOST_TOPICS` topics.

        Raises `WireError`, `GatewayError`.
        """
        try:
            return await self._opened(topics, hear)
        except LookUpFailed as error:  # it may be otherwise in a while
            raise WireError(error.what, error.check) from error

    async def _opened(
        self, topics: Sequence[str], hear: Callable[[Channel, str | bytes], None]
    ) -> Channel:
        token = await self._rest.tokens.current()
        making = Question(CHANNELS, "POST", None, Urgency.UPKEEP, "channel", refused=GatewayError)
        made = await self._rest.ask(making)
        channel_id, uri = made.get("id"), made.get("connectUri")
        if not (isinstance(channel_id, str) and channel_id and isinstance(uri, str)):
            raise WireError("the platform's channel has no id or no address", TRY_LATER)
        if not is_safe_socket(uri):
            raise WireError(
                "the platform's channel has an address that is not encrypted",
                "check `region` or `endpoints.api_url`",
                final=True,
            )
        held = await self._subscribed(channel_id, list(topics))
        secure = uri.startswith("wss:")
        wire = await self._dialled(uri)
        channel = Channel(channel_id, token, wire, secure=secure, now=self._now, hear=hear)
        channel.topics.update(dict.fromkeys(held))
        is_sound = False
        try:
            await channel.check()
            is_sound = True
        except WireClosed as closed:
            raise WireError(f"the channel was closed at once ({closed})", TRY_LATER) from closed
        finally:
            if not is_sound:  # whoever waited for it may be gone as well
                await channel.close(NORMAL_CLOSURE, FAREWELL)
        return channel

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
                    self._note(Stray(f"no topic {topics[0]}", self._rest.fault_of(answer).sentence))
                return False
            if 200 <= answer.status < 300:  # noqa: PLR2004 - the class of success
                return True
            self._rest.refuse(answer, place, question)
            return None

        path = f"{CHANNELS}/{quote(channel_id, safe='')}/subscriptions"
        body = "[" + ",".join(f'{{"id":"{topic}"}}' for topic in topics) + "]"
        question = Question(path, "POST", body, Urgency.UPKEEP, "subscription")
        return await self._rest.asker.ask(question, read)

    async def _dialled(self, uri: str) -> Wire:
        """Dial a channel's own address; it bears its secret itself, and no header does."""
        try:
            return await self._dial(uri, {})
        except WireRefused as refused:
            raise WireRefused(
                refused.status,
                f"the platform refuses the channel's socket ({refused.status})",
                "check the platform's status page, and proxies on the way",
                final=refused.status in _REFUSALS,
                retry_after_s=refused.retry_after_s,
            ) from refused
        except WireError as error:
            check = error.check if error.final else f"{TRY_LATER}; WebSocket must pass proxies"
            raise WireError(harmless(error.what), check, final=error.final) from error
