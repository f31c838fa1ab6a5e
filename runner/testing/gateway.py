"""A fake gateway: a script answers each frame, and a log records it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.message import Classify, Reply, Request
from runner.core.transfer.states import Event, classify
from runner.ports import GatewayListener, SessionLost, SessionOpened
from runner.testing.loop_clock import WALL_S


@dataclass(frozen=True)
class Frame:
    """A received frame: time, session, content, and its number among the frames of its interaction."""

    at: float
    generation: int
    body: dict[str, Any]
    nth: int
    text: str

    @property
    def message_id(self) -> str:
        """The frame's id."""
        return str(self.body["id"])

    @property
    def interaction_id(self) -> str:
        """The interaction that it moves."""
        return str(self.body["interaction_id"])


@dataclass(frozen=True)
class Answer:
    """A reply, `after_s` seconds after the frame; without status and code: silence.

    `effect` is whether the interaction is moved; None: as the status says.
    """

    status: str | None = None
    after_s: float = 0.02
    code: int | None = None
    reason: str | None = None
    retry_after_s: float | None = None
    media: dict[str, Any] | None = None
    effect: bool | None = None
    unsent: bool = False
    correlation_id: str | None = None

    @property
    def moves(self) -> bool:
        """Whether the interaction is moved."""
        said = classify(self.status, self.code) is Event.ACCEPTED
        return said if self.effect is None else self.effect

    def reply_to(self, message_id: str, meaning: Classify = classify) -> Reply:
        """Return the reply as a driver reports it."""
        return Reply(
            message_id,
            self.status,
            self.code,
            self.reason,
            self.retry_after_s,
            self.media,
            self.correlation_id,
            Event.WITHDRAWN if self.unsent else meaning(self.status, self.code),
        )


Script = Callable[[Frame], Sequence[Answer]]

BEFORE = "genesys://queue/before"
"""The place of interactions before their first move."""

CARRIED_OUT = Answer("transfer_initiated")
SILENCE = Answer()


def in_turn(*answers: Answer | str) -> Script:
    """Return a script: the n-th delivery of an interaction gets the n-th answer, or the last."""
    scripted = [a if isinstance(a, Answer) else Answer(a) for a in answers]
    return lambda frame: [scripted[min(frame.nth, len(scripted)) - 1]]


@dataclass
class FakeGateway:
    """Implements `ports.Gateway`. `log` may be shared with a journal, to see what came first."""

    script: Script = field(default_factory=lambda: in_turn(CARRIED_OUT))
    interactions: dict[str, Interaction | Exception] = field(default_factory=dict)
    meaning: Classify = classify  # of statuses and codes
    opening: Exception | None = None
    opens_after_s: float = 0.01
    look_up_s: float = 0.005
    has_date: bool = True
    log: list[tuple[str, Any]] = field(default_factory=list)
    generation: int | None = None
    token_renewals: int = 0
    own_interval_s: float | None = None  # the gateway's own limit, beside the run's rate
    stalled: bool = False  # the transport's buffer does not drain
    breaks: Exception | None = None  # raised by a write whose frame has arrived
    closed: int = 0
    look_ups: list[tuple[float, str]] = field(default_factory=list)
    moves: list[Frame] = field(default_factory=list)  # the ledger of effects
    most_open: int = 0  # the most unanswered deliveries at a time
    _sessions: int = 0
    _due_at: float = 0.0
    _open: int = 0
    _listener: GatewayListener | None = None
    _seen: Counter[str] = field(default_factory=Counter)

    @property
    def frames(self) -> list[Frame]:
        """Every frame that arrived, in order."""
        return [what for kind, what in self.log if kind == "frame"]

    @property
    def listener(self) -> GatewayListener:
        """The listener of `open`."""
        assert self._listener is not None
        return self._listener

    def writable(self) -> bool:
        """Return whether a frame may be submitted."""
        return self.generation is not None and not self.stalled

    def due_in(self, ahead: int) -> float:
        """Return the wait by the gateway's own limit, in seconds."""
        if self.own_interval_s is None:
            return 0.0
        now = asyncio.get_running_loop().time()
        return max(0.0, self._due_at + ahead * self.own_interval_s - now)

    @property
    def most_per_s(self) -> float | None:
        """The gateway's own limit, in transfers a second."""
        return None if self.own_interval_s is None else 1 / self.own_interval_s

    async def open(self, listener: GatewayListener) -> None:
        """Open a session, or raise `opening`."""
        await asyncio.sleep(self.opens_after_s)
        if self.opening is not None:
            raise self.opening
        self._listener = listener
        self._begin()

    async def submit(self, request: Request) -> None:
        """Record a frame, and answer by the script."""
        assert self.generation is not None, "a frame was written without a session"
        body, text = json.loads(request.text), request.text
        self._seen[body["interaction_id"]] += 1
        now = asyncio.get_running_loop().time()
        frame = Frame(now, self.generation, body, self._seen[body["interaction_id"]], text)
        self.log.append(("frame", frame))
        self._due_at = now + (self.own_interval_s or 0.0)
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        answers = self.script(frame)
        if any(answer.moves for answer in answers):
            self.moves.append(frame)
        for answer in answers:
            if answer.status is not None or answer.code is not None or answer.unsent:
                self.answer(frame, answer)
        if self.breaks is not None:
            raise self.breaks

    def answer(self, frame: Frame, answer: Answer) -> None:
        """Schedule a reply."""
        asyncio.get_running_loop().call_later(answer.after_s, self._reply, frame, answer)

    async def look_up(self, interaction_id: str) -> Interaction:
        """Return the interaction by `sights`, else by the moves, with the gateway's time."""
        await asyncio.sleep(self.look_up_s)
        now = asyncio.get_running_loop().time()
        self.look_ups.append((now, interaction_id))
        seen = self._sight(interaction_id)
        date_s = WALL_S + now if self.has_date and seen.date_s is None else seen.date_s
        return replace(seen, date_s=date_s)

    def _sight(self, interaction_id: str) -> Interaction:
        if (sight := self.interactions.get(interaction_id)) is not None:
            if isinstance(sight, Exception):
                raise sight
            return sight
        moved = [f for f in self.moves if f.interaction_id == interaction_id]
        if not moved:
            return Interaction(interaction_id, found=True, state="active", destination_uri=BEFORE)
        last = moved[-1]
        return Interaction(
            interaction_id,
            found=True,
            state="active",
            destination_uri=last.body["destination_uri"],
            last_transfer_id=last.message_id,
        )

    async def close(self) -> None:
        """End the session and report its end."""
        self.closed += 1
        if self.generation is not None:
            self._end(1000, "session terminated", ours=True)
        await asyncio.sleep(0)

    def lose(self, code: int | None = 1006, reason: str = "", *, back_after_s: float = 0.5) -> None:
        """Lose the session, and open another after `back_after_s`."""
        self._end(code, reason, ours=False)
        asyncio.get_running_loop().call_later(back_after_s, self._begin)

    def _begin(self) -> None:
        if self.closed or self.generation is not None:
            return
        self._sessions += 1
        self.generation = self._sessions
        self.listener.session_opened(SessionOpened(self._sessions, "TLSv1.3"))

    def _end(self, code: int | None, reason: str, *, ours: bool) -> None:
        if self.generation is None:
            return
        lost, self.generation, self._open = self.generation, None, 0
        self.listener.session_lost(SessionLost(lost, code, reason, ours))

    def _reply(self, frame: Frame, answer: Answer) -> None:
        if self.generation is None:
            return
        self._open = max(0, self._open - 1)
        self.listener.replied(answer.reply_to(frame.message_id, self.meaning))
