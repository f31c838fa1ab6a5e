"""A client's socket, at the gateway's end."""

from __future__ import annotations

import asyncio
from collections import deque

from aiohttp import web

from runner.simulator.faults import Answer, Close

GOODBYE_S = 1.0
"""The limit for closing a session."""


class Session:
    """A client's socket and its queue of frames to write."""

    def __init__(
        self, socket: web.WebSocketResponse, transport: asyncio.Transport | None, token: str
    ) -> None:
        self.socket = socket
        self.token = token
        self._transport = transport
        self._waiting: deque[Answer | Close] = deque()
        self._ready = asyncio.Event()

    def put(self, action: Answer | Close) -> None:
        """Queue `action`."""
        self._waiting.append(action)
        self._ready.set()

    def cut(self) -> None:
        """Abort the connection and drop the queue."""
        self._waiting.clear()
        if self._transport is not None:
            self._transport.abort()

    async def write(self) -> None:
        """Write the queue, as fast as the client reads."""
        try:
            while self._waiting:
                action = self._waiting.popleft()
                if isinstance(action, Answer):
                    await self.socket.send_str(action.text)
                else:
                    self._waiting.clear()
                    await self.close(action.code, action.reason)
        except ConnectionError:
            self._waiting.clear()  # the client is gone; effects stand, answers are lost
        self._ready.clear()

    async def close(self, code: int, reason: str) -> None:
        """Close with a handshake; abort the connection of a client that does not answer."""
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self.socket.close(code=code, message=reason.encode())
        except TimeoutError:
            self.cut()

    async def keep_writing(self) -> None:
        """Write whatever is queued, until cancelled."""
        while await self._ready.wait():
            await self.write()
