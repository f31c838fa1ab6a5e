"""The observer port: watches a run, as the terminal and the log do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

from runner.core.frozen import frozen
from runner.core.records.latency import RecentLatency
from runner.core.records.recent_failures import RecentFailure


class SessionState(StrEnum):
    """Whether frames can leave."""

    DIALLING = "dialling"  # none was open yet
    OPEN = "open"
    LOST = "lost"  # dialling again
    CLOSED = "closed"  # the run is done with it


@frozen
class Progress:
    """Where a run stands; counts are of transfers of this run's plan. None: not known."""

    total: int
    settled: int
    outcomes: Mapping[str, int]
    in_flight: int
    sent: int  # frames
    rate_per_s: float | None  # the pace in force, None: unlimited
    waiting_for: str | None = None  # "the session", "30 s more (Retry-After)", …
    paced_by: str | None = None  # destinations whose own limits all the rest waits for
    limit_per_s: float | None = None  # what the pace may climb to
    sent_per_s: float | None = None  # frames that left in the last second
    session: SessionState | None = None
    latency_ms: RecentLatency | None = None
    callbacks_owed: int | None = None
    is_stopping: bool = False  # nothing new is sent, what is in flight settles
    stage: str | None = None  # "wave 2 of 5"
    recent_failures: Sequence[RecentFailure] = ()  # the last few, oldest first
    command: str | None = None  # a shell line by which a person ends what it waits for
    sending_s: float | None = None  # how long the plan's limits let all of it take, without pauses
    pauses_left_s: float = 0.0  # planned pauses before waves that have not begun
    burst: int | None = None  # frames beyond `limit_per_s` that one second may hold


class Observer(Protocol):
    """Watches a run. Never raises into the engine."""

    def noticed(self, event: str, **fields: Any) -> None:
        """Note what is worth a log line; `event` is a short lower-case phrase."""

    def warned(self, event: str, **fields: Any) -> None:
        """Note what an operator should look at."""

    def progressed(self, progress: Progress) -> None:
        """Show where the run stands; called often, at least once a second."""
