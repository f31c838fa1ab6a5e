"""A run that is under way."""

from __future__ import annotations

from runner.core.records.latency import RecentLatency
from runner.ports import Progress
from runner.ports.observer import SessionState

PROGRESS = Progress(
    total=10,
    settled=4,
    outcomes={"transferred": 3, "in_doubt": 1},
    in_flight=2,
    sent=6,
    rate_per_s=5.0,
    session=SessionState.OPEN,
    latency_ms=RecentLatency(120.0, 900.0),
    waiting_for="the session",
)
