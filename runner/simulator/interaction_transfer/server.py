"""Serves the model: HTTP and WebSocket on one port."""

from __future__ import annotations

import asyncio
import time
from random import SystemRandom

from aiohttp import WSCloseCode, WSMsgType, web

from runner.core.manifest.model import Endpoints, GatewayConstraints, SimulatorOptions
from runner.simulator.behaviour import GatewayBehaviour
from runner.simulator.client_session import GOODBYE_S, Session
from runner.simulator.faults import Action, Cut, Effect, Seen
from runner.simulator.interaction_transfer.model import GatewayModel
from runner.simulator.ledger import Carried
from runner.simulator.loopback_server import LARGEST_MESSAGE, LoopbackServer, ServerOptions
from runner.simulator.tokens import Grant, Tokens


class SimulatorServer(LoopbackServer):
    """The embedded gateway: one port for tokens, look-ups and sessions.

    Raises `UsageError` for unknown faults.
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
        tokens = Tokens(
            self.client_id.reveal(),
            self.client_secret.reveal(),
            SystemRandom(),
            self._server_options.token_life_s,
            frozenset(self._server_options.scopes),
        )
        self._options = options or SimulatorOptions()
        self.model = GatewayModel(
            constraints, self._options, tokens, behaviour or GatewayBehaviour()
        )
        self._sessions: set[Session] = set()

    def _locate(self, http: str, websocket: str) -> Endpoints:
        return Endpoints(
            token_url=f"{http}/oauth/token",
            api_url=http,
            websocket_url=f"{websocket}/api/v2/websocket",
        )

    def _stall(self, until: float) -> None:
        self.model.stall(until)

    def _restore(self, effect: Carried) -> None:
        self.model.restore(
            effect.message_id, effect.interaction_id, effect.destination_uri, effect.at
        )

    def _routes(self) -> web.Application:
        application = web.Application(client_max_size=LARGEST_MESSAGE)
        application.router.add_post("/oauth/token", self._token)
        application.router.add_get("/api/v2/interactions/{id}", self._interaction)
        application.router.add_get("/api/v2/websocket", self._websocket)
        application.on_shutdown.append(self._close_sessions)
        return application

    async def _token(self, request: web.Request) -> web.Response:
        if request.content_type != "application/x-www-form-urlencoded":
            return web.json_response({"error": "invalid_request"}, status=400)
        authorization = request.headers.get("Authorization", "")
        form = (await request.read()).decode("utf-8", "replace")
        status, body = self.model.tokens.answer(authorization, form, time.time())
        headers = {"Cache-Control": "no-store"}
        if status == web.HTTPUnauthorized.status_code:
            headers["WWW-Authenticate"] = "Basic"
        return web.json_response(body, status=status, headers=headers)

    async def _interaction(self, request: web.Request) -> web.Response:
        _, grant = self._bearer(request)
        if (refused := _refused(grant, "interaction:view")) is not None:
            return refused
        await asyncio.sleep(self._options.latency_s)
        view = self.model.view(request.match_info["id"], time.time())
        if view is None:
            return web.json_response({"code": "not.found", "message": "unknown id"}, status=404)
        return web.json_response(view, headers={"Cache-Control": "no-store"})

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        token, grant = self._bearer(request)
        if (refused := _refused(grant, "websocket:use")) is not None:
            return refused
        socket = web.WebSocketResponse(
            compress=False, max_msg_size=LARGEST_MESSAGE, timeout=GOODBYE_S
        )
        await socket.prepare(request)
        session = Session(socket, request.transport, token)
        self._sessions.add(session)
        writer = asyncio.create_task(session.keep_writing())
        try:
            await self._read(session)
        finally:
            self._sessions.discard(session)
            writer.cancel()
        return socket

    def _bearer(self, request: web.Request) -> tuple[str, Grant | None]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        grant = self.model.tokens.find(token, time.time()) if scheme.lower() == "bearer" else None
        return token, grant

    async def _read(self, session: Session) -> None:
        while (message := await session.socket.receive()).type is WSMsgType.TEXT:
            decisions = self.model.receive(message.data, token=session.token, now=time.time())
            self._perform(session, decisions)
            await session.write()
        if message.type is WSMsgType.BINARY:
            await session.close(WSCloseCode.UNSUPPORTED_DATA, "text frames only")

    def _perform_now(self, party: Session, action: Action) -> None:
        if isinstance(action, Effect):
            now = time.time()
            done, next_decisions = self.model.carry_out(action, now)
            if done:
                self.ledger.add_effect(
                    action.message_id, action.interaction_id, action.destination_uri, now
                )
            self._perform(party, next_decisions)
        elif isinstance(action, Seen):
            self.ledger.add_received(action.message_id, action.interaction_id, time.time())
        elif isinstance(action, Cut):
            party.cut()
        else:
            party.put(action)

    async def _close_sessions(self, _application: web.Application) -> None:
        closing = (
            session.close(WSCloseCode.GOING_AWAY, "the gateway stops") for session in self._sessions
        )
        await asyncio.gather(*closing)


def _refused(grant: Grant | None, scope: str) -> web.Response | None:
    if grant is None:
        body = {"code": "authentication.required", "message": "no valid bearer token"}
        return web.json_response(body, status=401, headers={"WWW-Authenticate": "Bearer"})
    if scope not in grant.scopes:
        body = {"code": "missing.scope", "message": f"the token lacks the scope {scope}"}
        return web.json_response(body, status=403)
    return None
