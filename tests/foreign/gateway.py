"""The model of a gateway, served in a thread of its own.

A test can wait for the program under test while this goes on serving. What it recorded may be read
at any time; scripts are written before the program starts.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

from tests.foreign.model import CLIENT_ID, CLIENT_SECRET, SCOPES, GatewayModel
from tests.foreign.server import ModelServer, listen, port_of

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "SCOPES", "Gateway"]

PATIENCE_S = 180.0
ELSEWHERE_S = 0.1
"""How often what no frame announces is looked at."""


class Gateway(GatewayModel):
    """Token, REST and session, on loopback; a context that serves while it is entered."""

    def __init__(self, *, expires_s: float | None = None, dedupes: bool = False) -> None:
        super().__init__(expires_s=expires_s, dedupes=dedupes)
        self._changed = threading.Condition()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)
        assert self._server.faults == []

    @property
    def token_url(self) -> str:
        return f"{self.api_url}/oauth/token"

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self._port}/api/v2/websocket"

    def release(self, gate: str) -> None:
        """Let replies with `until=gate` go out."""
        self._loop.call_soon_threadsafe(self._server.open_gate, gate)

    def cut_all(self) -> None:
        """Drop every connection, without a closing handshake."""
        self._loop.call_soon_threadsafe(self._server.abort)

    def wait_until(self, true: Callable[[], bool]) -> None:
        """Wait until something recorded makes it so, or something that the program left elsewhere."""
        until_s = time.monotonic() + PATIENCE_S
        with self._changed:
            while not true():
                assert time.monotonic() < until_s
                self._changed.wait(ELSEWHERE_S)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = ModelServer(self, self._changing)
        listener = await listen(self._server)
        self._port = port_of(listener)
        self._ready.set()
        await self._stop.wait()
        listener.close()
        self._server.abort()
        await asyncio.sleep(0)  # the connections are lost before the loop is

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._changed:
            yield
            self._changed.notify_all()
