"""What an operator is told while a run goes on: where it stands, and at once what holds it up."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from runner.core.records.latency import recent_latency
from runner.engine.admission import Admission
from runner.engine.metrics import RunMetrics
from runner.engine.stop import StopSignal
from runner.ports import Clock, Gateway, Note, Observer, Progress, SessionState

TOLD_AGAIN_S = 60.0
"""How soon the same hold is told again: a gateway may ask for silence every other second."""

Keep = Callable[..., None]


class ProgressReporter:
    """One per run. `keep` puts an event and its fields into the audit log."""

    def __init__(
        self,
        *,
        gateway: Gateway,
        gate: Admission,
        meter: RunMetrics,
        halt: StopSignal,
        clock: Clock,
        observer: Observer,
        keep: Keep,
        limit_per_s: float | None,
        burst: int,
    ) -> None:
        self._gateway = gateway
        self._gate = gate
        self._meter = meter
        self._halt = halt
        self._clock = clock
        self._observer = observer
        self._keep = keep
        self._limit_per_s = limit_per_s
        self._burst = burst
        self.stage: str | None = None
        self._held_by: str | None = None  # as it was told
        self._told_at: dict[str, float] = {}

    def progress(self, total: int, *, closed: bool) -> Progress:
        """Return where the run stands; `closed`: it is done with the gateway."""
        meter = self._meter
        counts = meter.counts()
        return Progress(
            total=total,
            settled=sum(counts.values()),
            outcomes=counts,
            in_flight=meter.in_flight,
            sent=meter.sent,
            rate_per_s=meter.rate_per_s,
            waiting_for=None if closed else self._gate.waiting_for,
            limit_per_s=self._limit_per_s,
            sent_per_s=float(meter.in_last_second(self._clock.now())),
            session=self._session(closed=closed),
            latency_ms=recent_latency(meter.latencies_ms),
            is_stopping=self._halt.is_set,
            stage=self.stage,
            troubles=tuple(meter.troubles),
            burst=self._burst,
        )

    def tell_holds(self) -> None:
        """Say at once that everything is held up by more than the session, and when it goes on."""
        held_by = self._hold()
        if held_by == self._held_by:
            return
        if held_by is None:
            self._held_by = None
            self._note(self._observer.noticed, Note.GOING_ON)
            return
        now = self._clock.now()
        if now - self._told_at.get(held_by, -math.inf) >= TOLD_AGAIN_S:
            self._held_by, self._told_at[held_by] = held_by, now
            self._note(self._observer.warned, held_by, **self._fields(held_by))

    def _hold(self) -> str | None:
        """Return what holds everything up, as it is told."""
        if self._gate.silent_for_s > 0:
            return Note.ASKED_TO_WAIT
        if self._gate.circuit.is_open:
            return Note.CIRCUIT_OPEN
        return Note.LOOK_UPS_HELD if self._gate.look_ups.is_open else None

    def _fields(self, held_by: str) -> dict[str, Any]:
        if held_by != Note.ASKED_TO_WAIT:
            return {}
        return {"wait_s": round(self._gate.silent_for_s, 1), "why": self._gate.silence_why}

    def _note(self, say: Callable[..., None], event: str, **fields: Any) -> None:
        say(event, **fields)
        self._keep(event, **fields)

    def _session(self, *, closed: bool) -> SessionState:
        if closed:
            return SessionState.CLOSED
        if self._gateway.generation is not None:
            return SessionState.OPEN
        return SessionState.LOST if self._meter.sessions_opened else SessionState.DIALLING
