"""One client's socket on the gateway's side."""

from __future__ import annotations

import asyncio
from collections import deque

from aiohttp import web

from runner.simulator.faults import Answer, Close

GOODBYE_S = 1.0
"""How long a closing session is waited for."""


class Session:
    """One client's socket, and what is still to be written to it."""

    def __init__(
        self, socket: web.WebSocketResponse, transport: asyncio.Transport | None, token: str
    ) -> None:
        self.socket = socket
        self.token = token
        self._transport = transport
        self._waiting: deque[Answer | Close] = deque()
        self._ready = asyncio.Event()

    def put(self, action: Answer | Close) -> None:
        """Have `action` written in turn."""
        self._waiting.append(action)
        self._ready.set()

    def cut(self) -> None:
        """Abort the connection; nothing more is written to it."""
        self._waiting.clear()
        if self._transport is not None:
            self._transport.abort()

    async def write(self) -> None:
        """Write what is due, at the pace at which the client reads."""
        try:
            while self._waiting:
                action = self._waiting.popleft()
                if isinstance(action, Answer):
                    await self.socket.send_str(action.text)
                else:
                    self._waiting.clear()
                    await self.close(action.code, action.reason)
        except ConnectionError:
            self._waiting.clear()  # the client has gone; effects stand, answers are lost
        self._ready.clear()

    async def close(self, code: int, reason: str) -> None:
        """Close in due form; cut off a client that will not hear of it."""
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self.socket.close(code=code, message=reason.encode())
        except TimeoutError:
            self.cut()

    async def keep_writing(self) -> None:
        """Write what becomes due later, until cancelled."""
        while await self._ready.wait():
            await self.write()
