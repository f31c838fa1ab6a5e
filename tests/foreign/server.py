"""Serves a model, or one function, on loopback: bytes in and out, and the clock."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from tests.foreign.model import Close, Cut, GatewayModel, Pause, Send
from tests.foreign.wire import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Request,
    WebResponse,
    Wire,
    WireFrame,
    accept,
    close_frame,
    frame,
)

ABNORMAL = 1006  # no close frame came


class Application(Protocol):
    """What is done with the things that arrive on channels."""

    def opened(self, channel: Channel) -> None:
        """Take a new connection."""

    def requested(self, channel: Channel, request: Request) -> None:
        """Take a request."""

    def framed(self, channel: Channel, frame: WireFrame) -> None:
        """Take a frame."""

    def ended(self, channel: Channel) -> None:
        """Take the end of what the client sends."""

    def lost(self, channel: Channel) -> None:
        """Take the end of a connection."""

    def failed(self, channel: Channel, fault: Exception) -> None:
        """Take what went wrong with what a client sent."""


class Channel(asyncio.StreamReaderProtocol):
    """One connection of a client; `writer` writes to it."""

    writer: asyncio.StreamWriter

    def __init__(self, application: Application, loop: asyncio.AbstractEventLoop) -> None:
        self._reader = asyncio.StreamReader(loop=loop)  # unused, but aborts when collected
        super().__init__(self._reader, self._opened, loop)
        self._application = application
        self._loop = loop
        self._wire = Wire()
        self.session = 0  # counts from 1; 0: no session
        self.is_closing = False  # a close frame was written
        self.arrived_at = self.arrived_wall = 0.0
        self._items: deque[tuple[float, float, Request | WireFrame]] = deque()
        self._is_paused = False

    def _opened(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._application.opened(self)

    def data_received(self, data: bytes) -> None:
        """Note the time before anything else happens to what has arrived."""
        at, wall = time.monotonic(), time.time()
        try:
            self._items.extend((at, wall, item) for item in self._wire.receive(data))
            self._pass_on()
        except Exception as fault:  # noqa: BLE001 - the application shows it when it ends
            self._application.failed(self, fault)

    def _pass_on(self) -> None:
        while self._items and not self._is_paused:
            self.arrived_at, self.arrived_wall, item = self._items.popleft()
            if isinstance(item, Request):
                self._application.requested(self, item)
            else:
                self._application.framed(self, item)

    def eof_received(self) -> bool:
        """Say that the client sends no more."""
        self._application.ended(self)
        return bool(super().eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        """Say that the connection is gone."""
        super().connection_lost(exc)
        self._application.lost(self)

    def write(self, data: bytes) -> None:
        """Write, unless the connection is gone."""
        if not self.writer.transport.is_closing():
            self.writer.write(data)

    def pause(self, seconds: float) -> None:
        """Read no further for a while."""
        transport = self.writer.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()
        self._is_paused = True
        self._loop.call_later(seconds, self._resume, transport)

    def _resume(self, transport: asyncio.ReadTransport) -> None:
        self._is_paused = False
        self._pass_on()
        if not (self._is_paused or transport.is_closing()):
            transport.resume_reading()


async def listen(
    application: Application, *, port: int = 0, tls: ssl.SSLContext | None = None
) -> asyncio.Server:
    """Serve on loopback; port 0 is any that is free."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Channel(application, loop), "127.0.0.1", port, ssl=tls)


def port_of(server: asyncio.Server) -> int:
    """Return the port that a server listens on."""
    return int(server.sockets[0].getsockname()[1])


class WebServer:
    """Answers each request by one function, and keeps connections alive; no bytes: no answer."""

    def __init__(self, answer: Callable[[Request], WebResponse | bytes]) -> None:
        self.faults: list[Exception] = []
        self._answer = answer
        self._channels: set[Channel] = set()

    def opened(self, channel: Channel) -> None:
        """Keep it until it is gone."""
        self._channels.add(channel)

    def requested(self, channel: Channel, request: Request) -> None:
        """Answer it."""
        answer = self._answer(request)
        channel.write(answer if isinstance(answer, bytes) else answer.spelt())
        if request.is_last:
            channel.writer.close()

    def framed(self, channel: Channel, frame: WireFrame) -> None:  # noqa: ARG002 - there is none
        """Take no frame."""
        raise AssertionError(f"a frame without a session: {frame}")

    def ended(self, channel: Channel) -> None:
        """Close with the client."""
        channel.writer.close()

    def lost(self, channel: Channel) -> None:
        """Forget it."""
        self._channels.discard(channel)

    def failed(self, channel: Channel, fault: Exception) -> None:
        """Keep it, and drop the connection."""
        self.faults.append(fault)
        channel.writer.transport.abort()

    def abort(self) -> None:
        """Drop every connection."""
        for channel in self._channels:
            channel.writer.transport.abort()


class ModelServer(WebServer):
    """Serves a model's tokens, REST and sessions; `guard` is entered around each input."""

    def __init__(
        self, model: GatewayModel, guard: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        super().__init__(model.request)
        self._model = model
        self._guard = guard
        self._loop = asyncio.get_running_loop()
        self._sessions: dict[int, Channel] = {}
        self._timer: asyncio.TimerHandle | None = None

    def requested(self, channel: Channel, request: Request) -> None:
        """Answer it, or open a session."""
        with self._guard():
            if not request.is_handshake:
                super().requested(channel, request)
                return
            refusal = self._model.admit(request)
            if refusal is not None:
                channel.write(refusal.spelt())
                channel.writer.close()
                return
            channel.session = len(self._model.handshakes)
            self._sessions[channel.session] = channel
            channel.write(accept(request))

    def framed(self, channel: Channel, frame: WireFrame) -> None:
        """Pass a text to the model; answer pings and close frames."""
        if frame.opcode == TEXT:
            with self._guard():
                self._model.frame(
                    channel.session,
                    frame.payload.decode(),
                    now=channel.arrived_at,
                    wall=channel.arrived_wall,
                )
                self._advance()
        elif frame.opcode == PING:
            channel.write(_pong(frame))
        elif frame.opcode == CLOSE:
            self._end(channel, frame.close_code, frame.close_reason)
            if not channel.is_closing:
                channel.write(_answer_to_close(frame))
            channel.writer.close()

    def lost(self, channel: Channel) -> None:
        """Forget it; a session that was not closed in due form ended abnormally."""
        super().lost(channel)
        self._end(channel, ABNORMAL, "")

    def open_gate(self, gate: str) -> None:
        """Let replies with `until=gate` go out."""
        with self._guard():
            self._model.open_gate(gate, now=time.monotonic())
            self._advance()

    def _end(self, channel: Channel, code: int, reason: str) -> None:
        if self._sessions.pop(channel.session, None) is not None:
            with self._guard():
                self._model.closed(code, reason)

    def _advance(self) -> None:
        """Write what is due, and come back when more is."""
        for action in self._model.due(time.monotonic()):
            channel = self._sessions.get(action.session)
            if channel is None:
                continue  # it ended before
            match action:
                case Send():
                    channel.write(frame(TEXT, action.text.encode()))
                case Close():
                    channel.is_closing = True
                    channel.write(close_frame(action.code, action.reason))
                case Cut():
                    channel.writer.transport.abort()
                case Pause():
                    channel.pause(action.seconds)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (at := self._model.next_at) is not None:
            delay_s = max(0.0, at - time.monotonic())
            self._timer = self._loop.call_later(delay_s, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        with self._guard():
            self._advance()


def _pong(ping: WireFrame) -> bytes:
    return frame(PONG, ping.payload)


def _answer_to_close(close: WireFrame) -> bytes:
    return frame(CLOSE, close.payload)
