"""A gateway of the interaction-transfer protocol without input, output or clock.

Written from docs/design/protocol.md alone: it shares no code with the program or its embedded
gateway. A shell passes in what arrives, and when; it writes what `due` returns, and asks again at
`next_at`. What the model records (`frames`, `effects` …) is the judge of a test.
"""

from __future__ import annotations

import base64
import heapq
import itertools
import json
import urllib.parse
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.foreign.script import GOOD, Effect, Frame, Interaction, Step
from tests.foreign.wire import Request, WebResponse

CLIENT_ID = "foreign-client"
CLIENT_SECRET = "canary-client-secret-7f3a91"  # the leak tests search for it
SCOPES = "interaction:transfer websocket:use interaction:view"
LOOK_UP_PATH = "/api/v2/interactions/"


@dataclass(frozen=True, slots=True)
class Send:
    """Write a text frame."""

    session: int
    text: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close a session in due form."""

    session: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Cut:
    """Drop a session's connection without a closing handshake."""

    session: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Read a session no further for a while."""

    session: int
    seconds: float


Action = Send | Close | Cut | Pause
Note = Callable[[str, Mapping[str, Any]], None]
"""Hears of each event, as it happens, and what it is about."""


class GatewayModel:
    """Grants tokens, shows interactions, acts upon frames. Times are monotonic seconds.

    What has arrived is acted upon whether or not its sender and its session still live.
    """

    def __init__(
        self,
        *,
        expires_s: float | None = None,
        dedupes: bool = False,
        note: Note = lambda *_: None,
    ) -> None:
        self.scripts: dict[str, list[Step]] = {}  # by interaction; the last step repeats
        self.default = GOOD
        self.interactions: dict[str, Interaction] = {}  # others are active
        self.missing: set[str] = set()  # REST says 404
        self.shows_effects = True  # whether look-ups show what moved
        self.look_up_answers: dict[str, list[WebResponse]] = {}  # before the true answer
        self.token_answers: list[WebResponse] = []  # before a granted token
        self.granted_scope: str | None = SCOPES
        self.handshake_answers: list[int] = []  # statuses instead of a session
        self.frames: list[Frame] = []
        self.effects: list[Effect] = []
        self.token_requests: list[Request] = []
        self.look_ups: list[Request] = []
        self.down_from_look_up: int | None = None  # from this one on none is answered
        self.handshakes: list[Mapping[str, str]] = []  # their headers
        self.closes: list[tuple[int, str]] = []
        self._expires_s = expires_s
        self._dedupes = dedupes
        self._note = note
        self._tokens: set[str] = set()
        self._delivered: defaultdict[str, int] = defaultdict(int)
        self._acts_at: dict[str, float] = {}  # by message id
        self._released: set[str] = set()
        self._waiting: defaultdict[str, list[tuple[Frame, Step]]] = defaultdict(list)
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = itertools.count()
        self._actions: list[Action] = []

    # Token and REST

    def request(self, request: Request) -> WebResponse:
        """Return the answer to a request that is no handshake."""
        path = request.path.partition("?")[0]
        if path == "/oauth/token":
            return self._token(request)
        if path.startswith(LOOK_UP_PATH):
            return self._look_up(request, urllib.parse.unquote(path.removeprefix(LOOK_UP_PATH)))
        return WebResponse(404, {"message": "no such place"})

    def _token(self, request: Request) -> WebResponse:
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
        granted = {"access_token": token, "token_type": "bearer", "expires_in": 3600}
        scope = {"scope": self.granted_scope} if self.granted_scope else {}
        return WebResponse(body=granted | scope)

    def _look_up(self, request: Request, interaction_id: str) -> WebResponse:
        self.look_ups.append(request)
        self._note("asked", {"interaction_id": interaction_id})
        if self.down_from_look_up is not None and len(self.look_ups) >= self.down_from_look_up:
            return WebResponse(status=503)
        if not self._is_authorized(request.headers):
            return WebResponse(401, {"message": "no valid token"})
        if self.look_up_answers.get(interaction_id):
            return self.look_up_answers[interaction_id].pop(0)
        if interaction_id in self.missing:
            return WebResponse(404, {"message": "not found"})
        return WebResponse(body=self._interaction(interaction_id).to_json())

    def revoke_tokens(self) -> None:
        """Let every token handed out be worthless from now on."""
        self._tokens.clear()

    def _is_authorized(self, headers: Mapping[str, str]) -> bool:
        return headers.get("authorization", "").removeprefix("Bearer ") in self._tokens

    def _interaction(self, interaction_id: str) -> Interaction:
        return self.interactions.setdefault(interaction_id, Interaction(interaction_id))

    # Session

    def admit(self, request: Request) -> WebResponse | None:
        """Return why a handshake is refused; None: the session `len(handshakes)` is open."""
        self.handshakes.append(request.headers)
        if self.handshake_answers:
            return WebResponse(self.handshake_answers.pop(0), b"not now\n")
        if not self._is_authorized(request.headers):
            return WebResponse(401, b"no valid token\n")
        self._note("session", {})
        return None

    def frame(self, session: int, text: str, *, now: float, wall: float) -> None:
        """Take a text frame; `wall` is in seconds since the epoch."""
        frame = Frame(now, wall, session, text, json.loads(text))
        self.frames.append(frame)
        self._note("arrived", frame.about(now))
        step = self.step(frame)
        if step.stall_s:
            self._note("stalled", frame.about(now))
            self._actions.append(Pause(session, step.stall_s))
        if self._dedupes and frame.id in self._acts_at:
            self._note("repeated", frame.about(now))
            again_at = max(now, self._acts_at[frame.id])
            self._at(again_at, partial(self._respond, frame, step))
            return
        self._acts_at[frame.id] = now + step.stall_s + step.act_s
        self._at(self._acts_at[frame.id], partial(self._act, frame, step))

    def step(self, frame: Frame) -> Step:
        """Return how a frame is met: as its interaction's script says."""
        name = frame.interaction_id
        steps = self.scripts.get(name) or [self.default]
        self._delivered[name] += 1
        return steps[min(self._delivered[name], len(steps)) - 1]

    def closed(self, code: int, reason: str) -> None:
        """Record how a session ended."""
        self.closes.append((code, reason))

    def open_gate(self, gate: str, *, now: float) -> None:
        """Let replies with `until=gate` go out."""
        self._released.add(gate)
        for frame, step in self._waiting.pop(gate, ()):
            self._respond(frame, step, now)

    # Time

    def due(self, now: float) -> list[Action]:
        """Let happen what happens until `now`; return what is to be written."""
        while self._events and self._events[0][0] <= now:
            at, _, event = heapq.heappop(self._events)
            event(at)
        actions, self._actions = self._actions, []
        return actions

    @property
    def next_at(self) -> float | None:
        """When `due` is to be asked next, if nothing arrives before."""
        return self._events[0][0] if self._events else None

    def _at(self, at: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (at, next(self._order), event))

    # Effects and replies

    def _act(self, frame: Frame, step: Step, now: float) -> None:
        if self._expires_s is not None and frame.age_s(now) > self._expires_s:
            self._note("expired", frame.about(now))
            return
        if step.carries_out:
            destination = str(frame.message["destination_uri"])
            effect = Effect(now, frame.id, frame.interaction_id, destination)
            self.effects.append(effect)
            self._note("moved", frame.about(now))
            if self.shows_effects:
                self._at(now + step.visible_s, partial(self._show, effect))
        self._respond(frame, step, now)

    def _show(self, effect: Effect, now: float = 0.0) -> None:  # noqa: ARG002 - an event
        moved = self._interaction(effect.interaction_id)
        moved.destination_uri, moved.last_transfer_id = effect.destination_uri, effect.message_id

    def show_effects(self) -> None:
        """Let look-ups show what moved, also what they kept to themselves so far."""
        self.shows_effects = True
        for effect in self.effects:
            self._show(effect)

    def _respond(self, frame: Frame, step: Step, now: float) -> None:
        if step.until is not None and step.until not in self._released:
            self._waiting[step.until].append((frame, step))
        else:
            self._at(now + step.delay_s, partial(self._answer, frame, step))

    def _answer(self, frame: Frame, step: Step, now: float) -> None:  # noqa: ARG002 - an event
        if step.cut:
            self._actions.append(Cut(frame.session))
        elif step.close_code is not None:
            self._actions.append(Close(frame.session, step.close_code, step.close_reason))
        elif step.answers:
            text = step.raw or json.dumps(step.reply(frame.id))
            self._actions += [Send(frame.session, text)] * step.copies

    # What is asked by tests

    def deliveries(self, interaction_id: str) -> list[Frame]:
        """Return every frame about an interaction."""
        return [frame for frame in self.frames if frame.interaction_id == interaction_id]

    def moves(self, interaction_id: str) -> list[Effect]:
        """Return what really happened to an interaction."""
        return [effect for effect in self.effects if effect.interaction_id == interaction_id]
