"""What a gateway holds: its clock, its tokens, its interactions, and what look-ups show of them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from tests.simulation.ledger import Effect, Frame, Ledger
from tests.simulation.simulation import EPOCH_S, Simulation

ORIGIN_URI = "genesys://queue/origin"

MOVABLE = frozenset({"active", "queued"})
"""The states in which an interaction may be transferred."""


@dataclass(frozen=True, slots=True)
class Promised:
    """What a gateway promises of its deliveries, and keeps."""

    dedupes_s: float | None = None
    expires_s: float | None = None
    visible_s: float = 2.0
    tells_ids: bool = True  # look-ups tell `last_transfer_id`


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


class GatewayState:
    """Everything of a gateway but its sessions."""

    def __init__(self, simulation: Simulation, promised: Promised, *, skew_s: float) -> None:
        self.promised = promised
        self.ledger = Ledger()
        self._simulation = simulation
        self._skew_s = skew_s
        self._chance: random.Random = simulation.chance("realm")
        self._interactions: dict[str, Interaction] = {}
        self._refused: set[str] = set()
        self._tokens: dict[str, float] = {}
        self._tokens_given = 0

    def wall(self) -> float:
        """Return seconds since the epoch by the gateway's clock."""
        return EPOCH_S + self._simulation.now + self._skew_s

    def date(self) -> str:
        """Return the `Date` header."""
        return formatdate(self.wall(), usegmt=True)

    # Tokens

    def give_token(self) -> dict[str, Any]:
        """Answer a token request."""
        self._tokens_given += 1
        token, life_s = f"token-{self._tokens_given:08}", self._chance.choice((60, 600, 3600))
        self._tokens[token] = self._simulation.now + life_s
        return {"access_token": token, "token_type": "Bearer", "expires_in": life_s}

    def knows(self, token: str) -> bool:
        """Tell whether a token is worth something."""
        return self._tokens.get(token, -1.0) > self._simulation.now

    def revoke(self) -> None:
        """Make every token worthless."""
        self._tokens.clear()

    # Interactions

    def add(self, interaction_id: str, state: str = "active", uri: str = ORIGIN_URI) -> None:
        """Let there be an interaction."""
        self._interactions[interaction_id] = Interaction([(-1e9, state, uri, None)])
        if state not in MOVABLE or uri != ORIGIN_URI:
            self.ledger.touched.add(interaction_id)

    def change(self, interaction_id: str, *, state: str | None, uri: str | None) -> None:
        """Let somebody else end or move an interaction."""
        before = self._interactions[interaction_id].now()
        after = (state or before[0], uri or before[1], before[2] if uri is None else "foreign")
        self._interactions[interaction_id].states.append((self._simulation.now, *after))
        self.ledger.touched.add(interaction_id)
        self._simulation.note("somebody else", interaction_id, *after)

    def places(
        self, interaction_id: str, since: float, until: float
    ) -> list[tuple[str, str, str | None]]:
        """Return the states and places that an interaction had in a span of time, in order."""
        found = self._interactions[interaction_id]
        within = [state[1:] for state in found.states if since < state[0] <= until]
        return [found.seen(since), *within]

    def refuse(self, interaction_id: str) -> None:
        """Let every transfer of an interaction be rejected, for good."""
        self._refused.add(interaction_id)
        self.ledger.touched.add(interaction_id)

    def is_movable(self, interaction_id: str) -> bool:
        """Tell whether an interaction may be transferred now."""
        found = self._interactions.get(interaction_id)
        is_refused = interaction_id in self._refused
        return found is not None and not is_refused and found.now()[0] in MOVABLE

    def move(self, frame: Frame) -> None:
        """Carry a frame out, and write it into the ledger."""
        now, uri = self._simulation.now, frame.destination_uri
        states = self._interactions[frame.interaction_id].states
        states.append((now, states[-1][1], uri, frame.message_id))
        frame.effect_at = now
        self.ledger.effects.append(Effect(now, frame.interaction_id, frame.message_id, uri))
        self._simulation.note("effect", frame.interaction_id, frame.message_id)

    def show(self, interaction_id: str, *, stale: bool) -> dict[str, Any] | None:
        """Return what a look-up shows, as stale as is promised at worst; None: no such thing."""
        found = self._interactions.get(interaction_id)
        if found is None:
            return None
        lag_s = 0.0
        if stale and self._chance.random() < 0.5:
            lag_s = self._chance.uniform(0, self.promised.visible_s)
        state, uri, last = found.seen(self._simulation.now - lag_s)
        shown = {"id": interaction_id, "state": state, "destination_uri": uri}
        if last is not None and self.promised.tells_ids:
            shown["last_transfer_id"] = last
        return shown
