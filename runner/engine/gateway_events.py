"""Reacts to what the gateway reports: replies, sessions, requests to slow down or wait."""

from __future__ import annotations

from runner.core.errors import GatewayError
from runner.core.exit_code import ExitCode
from runner.core.pacing.rate import LONGEST_OBEYED_S
from runner.core.records.run_record import SessionClose, TimelineEventKind
from runner.core.timestamps import timestamp
from runner.core.transfer.message import GatewayNote, Reply, seconds_text
from runner.engine.admission import Admission
from runner.engine.audit_notes import AuditNotes
from runner.engine.metrics import RunMetrics
from runner.engine.pending_replies import PendingReplies
from runner.engine.stop import StopSignal
from runner.ports import Clock, Note, Observer, SessionLost, SessionOpened


class GatewayEvents:
    """Implements `ports.GatewayListener` for one run."""

    def __init__(
        self,
        *,
        pending_replies: PendingReplies,
        admission: Admission,
        metrics: RunMetrics,
        stop_signal: StopSignal,
        clock: Clock,
        notes: AuditNotes,
        observer: Observer,
    ) -> None:
        self._pending_replies = pending_replies
        self._admission = admission
        self._metrics = metrics
        self._stop_signal = stop_signal
        self._clock = clock
        self._notes = notes
        self._observer = observer

    def replied(self, reply: Reply) -> None:
        """Match a reply to its pending delivery."""
        self._pending_replies.replied(reply)

    def noted(self, note: GatewayNote) -> None:
        """Note a frame that answers nothing."""
        self._notes.add_bounded("stray frame", why=note.why, text=note.text)

    def session_opened(self, opened: SessionOpened) -> None:
        """Note that frames may leave."""
        metrics, clock = self._metrics, self._clock
        metrics.sessions_opened += 1
        metrics.tls = opened.tls
        metrics.add_event(
            TimelineEventKind.OPENED, clock.now(), clock.wall(), value=opened.generation
        )
        self._notes.add(Note.SESSION_OPENED, generation=opened.generation, tls=opened.tls)
        self._observer.noticed(
            "session opened", generation=opened.generation, tls=opened.tls or "plain loopback"
        )

    def session_lost(self, lost: SessionLost) -> None:
        """Put in doubt what was in flight on the session."""
        metrics, clock = self._metrics, self._clock
        metrics.closes.append(SessionClose(timestamp(clock.wall()), lost.code, lost.reason))
        kind = TimelineEventKind.CLOSED if lost.ours else TimelineEventKind.LOST
        metrics.add_event(kind, clock.now(), clock.wall(), code=lost.code, reason=lost.reason)
        left_unanswered = self._pending_replies.session_lost(lost)
        details = {"generation": lost.generation, "code": lost.code, "reason": lost.reason}
        self._notes.add_totals()
        self._notes.add(Note.SESSION_CLOSED, **details)
        if lost.ours:
            self._observer.noticed("session closed", **details)
        else:
            if left_unanswered:
                self._admission.circuit.unanswered()
            self._observer.warned("session lost; dialling again", **details)

    def gave_up(self, error: Exception) -> None:
        """End the run: there will be no further session."""
        code = ExitCode.STOPPED if isinstance(error, GatewayError) else ExitCode.BUG
        self._stop_signal.set(code, str(error), error)

    def slowed(self, why: str) -> None:
        """Halve the pace."""
        self._admission.lower_rate(self._clock.now(), why)
        self._observer.warned("slowing down", why=why)

    def paused(self, wait_s: float, why: str) -> None:
        """Let nothing leave for a while, or end the run if that is too long."""
        if wait_s > LONGEST_OBEYED_S:
            self._stop_signal.set(
                ExitCode.STOPPED,
                f"the gateway asks to wait {seconds_text(wait_s)} ({why}); try after that",
            )
        else:
            self._admission.hold_off(wait_s, why)
