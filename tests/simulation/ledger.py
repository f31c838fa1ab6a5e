"""What happened on the gateway's side: every frame, every effect, every answer. Judges read it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from runner.core.pacing.destinations import Figures


@dataclass(slots=True)
class Answer:
    """One answer to a frame; `read_at` is when the process took it from its socket."""

    status: str
    retry_after_s: float | None = None
    read_at: float | None = None
    reader: int | None = None  # which run read it
    session: int | None = None  # of the reader's


@dataclass(slots=True)
class Frame:
    """One frame as it left. Times are the world's seconds."""

    left_at: float
    run: int
    session: int
    message_id: str
    interaction_id: str
    destination_uri: str
    codec: str
    text: str
    timestamp_s: float  # the message's own, seconds since the epoch
    journalled: bool  # an intent was durable when it left
    wall_s: float  # by the clock of the machine that it left
    forbidden: str | None = None  # why nothing may leave
    figures: Figures | None = None  # what the run was told of its destination last
    figures_at: float = -math.inf  # and when
    fate: str = "on its way"
    was_held_up: bool = False  # in the buffer of a gateway that stalled
    effect_at: float | None = None
    answers: list[Answer] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Effect:
    """An interaction moved by one of ours."""

    at: float
    interaction_id: str
    message_id: str
    destination_uri: str


@dataclass(slots=True)
class Ledger:
    """The gateway's own book."""

    frames: list[Frame] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)  # ended, missing, or moved by somebody else

    def of(self, interaction_id: str) -> Sequence[Frame]:
        """Return an interaction's frames in the order in which they left."""
        return [frame for frame in self.frames if frame.interaction_id == interaction_id]

    def moves(self, interaction_id: str) -> Sequence[Effect]:
        """Return what we did to an interaction."""
        return [effect for effect in self.effects if effect.interaction_id == interaction_id]
