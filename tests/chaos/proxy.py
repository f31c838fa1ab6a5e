"""A TCP proxy before the gateway's socket that cuts, slices, delays and swallows.

It reads WebSocket framing, so that a cut falls where it is meant to: in the handshake, in the
middle of a frame, behind a frame, behind its effect.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from tests.chaos.harness import PATIENCE_S, Addresses

TEXT = 0x81


class Cut(StrEnum):
    """Where a session is cut, counted in transfers' frames."""

    HANDSHAKE = "in the handshake"
    MID_FRAME = "in the middle of a frame"
    AFTER_SEND = "behind a frame"
    AFTER_EFFECT = "behind the effect"
    MID_REPLY = "in the middle of a reply"
    NEVER = "never"


class How(StrEnum):
    """How the end is told to both sides."""

    CLOSE = "closed"
    RESET = "reset"
    BLACKHOLE = "silent"


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one connection."""

    cut: Cut = Cut.NEVER
    how: How = How.CLOSE
    frame: int = 1  # counted from 1
    sliced: bool = False
    delay_s: float = 0.0


Fates = Callable[[int], Fate]
"""Gives the fate of the n-th connection, counted from 1."""


class _CutHere(Exception):
    pass


@dataclass(slots=True)
class _Frames:
    """Takes bytes, gives whole frames as raw bytes."""

    rest: bytes = b""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        self.rest += chunk
        while (size := self._size()) is not None and size <= len(self.rest):
            frame, self.rest = self.rest[:size], self.rest[size:]
            yield frame

    def _size(self) -> int | None:
        if len(self.rest) < 2:
            return None
        masked, length = self.rest[1] & 0x80, self.rest[1] & 0x7F
        head = 2
        if length == 126:
            if len(self.rest) < 4:
                return None
            length, head = int.from_bytes(self.rest[2:4], "big"), 4
        assert length < 126 or head == 4, "no frame of the protocol is that long"
        return head + (4 if masked else 0) + length


@dataclass(slots=True)
class _Connection:
    """One connection through the proxy."""

    fate: Fate
    chance: random.Random
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    server: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    note_cut: Callable[[], None]
    sent: int = 0
    answered: int = 0
    silent: bool = False

    async def run(self) -> None:
        up = asyncio.create_task(self._up())
        down = asyncio.create_task(self._down())
        try:
            done, _ = await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            if any(isinstance(task.exception(), _CutHere) for task in done):
                self.silent = self.fate.how is How.BLACKHOLE
                self.note_cut()
            if self.silent:
                await asyncio.wait({up, down})
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            self._close()

    async def _up(self) -> None:
        reader, writer = self.client[0], self.server[1]
        head = await reader.readuntil(b"\r\n\r\n")
        if self.fate.cut is Cut.HANDSHAKE and self.fate.frame == 1:
            raise _CutHere
        await self._pass(writer, head)
        frames = _Frames()
        while chunk := await reader.read(65536):
            for frame in frames.feed(chunk):
                if frame[0] == TEXT:
                    await self._frame_up(frame)
                else:
                    await self._pass(writer, frame)

    async def _frame_up(self, frame: bytes) -> None:
        self.sent += 1
        here, writer = self.sent == self.fate.frame, self.server[1]
        if here and self.fate.cut is Cut.MID_FRAME:
            await self._pass(writer, frame[: len(frame) // 2])
            raise _CutHere
        await self._pass(writer, frame)
        if here and self.fate.cut is Cut.AFTER_SEND:
            raise _CutHere

    async def _down(self) -> None:
        reader, writer = self.server[0], self.client[1]
        head = await reader.readuntil(b"\r\n\r\n")
        if self.fate.cut is Cut.HANDSHAKE:
            await self._pass(writer, head[: len(head) // 2])
            raise _CutHere
        await self._pass(writer, head)
        frames = _Frames()
        while chunk := await reader.read(65536):
            for frame in frames.feed(chunk):
                if frame[0] == TEXT:
                    await self._frame_down(frame)
                else:
                    await self._pass(writer, frame)

    async def _frame_down(self, frame: bytes) -> None:
        self.answered += 1
        here, writer = self.answered == self.fate.frame, self.client[1]
        if here and self.fate.cut is Cut.AFTER_EFFECT:
            raise _CutHere
        if here and self.fate.cut is Cut.MID_REPLY:
            await self._pass(writer, frame[: len(frame) // 2])
            raise _CutHere
        await self._pass(writer, frame)

    async def _pass(self, writer: asyncio.StreamWriter, chunk: bytes) -> None:
        if self.silent:
            return
        if self.fate.delay_s:
            await asyncio.sleep(self.chance.random() * self.fate.delay_s)
        if not self.fate.sliced:
            writer.write(chunk)
            await writer.drain()
            return
        for byte in chunk:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    def _close(self) -> None:
        for _, writer in (self.client, self.server):
            if self.fate.how is How.RESET:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger
                )
                writer.transport.abort()
            else:
                writer.close()


class Proxy:
    """Stands before a gateway's socket, in a thread of its own; a context."""

    def __init__(self, gateway: Addresses, port: int, fates: Fates, seed: int = 0) -> None:
        self._gateway = gateway
        self._to = port
        self._fates = fates
        self._chance = random.Random(seed)
        self.connections = 0
        self.cuts = 0  # that were made, not only meant
        self.cut_at: float | None = None  # the last one; monotonic seconds
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def token_url(self) -> str:
        return self._gateway.token_url

    @property
    def api_url(self) -> str:
        return self._gateway.api_url

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self._port}/api/v2/websocket"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        self.connections += 1
        fate = self._fates(self.connections)
        server = await asyncio.open_connection("127.0.0.1", self._to)
        connection = _Connection(fate, self._chance, (reader, writer), server, self._note_cut)
        with suppress(ConnectionError, asyncio.IncompleteReadError):  # that is what it is for
            await connection.run()

    def _note_cut(self) -> None:
        self.cuts += 1
        self.cut_at = time.monotonic()
