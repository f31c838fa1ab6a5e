"""Reports where a run stands, and at once what holds it up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from runner.core.records.latency import recent_latency
from runner.engine.admission import Admission
from runner.engine.audit_notes import AuditNotes
from runner.engine.metrics import RunMetrics
from runner.engine.stop import StopSignal
from runner.ports import Clock, Gateway, Note, Observer, Progress, SessionState

REPORTED_AGAIN_S = 60.0
"""How soon the same hold is reported again: a gateway may ask for silence every other second."""


class ProgressReporter:
    """Reports one run's progress, and what holds it up."""

    def __init__(
        self,
        *,
        gateway: Gateway,
        admission: Admission,
        metrics: RunMetrics,
        stop_signal: StopSignal,
        clock: Clock,
        observer: Observer,
        notes: AuditNotes,
        waits: Callable[[], Iterable[str | None]] = tuple,
        paced_by: Callable[[], str | None] = lambda: None,
        command: Callable[[], str | None] = lambda: None,
        burst: int,
        sending_s: float | None = None,
    ) -> None:
        self._gateway = gateway
        self._admission = admission
        self._metrics = metrics
        self._stop_signal = stop_signal
        self._clock = clock
        self._observer = observer
        self._notes = notes
        self._waits = waits
        self._paced_by = paced_by
        self._command = command
        self._burst = burst
        self._sending_s = sending_s
        self.stage: str | None = None
        self.pauses_left_s = 0.0
        self._held_by: str | None = None  # as it was reported
        self._reported_at: dict[str, float] = {}

    def progress(self, total: int, *, closed: bool) -> Progress:
        """Return where the run stands; `closed`: it is done with the gateway."""
        metrics = self._metrics
        counts = metrics.counts()
        return Progress(
            total=total,
            settled=sum(counts.values()),
            outcomes=counts,
            in_flight=metrics.in_flight,
            sent=metrics.sent,
            rate_per_s=metrics.rate_per_s,
            waiting_for=None if closed else self._waiting_for(),
            paced_by=None if closed else self._paced_by(),
            command=None if closed else self._command(),
            limit_per_s=self._admission.limits.rate_per_s,
            sent_per_s=float(metrics.in_last_second(self._clock.now())),
            session=self._session(closed=closed),
            latency_ms=recent_latency(metrics.latencies_ms),
            is_stopping=self._stop_signal.is_set,
            stage=self.stage,
            recent_failures=tuple(metrics.recent_failures),
            burst=self._burst,
            sending_s=self._sending_s,
            pauses_left_s=self.pauses_left_s,
        )

    def _waiting_for(self) -> str | None:
        """Return all that holds the run, in words: an operator's pause hides no full destination."""
        waits = (self._admission.waiting_for, *self._waits())
        return "; ".join(filter(None, waits)) or None

    def report_holds(self) -> None:
        """Report at once what holds all transfers up, other than the session, and when it ends."""
        held_by = self._hold()
        if held_by == self._held_by:
            return
        if held_by is None:
            self._held_by = None
            self._note(self._observer.noticed, Note.GOING_ON)
            return
        now = self._clock.now()
        if now - self._reported_at.get(held_by, -math.inf) >= REPORTED_AGAIN_S:
            self._held_by, self._reported_at[held_by] = held_by, now
            self._note(self._observer.warned, held_by, **self._fields(held_by))

    def _hold(self) -> str | None:
        """Return what holds all transfers up; None: nothing but the session."""
        if self._admission.held_off_for_s > 0:
            return Note.ASKED_TO_WAIT
        if self._admission.circuit.is_open:
            return Note.CIRCUIT_OPEN
        return Note.LOOK_UPS_HELD if self._admission.look_ups.is_open else None

    def _fields(self, held_by: str) -> dict[str, Any]:
        if held_by != Note.ASKED_TO_WAIT:
            return {}
        return {
            "wait_s": round(self._admission.held_off_for_s, 1),
            "why": self._admission.held_off_why,
        }

    def _note(self, say: Callable[..., None], event: str, **fields: Any) -> None:
        say(event, **fields)
        self._notes.add(event, **fields)

    def _session(self, *, closed: bool) -> SessionState:
        if closed:
            return SessionState.CLOSED
        if self._gateway.generation is not None:
            return SessionState.OPEN
        return SessionState.LOST if self._metrics.sessions_opened else SessionState.DIALLING
