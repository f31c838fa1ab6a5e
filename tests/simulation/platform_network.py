"""The network between the driver and the platform: HTTP exchanges and channels' sockets."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import parse_qsl

import httpx

from runner.gateways.http.errors import HandshakeRefused
from runner.gateways.websocket.transport import Transport, TransportClosed
from tests.simulation.life import Life
from tests.simulation.network import ABNORMAL, dial_failure
from tests.simulation.platform_delivery_faults import FINE_DAY, PlatformDeliveryFaults
from tests.simulation.platform_ledger import Post
from tests.simulation.platform_rest import Answered, Asked, Channel, PlatformMind

HEARTBEAT_S = 30.0
_BEAT = json.dumps(
    {"topicName": "channel.metadata", "eventBody": {"message": "WebSocket Heartbeat"}}
)
_PONG = json.dumps({"topicName": "channel.metadata", "eventBody": {"message": "pong"}})
_CLOSING = json.dumps({"topicName": "v2.system.socket_closing", "eventBody": {}})


@dataclass(slots=True)
class Spot:
    """Where one process stands: what it submitted last for each conversation, and its clock."""

    mind: PlatformMind
    life: Life
    delivery_faults: PlatformDeliveryFaults
    is_journalled: Callable[[str], bool]
    wall: Callable[[], float]
    submitted: dict[str, str] = field(default_factory=dict)  # message ids by conversation

    def strikes(self, share: float) -> bool:
        """Draw whether something of the weather strikes this process."""
        return self.delivery_faults is not FINE_DAY and self.life.strikes(share)

    def leave(self, path: str, content: str) -> Post:
        """Write a command into the book, as it leaves."""
        parts = path.split("/")
        body = json.loads(content)
        if "queueId" in body:
            uri = f"genesys://queue/{body['queueId']}"
        elif "userId" in body:
            uri = f"genesys://user/{body['userId']}"
        else:
            uri = body["address"]
        message_id = self.submitted.get(parts[4], "none")
        book = self.mind.book
        post = Post(
            number=len(book.frames),
            left_at=self.mind.simulation.now,
            run=self.life.number,
            wall_s=self.wall(),
            message_id=message_id,
            interaction_id=parts[4],
            leg=parts[6],
            destination_uri=uri,
            journalled=self.is_journalled(message_id),
        )
        book.frames.append(post)
        self.mind.simulation.note("post", post.interaction_id, post.message_id, uri[-12:])
        return post


class HttpSide(httpx.AsyncBaseTransport):
    """Every HTTP exchange of one process."""

    def __init__(self, spot: Spot) -> None:
        self._spot = spot

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry a request there and its answer back, as far as the weather lets it."""
        spot, chance = self._spot, self._spot.life.chance
        trace = request.extensions.get("trace", _untraced)
        await trace("connection.connect_tcp.started", {})
        await asyncio.sleep(chance.uniform(0.001, 0.03))
        if spot.strikes(spot.delivery_faults.slow_connects):
            await asyncio.sleep(chance.choice((0.5, 1.5, 3.0)))
        if spot.life.is_over:
            await spot.life.silence()
        if spot.strikes(spot.delivery_faults.refused_connects):
            raise httpx.ConnectError("refused")
        is_command = request.method == "POST" and "/participants/" in request.url.path
        doom = spot.life.reaches("send") if is_command else None
        if doom is not None and doom.before:
            spot.life.die()
            await spot.life.silence()
        await trace("http11.send_request_headers.started", {})
        answer = self._send(request, is_command=is_command)
        if is_command and spot.strikes(spot.delivery_faults.stops_at_send):
            spot.mind.simulation.stall(chance.choice((0.5, 4, 40)))
        if doom is not None:
            spot.life.die()
            await spot.life.silence()
        return await answer

    def _send(self, request: httpx.Request, *, is_command: bool) -> asyncio.Future[httpx.Response]:
        """Let a request leave; nothing takes it back."""
        spot, chance, simulation = self._spot, self._spot.life.chance, self._spot.mind.simulation
        content = request.content.decode()
        post = spot.leave(request.url.path, content) if is_command else None
        asked = Asked(
            request.method,
            request.url.path,
            dict(parse_qsl(request.url.query.decode())),
            request.headers.get("Authorization", "").removeprefix("Bearer "),
            content,
            post,
        )
        answer: asyncio.Future[httpx.Response] = simulation.loop.create_future()
        if spot.strikes(spot.delivery_faults.lost_requests):
            if post is not None:
                simulation.note("request lost")
            simulation.after(chance.choice((0.05, 3.0)), partial(_lose, answer))
            return answer
        simulation.after(
            chance.uniform(0.002, 0.04),
            partial(spot.mind.arrive, asked, partial(self._answered, answer, post)),
        )
        return answer

    def _answered(
        self, answer: asyncio.Future[httpx.Response], post: Post | None, answered: Answered
    ) -> None:
        spot, chance, simulation = self._spot, self._spot.life.chance, self._spot.mind.simulation
        way_s = chance.uniform(0.002, 0.04)
        if spot.strikes(spot.delivery_faults.mute):
            if post is not None:
                simulation.note("answer muted")
            return
        if spot.strikes(spot.delivery_faults.lost_answers):
            if post is not None:
                simulation.note("answer lost")
            simulation.after(way_s, partial(_lose, answer))
            return
        simulation.after(way_s, partial(self._read, answer, post, answered))

    def _read(
        self, answer: asyncio.Future[httpx.Response], post: Post | None, answered: Answered
    ) -> None:
        if answer.done() or self._spot.life.is_over:
            return
        if post is not None:
            post.read_at = self._spot.mind.simulation.now
        body = {} if answered.body is None else {"json": answered.body}
        answer.set_result(httpx.Response(answered.status, headers=dict(answered.headers), **body))


async def _untraced(_step: str, _info: Mapping[str, object]) -> None:
    return


def _lose(answer: asyncio.Future[httpx.Response]) -> None:
    if not answer.done():
        answer.set_exception(httpx.ReadError("the connection was cut"))
        answer.exception()  # taken: whoever asked may have been killed


class ChannelSocket:
    """The process's `Transport`, and the platform's end of it."""

    tls = "TLSv1.3"

    def __init__(self, spot: Spot, channel: Channel) -> None:
        self.is_open = True
        self.is_deaf = False  # nothing comes through any more, and none notices
        self._spot = spot
        self._simulation = spot.mind.simulation
        self._channel = channel
        self._inbox: deque[str | TransportClosed] = deque()
        self._reader: asyncio.Future[None] | None = None
        if channel.socket is not None:
            channel.socket.end(1000, "another connection took its place")
        channel.socket = self
        spot.life.mourners.append(lambda: self.end(ABNORMAL, "the process is gone"))
        self._simulation.after(HEARTBEAT_S, self._beat)

    # The process's end

    def writable(self) -> bool:
        """Tell whether the socket is open."""
        return self.is_open

    async def send(self, text: str) -> None:
        """Ask for a sign of life."""
        if self._spot.life.is_over:
            await self._spot.life.silence()
        if not self.is_open:
            raise TransportClosed(ABNORMAL, "closed")
        if json.loads(text).get("message") == "ping":
            self._simulation.after(0.05, partial(self.push, _PONG))

    async def receive(self) -> str:
        """Return the next frame."""
        while not self._inbox or self._spot.life.is_over:
            self._reader = self._simulation.loop.create_future()
            await self._reader
        first = self._inbox[0]
        if isinstance(first, TransportClosed):
            raise first
        self._inbox.popleft()
        return first

    async def ping(self) -> None:
        """Return once a ping is answered."""
        await asyncio.sleep(0.02)
        if not self.is_open:
            raise TransportClosed(ABNORMAL, "closed")

    async def close(self, code: int, reason: str) -> None:
        """Close from the process's side."""
        if not self._spot.life.is_over:
            self.end(code, reason)

    # The platform's end

    def push(self, text: str) -> None:
        """Send a frame."""
        if self.is_open and not self.is_deaf:
            self._deliver(text)

    def end(self, code: int, reason: str) -> None:
        """End the socket."""
        if self.is_open:
            self.is_open = False
            if self._channel.socket is self:
                self._channel.socket = None
            self._simulation.note("channel closed", code)
            self._deliver(TransportClosed(code, reason))

    def announce_close(self) -> None:
        """Say that the socket will be closed, and close it in about a minute."""
        self._simulation.note("socket closing")
        self.push(_CLOSING)
        self._simulation.after(60.0, partial(self.end, 1001, "socket closing"))

    def _beat(self) -> None:
        if self.is_open:
            self.push(_BEAT)
            self._simulation.after(HEARTBEAT_S, self._beat)

    def _deliver(self, item: str | TransportClosed) -> None:
        self._inbox.append(item)
        if self._reader is not None and not self._reader.done() and not self._spot.life.is_over:
            self._reader.set_result(None)


class ChannelDialling:
    """The driver's `dial`: a channel's own address, without a header."""

    def __init__(self, spot: Spot) -> None:
        self._spot = spot

    async def __call__(self, url: str, headers: Mapping[str, str]) -> Transport:
        """Open a socket, or say why there is none."""
        spot, life = self._spot, self._spot.life
        await asyncio.sleep(life.chance.uniform(0.001, 0.1))
        if life.is_over:
            await life.silence()
        if headers:
            raise HandshakeRefused(400, "a channel is dialled without headers", "leave them out")
        if spot.strikes(spot.delivery_faults.unreachable):
            raise dial_failure(life.chance)
        channel = spot.mind.channels.get(url.rpartition("/")[2])
        if channel is None:
            raise HandshakeRefused(404, "there is no such channel", "make one")
        spot.mind.simulation.note("channel", life.number)
        return ChannelSocket(spot, channel)
