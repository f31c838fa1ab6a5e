"""A receiver of callbacks on loopback."""

from __future__ import annotations

import asyncio
import threading
from typing import Self

from tests.foreign.server import WebServer, listen, port_of
from tests.foreign.wire import Request, WebResponse

PATIENCE_S = 180.0


class Receiver:
    """Keeps every request; gives everyone `answer`. A context that serves while it is entered."""

    def __init__(self) -> None:
        self.answer = WebResponse(204)
        self.requests: list[Request] = []
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/hooks/transfer"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = WebServer(self._answer)
        listener = await listen(server)
        self._port = port_of(listener)
        self._ready.set()
        await self._stop.wait()
        listener.close()
        server.abort()
        await asyncio.sleep(0)  # the connections are lost before the loop is

    def _answer(self, request: Request) -> WebResponse:
        self.requests.append(request)
        return self.answer
