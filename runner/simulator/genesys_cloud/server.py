"""Serves the model: REST and channels on one port."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from random import SystemRandom

from aiohttp import WSCloseCode, WSMsgType, web

from runner.core.manifest.model import Endpoints, GatewayConstraints, SimulatorOptions
from runner.simulator.behaviour import GatewayBehaviour
from runner.simulator.client_session import GOODBYE_S, Session
from runner.simulator.faults import Answer, Close, Cut
from runner.simulator.genesys_cloud.actions import Action, Hangup, Record, Reply, Request, Send
from runner.simulator.genesys_cloud.model import GenesysModel
from runner.simulator.genesys_cloud.oauth import TOKEN_PATH
from runner.simulator.genesys_cloud.routes import PERMISSIONS
from runner.simulator.genesys_cloud.views import encode
from runner.simulator.ledger import Carried
from runner.simulator.loopback_server import LARGEST_MESSAGE, LoopbackServer, ServerOptions
from runner.simulator.tokens import Tokens


class _Exchange:
    """A request that waits for its answer."""

    def __init__(self, transport: asyncio.Transport | None) -> None:
        self.reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._transport = transport

    def put(self, reply: Reply) -> None:
        """Answer, unless the client is gone."""
        if not self.reply.done():
            self.reply.set_result(reply)

    def cut(self) -> None:
        """Abort the connection; the answer is lost."""
        if self._transport is not None:
            self._transport.abort()
        self.put(_LOST)


_LOST = Reply(503, None, {})  # ends the handler of a connection that is gone


class _NoClient:
    """The client of decisions that no request waits for."""

    def cut(self) -> None:
        """Do nothing: no client is connected."""


class GenesysServer(LoopbackServer):
    """The embedded gateway with the platform's interface: one port for tokens, REST and channels.

    The platform ignores `constraints`: it takes no media with a transfer. `behaviour` has its limit
    of requests (`rate_per_s`), its time-out (`expires_s`) and the lag of look-ups. Raises
    `UsageError` for unknown faults.
    """

    def __init__(
        self,
        constraints: GatewayConstraints,
        options: SimulatorOptions | None = None,
        *,
        behaviour: GatewayBehaviour | None = None,
        server_options: ServerOptions | None = None,
    ) -> None:
        super().__init__(server_options)
        self.constraints = constraints
        tokens = Tokens(
            self.client_id.reveal(),
            self.client_secret.reveal(),
            SystemRandom(),
            self._server_options.token_life_s,
        )
        permissions = self._server_options.permissions
        self.model = GenesysModel(
            options or SimulatorOptions(),
            tokens,
            time.time(),
            behaviour or GatewayBehaviour(),
            PERMISSIONS if permissions is None else permissions,
            self._server_options.closing_s,
        )
        self._sessions: dict[str, tuple[int, Session]] = {}
        self._exchanges: set[_Exchange] = set()
        self._heartbeats: asyncio.Task[None] | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen and send heartbeats; see `LoopbackServer.start`."""
        await super().start(host, port)
        self._heartbeats = asyncio.create_task(self._beat())

    async def stop(self) -> None:
        """Close every channel's socket (1001) and the port."""
        if self._heartbeats is not None:
            self._heartbeats.cancel()
            with suppress(asyncio.CancelledError):
                await self._heartbeats
            self._heartbeats = None
        await super().stop()

    def _locate(self, http: str, websocket: str) -> Endpoints:
        self.model.organisation.channels.streaming_url = websocket
        return Endpoints(token_url=f"{http}{TOKEN_PATH}", api_url=http)

    def _stall(self, until: float) -> None:
        self.model.stall(until)

    def _restore(self, effect: Carried) -> None:
        record = Record(effect.message_id, effect.interaction_id, effect.destination_uri)
        self.model.restore(record, effect.at)

    def _routes(self) -> web.Application:
        application = web.Application(client_max_size=LARGEST_MESSAGE)
        application.router.add_get("/channels/{id}", self._channel)
        application.router.add_route("*", "/{path:.*}", self._request)
        application.on_shutdown.append(self._close_connections)
        return application

    async def _request(self, request: web.Request) -> web.Response:
        read = Request(
            request.method,
            request.path,
            {name: request.query.getall(name) for name in request.query},
            request.headers.get("Authorization", ""),
            request.content_type,
            await request.read(),
        )
        exchange = _Exchange(request.transport)
        self._exchanges.add(exchange)
        try:
            self._perform(exchange, self.model.receive(read, time.time()))
            reply = await exchange.reply
        finally:
            self._exchanges.discard(exchange)
        headers = dict(reply.headers)
        if reply.body is None:
            return web.Response(status=reply.status, headers=headers)
        headers["Content-Type"] = "application/json"
        return web.Response(status=reply.status, headers=headers, body=encode(reply.body).encode())

    async def _channel(self, request: web.Request) -> web.StreamResponse:
        channel_id = request.match_info["id"]
        if "Authorization" in request.headers:
            return web.Response(status=400, text="a channel is dialled without Authorization")
        if self.model.organisation.channels.find(channel_id, time.time()) is None:
            return web.Response(status=404, text="there is no such channel")
        socket = web.WebSocketResponse(
            compress=False, max_msg_size=LARGEST_MESSAGE, timeout=GOODBYE_S
        )
        await socket.prepare(request)
        session = Session(socket, request.transport, "")
        number = self.model.organisation.channels.connect(channel_id, time.time())
        if number is None:  # it was closed during the handshake
            await session.close(WSCloseCode.GOING_AWAY, "there is no such channel")
            return socket
        await self._converse(channel_id, number, session)
        return socket

    async def _converse(self, channel_id: str, number: int, session: Session) -> None:
        earlier = self._sessions.get(channel_id)
        self._sessions[channel_id] = (number, session)
        if earlier is not None:
            earlier[1].put(Close(WSCloseCode.OK, "another connection took its place"))
        writer = asyncio.create_task(session.keep_writing())
        try:
            while (message := await session.socket.receive()).type is WSMsgType.TEXT:
                if (answer := self.model.hear(message.data)) is not None:
                    session.put(Answer(answer))
        finally:
            self.model.organisation.channels.disconnect(channel_id, number)
            if self._sessions.get(channel_id) == (number, session):
                del self._sessions[channel_id]
            writer.cancel()

    def _perform_now(self, party: _Exchange, action: Action) -> None:
        match action:
            case Reply():
                party.put(action)
            case Cut():
                party.cut()
            case Record():
                self.ledger.add_effect(
                    action.message_id, action.interaction_id, action.destination_uri, time.time()
                )
            case Send() | Hangup():
                self._signal(action)
            case _:
                self._perform(party, self.model.step(action, time.time()))

    def _signal(self, action: Send | Hangup) -> None:
        number, session = self._sessions.get(action.channel_id, (0, None))
        if session is None:
            return
        if isinstance(action, Send):
            session.put(Answer(action.text))
        elif action.connection in {None, number}:
            session.put(Close(action.code, action.reason))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._server_options.heartbeat_s)
            self._perform(_NoClient(), self.model.organisation.channels.beat(time.time()))

    async def _close_connections(self, _application: web.Application) -> None:
        for exchange in tuple(self._exchanges):
            exchange.cut()
        closing = (
            session.close(WSCloseCode.GOING_AWAY, "the gateway stops")
            for _, session in self._sessions.values()
        )
        await asyncio.gather(*closing)
