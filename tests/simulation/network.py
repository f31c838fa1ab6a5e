"""The network between: what the adapter dials, and the transport of its HTTP exchanges."""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx

from runner.gateways.http.errors import ConnectionFailed, HandshakeRefused
from runner.gateways.websocket.transport import Transport, TransportClosed
from tests.simulation.delivery_faults import DeliveryFaults
from tests.simulation.gateway import Gateway, read_frame
from tests.simulation.ledger import Frame
from tests.simulation.life import Life

ABNORMAL = 1006


@dataclass(slots=True)
class Place:
    """Where frames leave a process: everything that does is written into the gateway's ledger."""

    gateway: Gateway
    life: Life
    is_journalled: Callable[[str], bool]
    wall: Callable[[], float]
    sessions: list[int] = field(default_factory=lambda: [0])

    def leave(self, session: int, text: str) -> Frame:
        """Write a frame into the ledger, as it leaves."""
        message, timestamp_s = read_frame(text)
        simulation, uri = self.gateway.simulation, message["destination_uri"]
        figures_at, figures = self.life.figures.get(uri, (-math.inf, None))
        frame = Frame(
            left_at=simulation.now,
            run=self.life.number,
            session=session,
            message_id=message["id"],
            interaction_id=message["interaction_id"],
            destination_uri=uri,
            codec=message["media_matrix"]["audio"]["codec"],
            text=text,
            timestamp_s=timestamp_s,
            journalled=self.is_journalled(message["id"]),
            wall_s=self.wall(),
            forbidden=self.life.forbids,
            figures=figures,
            figures_at=figures_at,
        )
        self.gateway.ledger.frames.append(frame)
        simulation.note("frame", frame.interaction_id, frame.message_id)
        return frame


class Pipe:
    """Both ends of a session: the process's `Transport`, and the gateway's `Line`."""

    tls = "TLSv1.3"

    def __init__(self, place: Place, token: str) -> None:
        self.token = token
        self.is_open = True
        place.sessions[0] += 1
        self.number = place.sessions[0]
        self._place = place
        self._gateway = place.gateway
        self._life = place.life
        self._simulation = place.gateway.simulation
        self._chance = place.life.chance
        self._latency_s = self._chance.uniform(0.001, 0.05)
        self._on_the_way: deque[Frame] = deque()
        self._arrival = 0.0
        self._inbox: deque[tuple[str, Callable[[int], None]] | TransportClosed] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._full_until = 0.0
        self.far_end = FarEnd(self)
        self._life.mourners.append(self.cut)

    # The process's end

    def writable(self) -> bool:
        """Tell whether the socket is open and its buffer empty."""
        return self.is_open and self._simulation.now >= self._full_until

    async def send(self, text: str) -> None:
        """Put a frame into the pipe, before the first suspension."""
        life = self._life
        doom = life.reaches("send")
        if doom is not None and doom.before:
            life.die()
        if life.is_over:
            await life.silence()
        if not self.is_open:
            raise TransportClosed(ABNORMAL, "closed")
        frame = self._place.leave(self.number, text)
        if life.strikes(life.delivery_faults.stops_at_send):
            self._simulation.stall(self._chance.choice((0.5, 4, 40)))
        if life.strikes(life.delivery_faults.full_buffers):
            self._full_until = self._simulation.now + self._chance.choice((0.02, 0.2, 1.5))
        self._on_the_way.append(frame)
        self._arrival = max(self._arrival, self._simulation.now + self._latency_s)
        self._simulation.after(self._arrival - self._simulation.now, self._arrive)
        if doom is not None:
            life.die()
            await life.silence()

    async def receive(self) -> str:
        """Return the next frame."""
        while not self._inbox or self._life.is_over:
            self._reader = self._simulation.loop.create_future()
            await self._reader
        first = self._inbox[0]
        if isinstance(first, TransportClosed):
            raise first
        self._inbox.popleft()
        text, read = first
        read(self._life.number)
        return text

    async def ping(self) -> None:
        """Return once a ping is answered."""
        await asyncio.sleep(2 * self._latency_s)
        if not self.is_open:
            raise TransportClosed(ABNORMAL, "closed")

    async def close(self, code: int, reason: str) -> None:
        """Close from the process's side."""
        if not self._life.is_over:
            self._end(TransportClosed(code, reason))

    # The gateway's end

    def push(self, text: str, read: Callable[[int], None]) -> None:
        """Send a frame to the process."""
        self._deliver((text, read))

    def close_from_afar(self, code: int, reason: str) -> None:
        """Close from the gateway's side."""
        self._end(TransportClosed(code, reason))

    def cut(self) -> None:
        """Abort: what the process still has on the way may be lost."""
        if self.is_open and self._chance.random() < 0.5:
            for _ in range(self._chance.randint(0, len(self._on_the_way))):
                lost = self._on_the_way.pop()
                self._simulation.note("fate: lost on the way", lost.interaction_id, lost.message_id)
        self._end(TransportClosed(ABNORMAL, "the connection was lost without a close frame"))

    def _arrive(self) -> None:
        if self._on_the_way:
            self._gateway.arrive(self.far_end, self._on_the_way.popleft())

    def _end(self, closed: TransportClosed) -> None:
        if self.is_open:
            self.is_open = False
            self._simulation.note("closed", self.number, closed.code)
            self._deliver(closed)

    def _deliver(self, item: tuple[str, Callable[[int], None]] | TransportClosed) -> None:
        self._inbox.append(item)
        if self._reader is not None and not self._reader.done() and not self._life.is_over:
            self._reader.set_result(None)


class FarEnd:
    """The gateway's end of a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self.number = pipe.number
        self.token = pipe.token

    @property
    def is_open(self) -> bool:
        """Tell whether answers still reach the process."""
        return self._pipe.is_open

    def push(self, text: str, read: Callable[[int], None]) -> None:
        """Send a text frame."""
        self._pipe.push(text, read)

    def close(self, code: int, reason: str) -> None:
        """Close in due form."""
        self._pipe.close_from_afar(code, reason)

    def cut(self) -> None:
        """Abort."""
        self._pipe.cut()


class Dialling:
    """The adapter's `dial`: sessions through pipes, and dials that fail."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def __call__(self, url: str, headers: Mapping[str, str]) -> Transport:
        """Open a session, or say why there is none."""
        life, gateway = self._place.life, self._place.gateway
        await asyncio.sleep(life.chance.uniform(0.001, 0.1))
        if life.is_over:
            await life.silence()
        if life.strikes(life.delivery_faults.unreachable):
            raise dial_failure(life.chance)
        token = headers["Authorization"].removeprefix("Bearer ")
        if not gateway.gateway_state.knows(token):
            raise HandshakeRefused(401, "the token is refused", "renew it")
        pipe = Pipe(self._place, token)
        gateway.open(pipe.far_end)
        gateway.simulation.note("session", life.number, pipe.number, url)
        return pipe


def dial_failure(chance: random.Random) -> ConnectionFailed:
    """Draw why a dial fails."""
    refused = {
        401: HandshakeRefused(401, "the token is refused", "renew it"),
        429: HandshakeRefused(429, "too many sessions", "wait", retry_after_s=2.0),
        503: HandshakeRefused(503, "the handshake is answered with 503", "look at the gateway"),
    }
    return refused.get(chance.choice((0, *refused)), ConnectionFailed("the connection was refused"))


class RestSide(httpx.AsyncBaseTransport):
    """Tokens and look-ups."""

    def __init__(self, gateway: Gateway, life: Life) -> None:
        self._gateway = gateway
        self._life = life

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer, late and wrong where the weather wants it."""
        chance, delivery_faults = self._life.chance, self._life.delivery_faults
        await asyncio.sleep(chance.uniform(0.001, 0.05))
        if self._life.is_over:
            await self._life.silence()
        if self._life.strikes(delivery_faults.rest_faults):
            if chance.random() < 0.2:
                await asyncio.sleep(60)
            return httpx.Response(chance.choice((500, 502, 503, 503, 200)), text="{}")
        if self._gateway.is_down:
            return await self._nothing_of_use(request)
        if request.method == "POST":
            return httpx.Response(200, json=self._gateway.gateway_state.give_token())
        return self._look_up(request, delivery_faults)

    async def _nothing_of_use(self, request: httpx.Request) -> httpx.Response:
        """Answer as a REST side does that is down: refuse, keep silent, or apologise."""
        drawn = self._life.chance.random()
        if drawn < 0.2:
            raise httpx.ConnectError("refused", request=request)
        if drawn < 0.3:
            await asyncio.sleep(60)
        if drawn < 0.4:
            return httpx.Response(200, text="<html>down for maintenance</html>")
        return httpx.Response(self._life.chance.choice((500, 502, 503, 504)))

    def _look_up(self, request: httpx.Request, delivery_faults: DeliveryFaults) -> httpx.Response:
        gateway, life = self._gateway, self._life
        headers = {"Date": gateway.gateway_state.date()}
        if life.strikes(delivery_faults.rest_limits):
            wait_s = life.chance.choice((0, 1, 5, 40))
            return httpx.Response(429, headers=headers | {"Retry-After": str(wait_s)})
        token = request.headers["Authorization"].removeprefix("Bearer ")
        if not gateway.gateway_state.knows(token):
            return httpx.Response(401, headers=headers)
        shown = gateway.show(request.url.path.rsplit("/", 1)[1])
        if shown is None:
            return httpx.Response(404, headers=headers)
        return httpx.Response(200, headers=headers, json=shown)
