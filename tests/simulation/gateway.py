"""A gateway written from the protocol alone, with its own ledger of effects.

It shares no code with the runner or its embedded simulator. What it does wrong is drawn from the
weather; what it promises (`Promised`) it keeps.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, Protocol

from tests.simulation.ledger import Answer, Effect, Frame, Ledger
from tests.simulation.weather import (
    ACCEPTED,
    CLOSES,
    FATES,
    FINE,
    LIMITED,
    REJECTED,
    SLOWEST_S,
    STALL_LIMIT_S,
    UNSUITED,
    Fate,
    Weather,
)
from tests.simulation.world import EPOCH_S, World

ORIGIN_URI = "genesys://queue/origin"


@dataclass(frozen=True, slots=True)
class Promised:
    """What this gateway promises of its deliveries, and keeps."""

    dedupes_s: float | None = None
    expires_s: float | None = None
    visible_s: float = 2.0
    tells_ids: bool = True  # look-ups tell `last_transfer_id`


class Line(Protocol):
    """The gateway's end of one session."""

    number: int
    token: str
    is_open: bool

    def push(self, text: str, read: Callable[[int], None]) -> None:
        """Send a text frame; `read` is told which run takes it."""

    def close(self, code: int, reason: str) -> None:
        """Close in due form."""

    def cut(self) -> None:
        """Abort: no close frame."""


@dataclass(slots=True)
class Interaction:
    """Where an interaction is, and every place that look-ups may still show."""

    states: list[tuple[float, str, str, str | None]]  # since when: state, destination, last id

    def now(self) -> tuple[str, str, str | None]:
        """Return the truth."""
        return self.states[-1][1:]

    def seen(self, at: float) -> tuple[str, str, str | None]:
        """Return what was true at `at`."""
        return next(state[1:] for state in reversed(self.states) if state[0] <= at)


@dataclass(slots=True)
class Known:
    """A message id that the gateway remembers under `dedupes`."""

    since: float
    fate: str  # how a repeat is answered
    done: bool = False


class Gateway:
    """Tokens, sessions, interactions. Whoever carries frames calls `arrive`."""

    def __init__(
        self, world: World, weather: Weather, promised: Promised, *, skew_s: float
    ) -> None:
        self.world = world
        self.ledger = Ledger()
        self.weather = weather
        self._promised = promised
        self._skew_s = skew_s
        self._chance = world.chance("gateway")
        self._interactions: dict[str, Interaction] = {}
        self._lines: list[Line] = []
        self._tokens: dict[str, float] = {}
        self._tokens_given = 0
        self._known: dict[str, Known] = {}
        self._kept: list[tuple[Frame, Answer]] = []
        self._stalled_until = 0.0
        self._storm_until = 0.0
        self._waiting: set[int] = set()  # frames that a stall has held up already
        self._schedule()

    # The world

    def add(self, interaction_id: str, state: str = "active", uri: str = ORIGIN_URI) -> None:
        """Let there be an interaction."""
        self._interactions[interaction_id] = Interaction([(-1e9, state, uri, None)])
        if state not in {"active", "queued"} or uri != ORIGIN_URI:
            self.ledger.touched.add(interaction_id)

    def change(self, interaction_id: str, *, state: str | None, uri: str | None) -> None:
        """Let somebody else end or move an interaction."""
        before = self._interactions[interaction_id].now()
        after = (state or before[0], uri or before[1], before[2] if uri is None else "foreign")
        self._interactions[interaction_id].states.append((self.world.now, *after))
        self.ledger.touched.add(interaction_id)
        self.world.note("somebody else", interaction_id, *after)

    def heal(self) -> None:
        """Let the weather be fine from here on."""
        self.weather = FINE
        self._stalled_until = self._storm_until = 0.0

    def wall(self) -> float:
        """Return seconds since the epoch by the gateway's clock."""
        return EPOCH_S + self.world.now + self._skew_s

    def _schedule(self) -> None:
        """Draw when the next of each thing happens that happens by itself."""
        for share, befall in (
            (self.weather.gateway_stalls, self._stall),
            (self.weather.storms, self._storm),
            (self.weather.closes, self._close_one),
            (self.weather.revocations, self._revoke),
        ):
            if share:
                self._repeat(share, befall)

    def _repeat(self, share: float, befall: Callable[[], None]) -> None:
        def strike() -> None:
            if self.weather is not FINE:
                befall()
                self._repeat(share, befall)

        self.world.after(self._chance.expovariate(share), strike)

    def _stall(self) -> None:
        if self.world.now >= self._stalled_until:
            seconds = self._chance.choice((1.0, 8.0, 20.0, STALL_LIMIT_S - 1))
            self._stalled_until = self.world.now + seconds
            self.world.note("gateway stalls", seconds)
            if seconds > 10 and self._chance.random() < 0.5:
                self.world.after(12.0, self._keep_alive_fails)

    def _keep_alive_fails(self) -> None:
        for line in self._open_lines():
            line.cut()

    def _storm(self) -> None:
        self._storm_until = self.world.now + self._chance.uniform(0.5, 20)
        self.world.note("storm")

    def _close_one(self) -> None:
        for line in self._open_lines():
            if self._chance.random() < 0.3:
                line.cut()
            else:
                self._close(line)

    def _close(self, line: Line) -> None:
        code, reason = self._chance.choice(CLOSES)
        self.world.note("close", code, reason)
        line.close(code, reason)

    def _revoke(self) -> None:
        self._tokens.clear()
        self.world.note("revoked")
        for line in self._open_lines():
            if self._chance.random() < 0.5:
                line.close(4401, "token expired or revoked")

    def _open_lines(self) -> list[Line]:
        self._lines = [line for line in self._lines if line.is_open]
        return list(self._lines)

    # Tokens and look-ups

    def give_token(self) -> dict[str, Any]:
        """Answer a token request."""
        self._tokens_given += 1
        token, life_s = f"token-{self._tokens_given:08}", self._chance.choice((60, 600, 3600))
        self._tokens[token] = self.world.now + life_s
        return {"access_token": token, "token_type": "Bearer", "expires_in": life_s}

    def knows(self, token: str) -> bool:
        """Tell whether a token is worth something."""
        return self._tokens.get(token, -1.0) > self.world.now

    def show(self, interaction_id: str) -> dict[str, Any] | None:
        """Return what a look-up shows, as stale as is promised at worst; None: no such thing."""
        found = self._interactions.get(interaction_id)
        if found is None:
            return None
        lag_s = 0.0
        if self.weather is not FINE and self._chance.random() < 0.5:
            lag_s = self._chance.uniform(0, self._promised.visible_s)
        state, uri, last = found.seen(self.world.now - lag_s)
        shown = {"id": interaction_id, "state": state, "destination_uri": uri}
        if last is not None and self._promised.tells_ids:
            shown["last_transfer_id"] = last
        return shown

    def date(self) -> str:
        """Return the `Date` header."""
        return formatdate(self.wall(), usegmt=True)

    # Sessions

    def open(self, line: Line) -> None:
        """Take a new session; what was kept of earlier ones may come on it."""
        self._lines.append(line)
        kept, self._kept = self._kept, []
        for frame, answer in kept:
            wait_s = self._chance.uniform(0, 3)
            self.world.after(wait_s, lambda f=frame, a=answer: self._push(line, f, a))

    def arrive(self, line: Line, frame: Frame) -> None:
        """Read a frame, once a stall is over."""
        wait_s = self._stalled_until - self.world.now
        if wait_s > 0 and id(frame) not in self._waiting:
            self._waiting.add(id(frame))
            self.world.after(wait_s, lambda: self.arrive(line, frame))
            return
        if not self.knows(line.token) and self._chance.random() < 0.5:
            frame.fate = "refused with its token"
            line.close(4401, "token expired or revoked")
            return
        frame.fate = self._fate(frame)
        processing_s = self._chance.uniform(0.005, 0.08)
        if self._chance.random() < self.weather.slow:
            processing_s = self._chance.uniform(0.1, SLOWEST_S)
        frame.acted_at = self.world.now + processing_s
        if self._promised.dedupes_s is not None:
            self._remember(frame)
        self.world.after(processing_s, lambda: self._act(line, frame))

    def _fate(self, frame: Frame) -> str:
        known = self._known.get(frame.message_id)
        if known is not None:
            if self.world.now - known.since <= (self._promised.dedupes_s or 0):
                return known.fate
            del self._known[frame.message_id]
        found = self._interactions.get(frame.interaction_id)
        if found is None or found.now()[0] not in {"active", "queued"}:
            return REJECTED
        if self.world.now < self._storm_until:
            return LIMITED
        drawn = self._chance.random()
        for name, weight in self.weather.fates.items():
            drawn -= weight * 0.5
            if drawn < 0 and not self._unfit(name, frame):
                return name
        return ACCEPTED

    def _unfit(self, fate: str, frame: Frame) -> bool:
        """Tell whether a fate would break what is promised, or the protocol's sense."""
        if fate == UNSUITED:
            return frame.codec != "opus"  # what is fallen back on is taken
        return fate == "unlisted, not done" and self._promised.dedupes_s is not None

    def _remember(self, frame: Frame) -> None:
        fate = FATES[frame.fate]
        lost = not fate.effect and frame.fate not in {REJECTED, UNSUITED}
        if not lost and frame.message_id not in self._known:
            self._known[frame.message_id] = Known(self.world.now, self._as_first(frame.fate))

    @staticmethod
    def _as_first(fate: str) -> str:
        """Return how a repeat is answered, whatever befell the first answer."""
        if fate.startswith("unlisted"):
            return fate
        return ACCEPTED if FATES[fate].effect else fate

    def _act(self, line: Line, frame: Frame) -> None:
        fate = FATES[frame.fate]
        if fate.effect:
            fate = self._carry_out(frame, fate)
        for n, status in enumerate(fate.answers):
            self._answer(line, frame, status, after_s=n * self._chance.choice((0.0, 0.05, 5.0)))
        if fate.ends == "cut":
            line.cut()
        elif fate.ends == "close":
            self._close(line)
        self.world.note(f"fate: {frame.fate}", frame.interaction_id, frame.message_id)

    def _carry_out(self, frame: Frame, fate: Fate) -> Fate:
        """Move the interaction, unless that is done already or no more to be done."""
        expires_s = self._promised.expires_s
        if expires_s is not None and self.wall() > frame.timestamp_s + expires_s:
            frame.fate = "expired"
            return FATES[REJECTED]
        known = self._known.get(frame.message_id)
        if known is not None and known.done:
            return fate
        interaction = self._interactions[frame.interaction_id]
        state = interaction.now()[0]
        if state not in {"active", "queued"}:
            if known is not None:
                known.fate = REJECTED
            return FATES[REJECTED]
        if known is not None:
            known.done = True
        now, uri = self.world.now, frame.destination_uri
        frame.effect_at = now
        interaction.states.append((now, state, uri, frame.message_id))
        self.ledger.effects.append(Effect(now, frame.interaction_id, frame.message_id, uri))
        self.world.note("effect", frame.interaction_id, frame.message_id)
        return fate

    # Answers

    def _answer(self, line: Line, frame: Frame, status: str, after_s: float) -> None:
        retry_after_s = None
        if status == "rate_limited":
            retry_after_s = self._chance.choice((None, None, 0, 0.5, 3, 30, 170))
        answer = Answer(status, retry_after_s)
        delay_s = after_s + self._chance.uniform(0, 0.01)
        if self._chance.random() < self.weather.late:
            delay_s += self._chance.uniform(0.1, SLOWEST_S)
        self._send_later(line, frame, answer, delay_s)
        if self._chance.random() < self.weather.doubled:
            again = Answer(status, retry_after_s)
            self._send_later(line, frame, again, delay_s + self._chance.choice((0, 0.02, 0.4, 1.2, 7)))

    def _send_later(self, line: Line, frame: Frame, answer: Answer, delay_s: float) -> None:
        frame.answers.append(answer)
        self.world.after(delay_s, lambda: self._push(line, frame, answer))

    def _push(self, line: Line, frame: Frame, answer: Answer) -> None:
        if not line.is_open:
            if self._chance.random() < self.weather.kept:
                self.world.note("late for its session", frame.message_id, answer.status)
                self._kept.append((frame, answer))
            return
        answer.sent_at = self.world.now
        body: dict[str, Any] = {"id": frame.message_id, "status": answer.status}
        if answer.retry_after_s is not None:
            body["retry_after"] = answer.retry_after_s

        def read(run: int) -> None:
            if answer.read_at is None:
                answer.read_at, answer.reader = self.world.now, run
                answer.session = line.number
                self.world.note("read", frame.message_id, answer.status)

        line.push(json.dumps(body), read)


def read_frame(text: str) -> tuple[dict[str, Any], float]:
    """Read a request's text: the message and its timestamp in seconds since the epoch."""
    message = json.loads(text)
    built = datetime.strptime(message["timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return message, built.timestamp()
