"""The session with the platform: channels that are opened and replaced, reported as one session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any

from runner.core.errors import GatewayError, LookUpFailed
from runner.core.transfer.message import GatewayNote, harmless
from runner.gateways.genesys_cloud.channel import MOST_TOPICS, Channel, Channels
from runner.gateways.genesys_cloud.protocol.events import Changed, Signal, read_frame
from runner.gateways.genesys_cloud.protocol.observations import Observation
from runner.gateways.genesys_cloud.rest import GenesysRest
from runner.gateways.http.errors import ConnectionFailed
from runner.gateways.http.oauth import NoTokenYet, Token
from runner.gateways.websocket.close_codes import INTERNAL_ERROR, STEADY_S
from runner.gateways.websocket.supervisor import FAREWELL, NORMAL_CLOSURE
from runner.gateways.websocket.transport import Dial, TransportClosed
from runner.ports import Clock, GatewayListener

MOST_CHANNELS = 15
"""The most channels of a run; an application has twenty, for all its runs."""

FLUSH_S = 1.0
"""The interval at which wanted topics are subscribed to."""

LOOK_AFTER_S = 1.0
"""The interval at which the channels' signs of life are checked."""

LOST = 1006


class GenesysSession:
    """Implements `ManagedSession`: open while each channel is open or has been replaced."""

    def __init__(
        self,
        channels: Channels,
        rest: GenesysRest,
        clock: Clock,
        listener: GatewayListener,
        changed: Callable[[Changed | Observation], None],
    ) -> None:
        self.generation = 0
        self.opened_at = 0.0
        self.fault: Exception | None = None
        self.replaced = 0  # channels; events may have been missed meanwhile
        self._channels = channels
        self._rest = rest
        self._clock = clock
        self._listener = listener
        self._changed = changed
        self._carried_event = False
        self._is_closed = False  # by this process
        self._open: list[Channel] = []
        self._wanted: dict[str, None] = {}
        self._end: asyncio.Future[TransportClosed] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._clearing: asyncio.Task[None] | None = None

    async def begin(self, topics: Sequence[str]) -> None:
        """Open as many channels as the topics need, at least one. Raises what `Channels.open` raises."""
        for start in range(0, max(1, len(topics)), MOST_TOPICS)[:MOST_CHANNELS]:
            self._take(await self._channels.open(topics[start : start + MOST_TOPICS], self._hear))
        self._start(self._keep_alive())
        self._start(self._subscribe())

    @property
    def token(self) -> Token:
        """The token with which the channels were created."""
        return self._open[0].token

    @property
    def tls(self) -> str | None:
        """The TLS version of the first channel's socket."""
        return self._open[0].transport.tls

    @property
    def is_open(self) -> bool:
        """Whether every channel's socket is open."""
        return not self._end.done() and all(each.transport.is_open for each in self._open)

    async def check(self) -> None:
        """Do nothing: each channel is checked when it is opened."""

    async def ended(self) -> TransportClosed:
        """Wait for the end of the session and return how it ended, its reason escaped."""
        closed = await asyncio.shield(self._end)
        return TransportClosed(closed.code, harmless(self._rest.tokens.hide(closed.reason)))

    async def close(self, code: int, reason: str) -> None:
        """Close every channel and free it for later use; bounded in time."""
        self._is_closed = True
        self._finish(TransportClosed(code, reason))
        assert self._clearing is not None  # noqa: S101 - started by `_finish`
        await self._clearing

    def was_steady(self, now: float) -> bool:
        """Return whether the session brought an event or lasted for `STEADY_S`."""
        return self._carried_event or now - self.opened_at >= STEADY_S

    def want(self, topics: Iterable[str]) -> None:
        """Subscribe to topics soon, unless they already are."""
        held = {topic for channel in self._open for topic in channel.topics}
        self._wanted.update(dict.fromkeys(topic for topic in topics if topic not in held))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (TransportClosed, ConnectionFailed, GatewayError) as error:
            self._finish(TransportClosed(LOST, str(error)))
        except Exception as error:  # noqa: BLE001 - kept; raised when the session has ended
            self.fault = error
            self._finish(TransportClosed(INTERNAL_ERROR, f"a failure ({type(error).__name__})"))

    def _take(self, channel: Channel) -> None:
        self._open.append(channel)
        channel.reader.add_done_callback(lambda _: self._reader_ended(channel))

    def _reader_ended(self, channel: Channel) -> None:
        if channel.reader.cancelled() or channel.is_leaving:
            return
        self.fault = self.fault or channel.fault
        self._finish(channel.reader.result())

    def _finish(self, closed: TransportClosed) -> None:
        if not self._end.done():
            self._end.set_result(closed)
            self._clearing = asyncio.create_task(self._clear_away())

    async def _clear_away(self) -> None:
        """Stop the background tasks and close the channels that are still open."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(each.close(NORMAL_CLOSURE, FAREWELL) for each in self._open))
        if self._is_closed:
            await asyncio.gather(*(self._channels.release(each) for each in self._open))

    # Frames

    def _hear(self, channel: Channel, frame: str | bytes) -> None:
        hidden = self._rest.tokens.hide(frame) if isinstance(frame, str) else frame
        match read_frame(hidden):
            case Changed() | Observation() as change:
                self._carried_event = True
                self._changed(change)
            case GatewayNote() as note:
                self._listener.noted(note)
            case Signal.CLOSING | Signal.UNSUBSCRIBED:
                self._replace(channel)
            case Signal.TOKEN_REVOKED:
                self._replace(channel, revoked=True)
            case Signal.ALIVE:
                pass

    def _replace(self, channel: Channel, *, revoked: bool = False) -> None:
        """Replace a channel that is about to close."""
        if not channel.is_leaving:
            channel.is_leaving = True
            self._start(self._moved(channel, revoked=revoked))

    async def _moved(self, old: Channel, *, revoked: bool) -> None:
        """Open a channel with the same topics, then close the old one."""
        try:
            if revoked:
                with suppress(NoTokenYet):  # the session then ends, and the supervisor tries again
                    await self._rest.tokens.after(old.token)
            new = await self._channels.open(list(old.topics), self._hear)
        finally:
            if old in self._open:
                old.is_leaving = False
        if old.reader.done():
            self._listener.noted(
                GatewayNote("a gap", "a channel closed before its replacement was open")
            )
        self._take(new)
        self._open.remove(old)
        self.replaced += 1
        await old.close(NORMAL_CLOSURE, FAREWELL)
        await self._channels.release(old)

    # Background tasks

    async def _keep_alive(self) -> None:
        while True:
            await self._clock.sleep(LOOK_AFTER_S)
            for channel in list(self._open):
                if not channel.is_leaving and not await channel.keep_alive():
                    self._finish(TransportClosed(LOST, "the channel was silent for 35 s"))

    async def _subscribe(self) -> None:
        while True:
            await self._clock.sleep(FLUSH_S)
            topics, self._wanted = list(self._wanted), {}
            with suppress(LookUpFailed):  # transfers without a topic are confirmed by look-ups
                while topics:
                    topics = await self._subscribe_some(topics)

    async def _subscribe_some(self, topics: list[str]) -> list[str]:
        """Subscribe in channels with room; return the remaining topics."""
        stable = (each for each in self._open if not each.is_leaving)
        channel = next((each for each in stable if len(each.topics) < MOST_TOPICS), None)
        if channel is not None:
            room = MOST_TOPICS - len(channel.topics)
            await self._channels.add(channel, topics[:room])
            return topics[room:]
        if len(self._open) >= MOST_CHANNELS:
            return []
        self._take(await self._channels.open(topics[:MOST_TOPICS], self._hear))
        return topics[MOST_TOPICS:]


class GenesysOpener:
    """Opens sessions; `topics` returns the topics of the first channels."""

    def __init__(
        self,
        rest: GenesysRest,
        dial: Dial,
        clock: Clock,
        topics: Callable[[], Sequence[str]],
        changed: Callable[[Changed | Observation], None],
    ) -> None:
        self._rest = rest
        self._dial = dial
        self._clock = clock
        self._topics = topics
        self._changed = changed
        self._ours: set[str] = set()  # includes channels of earlier sessions

    async def open(self, listener: GatewayListener) -> GenesysSession:
        """Open a session. Raises `ConnectionFailed`, `NoTokenYet`, `GatewayError`."""
        channels = Channels(self._rest, self._dial, self._clock.now, listener.noted, self._ours)
        session = GenesysSession(channels, self._rest, self._clock, listener, self._changed)
        try:
            await session.begin(self._topics())
        except BaseException:
            await session.close(NORMAL_CLOSURE, FAREWELL)
            raise
        return session
