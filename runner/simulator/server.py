"""The gateway on a socket: HTTP and WebSocket on one port, performing what the model decides."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

from aiohttp import WSCloseCode, WSMsgType, web

from runner.core.errors import StorageError, UsageError
from runner.core.manifest import Endpoints, GatewayConstraints, Secret, SimulatorOptions
from runner.simulator.faults import Action, Cut, Decisions, Effect, Seen
from runner.simulator.ledger import Ledger
from runner.simulator.model import Conduct, GatewayModel
from runner.simulator.session import GOODBYE_S, Session
from runner.simulator.tokens import SCOPES, Grant, Tokens

_LARGEST_FRAME = 1 << 20  # bytes (protocol, "Session")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosting:
    """What a gateway on a socket has that its model does not know of.

    Without client id and secret each start makes its own. `certificate` and `key` (PEM files)
    turn TLS on.
    """

    client_id: Secret | None = None
    client_secret: Secret | None = None
    scopes: tuple[str, ...] = SCOPES  # what the client may be granted
    token_life_s: float = 3600.0
    ledger: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


class SimulatorServer:
    """The embedded gateway: one port for tokens, look-ups and sessions.

    Raises `UsageError` on faults it does not know.
    """

    def __init__(
        self,
        constraints: GatewayConstraints,
        options: SimulatorOptions | None = None,
        *,
        conduct: Conduct | None = None,
        hosting: Hosting | None = None,
    ) -> None:
        self._hosting = hosting or Hosting()
        self.client_id = self._hosting.client_id or _random_secret("client")
        self.client_secret = self._hosting.client_secret or _random_secret("secret")
        tokens = Tokens(
            self.client_id.reveal(),
            self.client_secret.reveal(),
            SystemRandom(),
            self._hosting.token_life_s,
            frozenset(self._hosting.scopes),
        )
        self._options = options or SimulatorOptions()
        self.model = GatewayModel(constraints, self._options, tokens, conduct or Conduct())
        self.ledger = Ledger(self._hosting.ledger)
        self._endpoints: Endpoints | None = None
        self._runner: web.AppRunner | None = None
        self._sessions: set[Session] = set()
        self._running = False
        self._ended = asyncio.Event()
        self._failure: StorageError | None = None

    @property
    def endpoints(self) -> Endpoints:
        """Where the started gateway is reached; raises `UsageError` before the start."""
        if self._endpoints is None:
            raise UsageError("the simulator has no address yet; start it first")
        return self._endpoints

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one. What a ledger file tells is taken as done.

        Raises `StorageError` for an unusable ledger, `UsageError` for an unusable address or
        certificate.
        """
        tls = _tls(self._hosting)
        self._restore()
        self._runner = web.AppRunner(self._routes(), access_log=None, shutdown_timeout=GOODBYE_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port, ssl_context=tls).start()
        except (OSError, OverflowError) as error:  # the latter: a port beyond 65535
            await self.stop()
            raise UsageError(f"the simulator cannot listen on {host}:{port}: {error}") from error
        self._running = True
        self._endpoints = _endpoints(host, self._runner.addresses[0][1], secure=tls is not None)

    async def stop(self) -> None:
        """Close every session (1001) and the port; what was not yet done stays undone."""
        self._running = False
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self.ledger.close()

    async def failed(self) -> None:
        """Wait until the gateway cannot go on; raises the `StorageError` that ended it."""
        await self._ended.wait()
        if self._failure is not None:
            raise self._failure

    def stall(self, seconds: float) -> None:
        """Act upon no frame for so long; those that come meanwhile wait."""
        self.model.stall(time.time() + seconds)

    def _restore(self) -> None:
        try:
            for effect in self.ledger.open():
                self.model.restore(
                    effect.message_id, effect.interaction_id, effect.destination_uri, effect.at
                )
        except StorageError:
            self.ledger.close()
            raise

    def _routes(self) -> web.Application:
        application = web.Application(client_max_size=_LARGEST_FRAME)
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
            compress=False, max_msg_size=_LARGEST_FRAME, timeout=GOODBYE_S
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

    def _perform(self, session: Session, decisions: Decisions) -> None:
        """Do at once what is due; the rest later, and nothing once the gateway has stopped."""
        if not self._running:
            return
        try:
            for delay_s, action in decisions:
                if delay_s > 0:
                    loop = asyncio.get_running_loop()
                    loop.call_later(delay_s, self._perform, session, ((0.0, action),))
                else:
                    self._perform_now(session, action)
        except StorageError as error:
            session.cut()
            self._running = False
            self._failure = error
            self._ended.set()

    def _perform_now(self, session: Session, action: Action) -> None:
        if isinstance(action, Effect):
            now = time.time()
            done, next_decisions = self.model.carry_out(action, now)
            if done:
                self.ledger.add_effect(
                    action.message_id, action.interaction_id, action.destination_uri, now
                )
            self._perform(session, next_decisions)
        elif isinstance(action, Seen):
            self.ledger.add_received(action.message_id, action.interaction_id, time.time())
        elif isinstance(action, Cut):
            session.cut()
        else:
            session.put(action)

    async def _close_sessions(self, _application: web.Application) -> None:
        closing = (
            session.close(WSCloseCode.GOING_AWAY, "the gateway stops") for session in self._sessions
        )
        await asyncio.gather(*closing)


async def serve(
    server: SimulatorServer,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    on_ready: Callable[[Endpoints, Secret, Secret], None],
) -> None:
    """Serve until cancelled; `on_ready` is told endpoints, client id and client secret.

    Raises what `SimulatorServer.start` raises, and `StorageError` when the ledger fails later.
    """
    await server.start(host, port)
    try:
        on_ready(server.endpoints, server.client_id, server.client_secret)
        await server.failed()
    finally:
        await server.stop()


def _refused(grant: Grant | None, scope: str) -> web.Response | None:
    if grant is None:
        body = {"code": "authentication.required", "message": "no valid bearer token"}
        return web.json_response(body, status=401, headers={"WWW-Authenticate": "Bearer"})
    if scope not in grant.scopes:
        body = {"code": "missing.scope", "message": f"the token lacks the scope {scope}"}
        return web.json_response(body, status=403)
    return None


def _random_secret(prefix: str) -> Secret:
    return Secret(f"{prefix}-{secrets.token_hex(16)}")


def _tls(hosting: Hosting) -> ssl.SSLContext | None:
    if hosting.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(hosting.certificate, hosting.key)
    except OSError as error:  # ssl.SSLError is one
        advice = "name a PEM certificate and its key"
        raise UsageError(f"certificate {hosting.certificate}: {error}; {advice}") from error
    return context


def _endpoints(host: str, port: int, *, secure: bool) -> Endpoints:
    origin = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    http, websocket = ("https", "wss") if secure else ("http", "ws")
    return Endpoints(
        token_url=f"{http}://{origin}/oauth/token",
        api_url=f"{http}://{origin}",
        websocket_url=f"{websocket}://{origin}/api/v2/websocket",
    )
