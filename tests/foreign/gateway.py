"""A gateway written from the protocol alone, with its own ledger of what really happened.

It shares no code with the embedded one. It runs in a thread with its own event loop, so that a
test can wait for the program under test while this goes on serving. What it recorded may be read
at any time; scripts are written before the program starts.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
import urllib.parse
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Self

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.foreign.script import GOOD, Effect, Frame, Interaction, Step
from tests.foreign.web import WebRequest, WebResponse, serve_web

CLIENT_ID = "foreign-client"
CLIENT_SECRET = "canary-client-secret-7f3a91"  # the leak tests search for it
SCOPES = "interaction:transfer websocket:use interaction:view"
PATIENCE_S = 180.0
LOOK_UP_PATH = "/api/v2/interactions/"


class _TimedConnection(ServerConnection):
    """Notes the time before anything else happens to what has arrived."""

    arrived_at = 0.0
    arrived_wall = 0.0

    def data_received(self, data: bytes) -> None:
        self.arrived_at, self.arrived_wall = time.monotonic(), time.time()
        super().data_received(data)


class Gateway:
    """Token, REST and session, on loopback; a context that serves while it is entered."""

    def __init__(self) -> None:
        self.scripts: dict[str, list[Step]] = {}  # by interaction; the last step repeats
        self.default = GOOD
        self.interactions: dict[str, Interaction] = {}  # others are active
        self.missing: set[str] = set()  # REST says 404
        self.shows_effects = True  # whether look-ups tell what moved
        self.look_up_answers: dict[str, list[WebResponse]] = {}  # before the true answer
        self.token_answers: list[WebResponse] = []  # before a granted token
        self.granted_scope: str | None = SCOPES
        self.handshake_answers: list[int] = []  # statuses instead of a session
        self.frames: list[Frame] = []
        self.effects: list[Effect] = []
        self.token_requests: list[WebRequest] = []
        self.look_ups: list[WebRequest] = []
        self.down_from_look_up: int | None = None  # from this one on none is answered
        self.handshakes: list[dict[str, str]] = []
        self.closes: list[tuple[int | None, str | None]] = []
        self._tokens: set[str] = set()
        self._delivered: defaultdict[str, int] = defaultdict(int)
        self._changed = threading.Condition()
        self._gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
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

    @property
    def token_url(self) -> str:
        return f"http://127.0.0.1:{self._web_port}/oauth/token"

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self._web_port}"

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self._socket_port}/api/v2/websocket"

    def release(self, gate: str) -> None:
        """Let replies with `until=gate` go out."""
        self._loop.call_soon_threadsafe(self._gates[gate].set)

    def wait_until(self, true: Callable[[], bool]) -> None:
        """Wait until something recorded makes it so."""
        with self._changed:
            assert self._changed.wait_for(true, PATIENCE_S)

    def show_effects(self) -> None:
        """Let look-ups tell what moved, also what they kept to themselves so far."""
        self.shows_effects = True
        for effect in self.effects:
            self._show(effect)

    def _show(self, effect: Effect) -> None:
        moved = self._interaction(effect.interaction_id)
        moved.destination_uri, moved.last_transfer_id = effect.destination_uri, effect.message_id

    def deliveries(self, interaction_id: str) -> list[Frame]:
        """Return every frame about an interaction."""
        return [frame for frame in self.frames if frame.interaction_id == interaction_id]

    def moves(self, interaction_id: str) -> list[Effect]:
        """Return what really happened to an interaction."""
        return [effect for effect in self.effects if effect.interaction_id == interaction_id]

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        web = await serve_web(self._answer, now=time.monotonic)
        self._web_port = web.sockets[0].getsockname()[1]
        async with (
            web,
            serve(
                self._converse,
                "127.0.0.1",
                0,
                process_request=self._admit,
                create_connection=_TimedConnection,
                compression=None,
                ping_interval=None,
            ) as sockets,
        ):
            self._socket_port = next(iter(sockets.sockets)).getsockname()[1]
            self._ready.set()
            await self._stop.wait()

    # Token and REST

    async def _answer(self, request: WebRequest) -> WebResponse:
        path = request.target.partition("?")[0]
        with self._changed:
            try:
                if path == "/oauth/token":
                    return self._token(request)
                if path.startswith(LOOK_UP_PATH):
                    return self._look_up(request, path.removeprefix(LOOK_UP_PATH))
                return WebResponse(404, {"message": "no such place"})
            finally:
                self._changed.notify_all()

    def _token(self, request: WebRequest) -> WebResponse:
        self.token_requests.append(request)
        if self.token_answers:
            return self.token_answers.pop(0)
        expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            return WebResponse(401, {"error": "invalid_client", "error_description": "who?"})
        form = urllib.parse.parse_qs(request.body.decode())
        if form.get("grant_type") != ["client_credentials"]:
            return WebResponse(400, {"error": "unsupported_grant_type"})
        token = f"token-{len(self.token_requests)}"
        self._tokens.add(token)
        granted: dict[str, Any] = {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": 3600,
        }
        return WebResponse(
            body=granted | ({"scope": self.granted_scope} if self.granted_scope else {})
        )

    def _look_up(self, request: WebRequest, name: str) -> WebResponse:
        self.look_ups.append(request)
        if self.down_from_look_up is not None and len(self.look_ups) >= self.down_from_look_up:
            return WebResponse(status=503)
        if not self._is_authorized(request.headers.get("authorization")):
            return WebResponse(401, {"message": "no valid token"})
        interaction_id = urllib.parse.unquote(name)
        if self.look_up_answers.get(interaction_id):
            return self.look_up_answers[interaction_id].pop(0)
        if interaction_id in self.missing:
            return WebResponse(404, {"message": "not found"})
        return WebResponse(body=self._interaction(interaction_id).to_json())

    def revoke_tokens(self) -> None:
        """Let every token handed out be worthless from now on."""
        self._tokens.clear()

    def _is_authorized(self, header: str | None) -> bool:
        return header is not None and header.removeprefix("Bearer ") in self._tokens

    def _interaction(self, interaction_id: str) -> Interaction:
        return self.interactions.setdefault(interaction_id, Interaction(interaction_id))

    # Session

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        with self._changed:
            self.handshakes.append(dict(request.headers.raw_items()))
            self._changed.notify_all()
        if self.handshake_answers:
            return connection.respond(self.handshake_answers.pop(0), "not now\n")
        if not self._is_authorized(request.headers.get("Authorization")):
            return connection.respond(401, "no valid token\n")
        return None

    async def _converse(self, connection: ServerConnection) -> None:
        assert isinstance(connection, _TimedConnection)
        session = len(self.handshakes)
        replies: set[asyncio.Task[None]] = set()
        try:
            async for text in connection:
                frame = Frame(
                    connection.arrived_at,
                    connection.arrived_wall,
                    session,
                    str(text),
                    json.loads(text),
                )
                step = self._meet(frame)
                task = asyncio.create_task(self._respond(connection, frame, step))
                replies.add(task)
                task.add_done_callback(replies.discard)
        except ConnectionClosed:
            pass  # how it was closed is recorded below
        finally:
            for task in replies:
                task.cancel()
            with self._changed:
                self.closes.append((connection.close_code, connection.close_reason))
                self._changed.notify_all()

    def _meet(self, frame: Frame) -> Step:
        """Record a delivery and its effect, if it has one; return how it is met."""
        name = frame.interaction_id
        with self._changed:
            self.frames.append(frame)
            steps = self.scripts.get(name) or [self.default]
            step = steps[min(self._delivered[name], len(steps) - 1)]
            self._delivered[name] += 1
            if step.carries_out:
                destination = str(frame.message["destination_uri"])
                self.effects.append(Effect(frame.at, frame.id, name, destination))
                if self.shows_effects:
                    self._show(self.effects[-1])
            self._changed.notify_all()
        return step

    async def _respond(self, connection: ServerConnection, frame: Frame, step: Step) -> None:
        if step.until is not None:
            await self._gates[step.until].wait()
        if step.delay_s:
            await asyncio.sleep(step.delay_s)
        if step.cut:
            connection.transport.abort()
        elif step.close_code is not None:
            await connection.close(step.close_code, step.close_reason)
        elif step.answers:
            for _ in range(step.copies):
                await connection.send(step.raw or json.dumps(step.reply(frame.id)))
