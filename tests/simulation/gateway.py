"""A gateway written from the protocol alone, with its own ledger of effects.

It shares no code with the runner or its embedded simulator. What it does wrong is drawn from the
weather; what it promises (`Promised`) it keeps.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tests.simulation.delivery_faults import (
    ACCEPTED,
    FATES,
    FINE,
    IGNORED,
    LIMITED,
    MUTE,
    REJECTED,
    SLOWEST_S,
    UNSUITED,
    DeliveryFaults,
    Fate,
)
from tests.simulation.gateway_faults import GatewayFaults, Line
from tests.simulation.gateway_state import GatewayState, Promised
from tests.simulation.ledger import Answer, Frame, Ledger
from tests.simulation.simulation import Simulation


@dataclass(slots=True)
class Known:
    """A message id that the gateway remembers under `dedupes`."""

    since: float
    fate: str  # how a repeat is answered
    done: bool = False


class Gateway:
    """Acts upon frames and answers them. Whoever carries frames calls `open` and `arrive`."""

    def __init__(
        self,
        simulation: Simulation,
        delivery_faults: DeliveryFaults,
        promised: Promised,
        *,
        skew_s: float,
    ) -> None:
        self.simulation = simulation
        self.gateway_state = GatewayState(simulation, promised, skew_s=skew_s)
        self._gateway_faults = GatewayFaults(simulation, delivery_faults, self.gateway_state)
        self._promised = promised
        self._chance = simulation.chance("gateway")
        self._known: dict[str, Known] = {}
        self._kept: list[tuple[Frame, Answer]] = []

    @property
    def ledger(self) -> Ledger:
        """The gateway's own book."""
        return self.gateway_state.ledger

    @property
    def delivery_faults(self) -> DeliveryFaults:
        """How bad the day is."""
        return self._gateway_faults.delivery_faults

    @property
    def is_down(self) -> bool:
        """Tell whether the REST side answers nothing of use."""
        return self.simulation.now < self._gateway_faults.down_until

    def heal(self) -> None:
        """Let the weather be fine from here on."""
        self._gateway_faults.heal()

    def show(self, interaction_id: str) -> dict[str, Any] | None:
        """Answer a look-up."""
        return self.gateway_state.show(interaction_id, stale=self.delivery_faults is not FINE)

    def open(self, line: Line) -> None:
        """Take a new session; what was kept of earlier ones may come on it."""
        self._gateway_faults.lines.append(line)
        kept, self._kept = self._kept, []
        for frame, answer in kept:
            self.simulation.after(
                self._chance.uniform(0, 3), partial(self._push, line, frame, answer)
            )

    def arrive(self, line: Line, frame: Frame) -> None:
        """Read a frame, once a stall is over."""
        wait_s = self._gateway_faults.stalled_until - self.simulation.now
        if wait_s > 0 and not frame.was_held_up:
            frame.was_held_up = True
            self.simulation.after(wait_s, partial(self.arrive, line, frame))
            return
        if not self.gateway_state.knows(line.token) and self._chance.random() < 0.5:
            frame.fate = "refused with its token"
            line.close(4401, "token expired or revoked")
            return
        frame.fate = self._fate(frame)
        processing_s = self._chance.uniform(0.005, 0.08)
        if self._chance.random() < self.delivery_faults.slow:
            processing_s = self._chance.uniform(0.1, SLOWEST_S)
        if self._promised.dedupes_s is not None:
            self._remember(frame)
        self.simulation.after(processing_s, partial(self._act, line, frame))

    # What is done

    def _fate(self, frame: Frame) -> str:
        if self.simulation.now < self._gateway_faults.storm_until:
            return LIMITED
        if (known := self._still_known(frame.message_id)) is not None:
            return self._repeated_fate(known)
        if not self.gateway_state.is_movable(frame.interaction_id):
            return REJECTED
        drawn = self._chance.random()
        for name, weight in self.delivery_faults.fates.items():
            drawn -= weight * 0.5
            if drawn < 0 and not self._is_unfit(name, frame):
                return name
        return ACCEPTED

    def _still_known(self, message_id: str) -> Known | None:
        known = self._known.get(message_id)
        if known is None or self.simulation.now - known.since <= (self._promised.dedupes_s or 0):
            return known
        del self._known[message_id]
        return None

    def _repeated_fate(self, known: Known) -> str:
        """Answer a repeat as the first was, but for what says nothing about the first."""
        for fate in (LIMITED, MUTE if FATES[known.fate].effect else IGNORED):
            if self._chance.random() < self.delivery_faults.fates.get(fate, 0) * 0.5:
                return fate
        return known.fate

    def _is_unfit(self, fate: str, frame: Frame) -> bool:
        """Tell whether a fate would break what is promised, or the protocol's sense."""
        if fate == UNSUITED:
            return frame.codec != "opus"  # what is fallen back on is taken
        return fate == "unlisted, not done" and self._promised.dedupes_s is not None

    def _remember(self, frame: Frame) -> None:
        fate = FATES[frame.fate]
        says_nothing = not fate.effect and frame.fate not in {REJECTED, UNSUITED}
        if not says_nothing and frame.message_id not in self._known:
            self._known[frame.message_id] = Known(self.simulation.now, _as_first(frame.fate))

    def _act(self, line: Line, frame: Frame) -> None:
        fate = FATES[frame.fate]
        if fate.effect:
            fate = self._carry_out(frame, fate)
        for n, status in enumerate(fate.answers):
            self._answer(line, frame, status, after_s=n * self._chance.choice((0.0, 0.05, 5.0)))
        if fate.ends == "cut":
            line.cut()
        elif fate.ends == "close":
            self._gateway_faults.close(line)
        self.simulation.note(f"fate: {frame.fate}", frame.interaction_id, frame.message_id)

    def _carry_out(self, frame: Frame, fate: Fate) -> Fate:
        """Move the interaction, unless that is done already or no more to be done."""
        expires_s = self._promised.expires_s
        if expires_s is not None and self.gateway_state.wall() > frame.timestamp_s + expires_s:
            frame.fate = "expired"
            return FATES[REJECTED]
        known = self._known.get(frame.message_id)
        if known is not None and known.done:
            return fate
        if not self.gateway_state.is_movable(frame.interaction_id):
            if known is not None:
                known.fate = REJECTED
            return FATES[REJECTED]
        if known is not None:
            known.done = True
        self.gateway_state.move(frame)
        return fate

    # What is answered

    def _answer(self, line: Line, frame: Frame, status: str, after_s: float) -> None:
        retry_after_s = None
        if status == "rate_limited":
            retry_after_s = self._chance.choice((None, None, 0, 0.5, 3, 30, 170))
        delay_s = after_s + self._chance.uniform(0, 0.01)
        if self._chance.random() < self.delivery_faults.late:
            delay_s += self._chance.uniform(0.1, SLOWEST_S)
        self._send_later(line, frame, Answer(status, retry_after_s), delay_s)
        if self._chance.random() < self.delivery_faults.doubled:
            delay_s += self._chance.choice((0, 0.02, 0.4, 1.2, 7))
            self._send_later(line, frame, Answer(status, retry_after_s), delay_s)

    def _send_later(self, line: Line, frame: Frame, answer: Answer, delay_s: float) -> None:
        frame.answers.append(answer)
        self.simulation.after(delay_s, partial(self._push, line, frame, answer))

    def _push(self, line: Line, frame: Frame, answer: Answer) -> None:
        if not line.is_open:
            if self._chance.random() < self.delivery_faults.kept:
                self.simulation.note("late for its session", frame.message_id, answer.status)
                self._kept.append((frame, answer))
            return
        body: dict[str, Any] = {"id": frame.message_id, "status": answer.status}
        if answer.retry_after_s is not None:
            body["retry_after"] = answer.retry_after_s

        def read(run: int) -> None:
            if answer.read_at is None:
                answer.read_at, answer.reader = self.simulation.now, run
                answer.session = line.number
                self.simulation.note("read", frame.message_id, answer.status)

        line.push(json.dumps(body), read)


def _as_first(fate: str) -> str:
    """Return how a repeat is answered, whatever befell the first answer."""
    if fate.startswith("unlisted"):
        return fate
    return ACCEPTED if FATES[fate].effect else fate


def read_frame(text: str) -> tuple[dict[str, Any], float]:
    """Read a request's text: the message and its timestamp in seconds since the epoch."""
    message = json.loads(text)
    built = datetime.strptime(message["timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return message, built.timestamp()
