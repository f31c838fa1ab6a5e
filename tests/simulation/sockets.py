"""The same network with the real `websockets` client and server, over sockets in memory."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from runner.gateways.websocket.transport import Transport, dialler
from tests.simulation.gateway import Gateway
from tests.simulation.ledger import Frame
from tests.simulation.network import Place, dial_failure

HOST, PORT = "gateway", 8443

URL = f"ws://{HOST}:{PORT}/ws"


class SocketLine:
    """The gateway's end of a session: implements `gateway.Line`."""

    def __init__(
        self, socket_server: SocketServer, connection: ServerConnection, token: str
    ) -> None:
        self.number = connection.remote_address[1]
        self.token = token
        self._socket_server = socket_server
        self._connection = connection
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        """Tell whether answers still reach the process."""
        return self._connection.state is State.OPEN

    def push(self, text: str, read: Callable[[int], None]) -> None:
        """Send a text frame."""
        self._socket_server.answers[self.number, text].append(read)
        self._begin(self._connection.send(text))

    def close(self, code: int, reason: str) -> None:
        """Close in due form."""
        self._begin(self._connection.close(code, reason))

    def cut(self) -> None:
        """Abort: no close frame."""
        self._connection.transport.abort()

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(self._done(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @staticmethod
    async def _done(work: Any) -> None:
        try:
            await work
        except ConnectionClosed:
            return  # the process is gone; the ledger tells who read what


class SocketServer:
    """The gateway's server. What is on its way is known by the process's port and the text."""

    def __init__(self, gateway: Gateway) -> None:
        self.frames: defaultdict[tuple[int, str], deque[Frame]] = defaultdict(deque)
        self.answers: defaultdict[tuple[int, str], deque[Callable[[int], None]]] = defaultdict(
            deque
        )
        self._gateway = gateway
        self._chance = gateway.simulation.chance("harbour")
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._attend,
            HOST,
            PORT,
            process_request=self._check,
            compression=None,
            ping_interval=None,
            close_timeout=2,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        if self._gateway.gateway_state.knows(_token(request.headers)):
            return None
        return connection.respond(401, "the token is refused")

    async def _attend(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        line = SocketLine(self, connection, _token(connection.request.headers))
        self._gateway.open(line)
        latency_s = self._chance.uniform(0.001, 0.05)
        try:
            async for text in connection:
                frame = self.frames[line.number, str(text)].popleft()
                self._gateway.simulation.after(
                    latency_s, partial(self._gateway.arrive, line, frame)
                )
        except ConnectionClosed:
            pass  # cut; what was read before is acted upon all the same
        self._gateway.simulation.note("closed", line.number, connection.close_code)


def _token(headers: Mapping[str, str]) -> str:
    return headers["Authorization"].removeprefix("Bearer ")


class SocketDialling:
    """The adapter's own dial function, and dials that fail."""

    def __init__(
        self, place: Place, socket_server: SocketServer, wall: Callable[[], float]
    ) -> None:
        self._place = place
        self._socket_server = socket_server
        self._dial = dialler(None, wall)

    async def __call__(self, url: str, headers: Mapping[str, str]) -> Transport:
        """Open a session, or say why there is none."""
        life = self._place.life
        await asyncio.sleep(life.chance.uniform(0.001, 0.1))
        if life.is_over:
            await life.silence()
        if life.strikes(life.delivery_faults.unreachable):
            raise dial_failure(life.chance)
        wire = TappedTransport(await self._dial(url, headers), self._place, self._socket_server)
        self._place.gateway.simulation.note("session", life.number, wire.session)
        return wire


class TappedTransport:
    """The real wire; what leaves and what is read is written into the gateway's ledger."""

    def __init__(self, inner: Any, place: Place, socket_server: SocketServer) -> None:
        self._inner = inner
        self._place = place
        self._socket_server = socket_server
        self.session: int = inner._connection.local_address[1]
        place.life.mourners.append(inner._connection.transport.abort)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def send(self, text: str) -> None:
        """Write a frame, unless the process dies of it."""
        life = self._place.life
        doom = life.reaches("send")
        if doom is not None and doom.before:
            life.die()
        if life.is_over:
            await life.silence()
        if self._inner.is_open:
            frame = self._place.leave(self.session, text)
            self._socket_server.frames[self.session, text].append(frame)
        if life.strikes(life.delivery_faults.stops_at_send):
            self._place.gateway.simulation.stall(life.chance.choice((0.5, 4, 40)))
        if doom is None:
            await self._inner.send(text)
            return
        writing = asyncio.ensure_future(self._inner.send(text))
        await asyncio.sleep(0)  # it writes before its first suspension
        life.die()
        await asyncio.gather(writing, life.silence())

    async def receive(self) -> str | bytes:
        """Return the next frame, and note that it was read."""
        frame: str | bytes = await self._inner.receive()
        if self._place.life.is_over:
            await self._place.life.silence()
        if isinstance(frame, str) and "id" in json.loads(frame):
            self._socket_server.answers[self.session, frame].popleft()(self._place.life.number)
        return frame
