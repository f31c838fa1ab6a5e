"""What left for the platform and what came of it: the book that the judge reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.simulation.platform_org import Move


@dataclass(slots=True)
class Post:
    """One command as it left. Times are the world's seconds.

    `answer` is the HTTP status that the platform gave; `read_at` when the process had it.
    """

    number: int
    left_at: float
    run: int
    wall_s: float
    message_id: str
    interaction_id: str
    leg: str
    destination_uri: str
    journalled: bool
    acted_at: float | None = None
    answer: int | None = None
    read_at: float | None = None
    move: Move | None = None  # what the platform took it for
    wrongly: str | None = None  # why the leg ought not to have been replaced

    @property
    def effect_at(self) -> float | None:
        """When it moved somebody; None: it did not, so far."""
        move = self.move
        return move.ended_at if move is not None and move.state == "Complete" else None

    @property
    def was_refused(self) -> bool:
        """Whether the process had a definite no."""
        return (
            self.read_at is not None
            and self.answer is not None
            and 400 <= self.answer < 500
            and self.answer != 408
        )


@dataclass(slots=True)
class PostBook:
    """Every command of every run, in the order in which they left."""

    frames: list[Post] = field(default_factory=list)

    def of(self, interaction_id: str) -> Sequence[Post]:
        """Return a conversation's commands."""
        return [post for post in self.frames if post.interaction_id == interaction_id]

    def moves(self, interaction_id: str) -> Sequence[Post]:
        """Return the commands that moved a conversation, in the order of their effects."""
        done = [post for post in self.of(interaction_id) if post.effect_at is not None]
        return sorted(done, key=lambda post: post.effect_at or 0.0)
