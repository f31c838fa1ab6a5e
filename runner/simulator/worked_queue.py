"""A queue that fills and is worked off by its agents; pure, and the same for the same seed."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class WorkedQueue:
    """Who waits, oldest first, and when each agent is free. Times are seconds since the epoch.

    `handle_s` returns how long an interaction is served. Only the figures change: interactions stay
    where look-ups show them.
    """

    agents: int
    handle_s: Callable[[str], float]
    began: float
    _waiting: dict[str, tuple[float, str]] = field(default_factory=dict)  # since when, its kind
    _free_at: list[float] = field(default_factory=list)  # a heap: one for each agent
    _now: float = 0.0

    def __post_init__(self) -> None:
        self._free_at = [self.began] * self.agents
        self._now = self.began

    def arrive(self, interaction_id: str, kind: str, now: float) -> None:
        """Let an interaction wait from now on."""
        self.advance(now)
        self._waiting.setdefault(interaction_id, (now, kind))

    def leave(self, interaction_id: str, now: float) -> None:
        """Let an interaction wait no more: it was moved away, or ended."""
        self.advance(now)
        self._waiting.pop(interaction_id, None)

    def advance(self, now: float) -> None:
        """Let agents take what waits, as far as they are free by `now`."""
        self._now = max(self._now, now)
        while (at := self.next_at()) is not None and at <= self._now:
            interaction_id = next(iter(self._waiting))
            del self._waiting[interaction_id]
            heapq.heapreplace(self._free_at, at + self.handle_s(interaction_id))

    def next_at(self) -> float | None:
        """Return when the next interaction is taken; None: no agent will, or nothing waits."""
        if not self._waiting or not self._free_at:
            return None
        since, _ = next(iter(self._waiting.values()))
        return max(self._free_at[0], since)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def busy(self) -> int:
        """How many agents serve somebody."""
        return sum(at > self._now for at in self._free_at)

    def waiting_by_kind(self) -> Counter[str]:
        """Return how many of each kind wait."""
        return Counter(kind for _, kind in self._waiting.values())


def filled(queue: WorkedQueue, waiting: Iterable[tuple[str, str]], since: float) -> WorkedQueue:
    """Return a queue in which these interactions, each with its kind, have waited since `since`."""
    for interaction_id, kind in waiting:
        queue.arrive(interaction_id, kind, since)
    return queue
