"""Decides what is told of a run, and when (operations.md, "Telling")."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable
from typing import Any

from runner.console.log.redaction import redact
from runner.core.exit_code import ExitCode
from runner.core.manifest.model import Manifest
from runner.core.number_text import counted
from runner.core.records.run_record import NotificationRecord
from runner.core.records.summary import Summary
from runner.core.transfer.outcome import Outcome
from runner.notify.messenger import Message, Messenger
from runner.ports import Note, Observer, Progress

DOUBT_EVERY_S = 60.0
"""The shortest time between two messages about doubts."""

CLOSE_S = 10.0
"""How long the end of a run waits for its messages."""

LONGEST_TEXT = 500
"""Characters of an explanation that a message holds."""

HELD = frozenset({Note.WAVE_HELD, Note.CIRCUIT_OPEN, Note.LOOK_UPS_HELD})
_PAUSED = f"{Note.CONTROL}: pause"


class Announcer:
    """Passes events on to an observer, and sends messages about some of them."""

    def __init__(
        self,
        manifest: Manifest,
        observer: Observer,
        now: Callable[[], float] = time.monotonic,
        messenger: Messenger | None = None,
    ) -> None:
        self._observer = observer
        self._now = now
        self._place = f"{manifest.name} ({manifest.environment.name})"
        if messenger is None and manifest.notify:
            simulated = manifest.environment.is_simulated
            messenger = Messenger(manifest.notify, simulated=simulated)
        self._messenger = messenger
        self._run = ""
        self._has_begun = False
        self._doubts = 0
        self._doubts_due_at = -math.inf

    def noticed(self, event: str, **fields: Any) -> None:
        """Pass it on; tell of a hold."""
        self._observer.noticed(event, **fields)
        if event == "planned":
            self._run = str(fields.get("run", ""))
        elif event in HELD or event.startswith(_PAUSED):
            by = ", ".join(str(fields[name]) for name in ("wave", "by", "why") if name in fields)
            self._tell("held", "waits", f"{event}: {by}" if by else event)

    def warned(self, event: str, **fields: Any) -> None:
        """Pass it on; tell of a hold."""
        self._observer.warned(event, **fields)
        if event in HELD:
            self._tell("held", "waits", event)

    def progressed(self, progress: Progress) -> None:
        """Pass it on; tell that the run has begun, and of doubts."""
        self._observer.progressed(progress)
        if self._messenger is None:
            return
        if not self._has_begun:
            self._has_begun = True
            self._tell("started", "began", f"{counted(progress.total)} to send")
        doubts = progress.outcomes.get(Outcome.IN_DOUBT, 0)
        if doubts > self._doubts and self._now() >= self._doubts_due_at:
            self._doubts_due_at = self._now() + DOUBT_EVERY_S
            self._tell("in_doubt", "has doubts", f"{counted(doubts)} in doubt so far")
            self._doubts = doubts
        self._report_failures()

    def ended(
        self, code: ExitCode, summary: Summary, explanation: str | None, *, early: bool
    ) -> NotificationRecord | None:
        """Tell how the run ended, wait for the messages, and return what became of them.

        `early`: something stopped it; its code may be that of doubts. A run that had nothing to do,
        and nothing to report, is not told of.
        """
        if self._messenger is None:
            return None
        if self._has_begun or code is not ExitCode.OK:
            counts = ", ".join(
                f"{outcome.replace('_', ' ')} {number:,}"
                for outcome, number in summary.counts.items()
                if number
            )
            why = f"; {explanation}" if explanation else ""
            events = {"finished", *(["stopped"] if early else [])}
            if code is ExitCode.IN_DOUBT:
                events.add("in_doubt")
            text = f"{code.outcome} (exit code {int(code)}): {counts or 'nothing was sent'}{why}"
            self._tell_all(events, "ended early" if early else "ended", text)
        self._messenger.close(CLOSE_S)
        self._report_failures()
        return self._messenger.record()

    def _tell(self, event: str, word: str, text: str) -> None:
        self._tell_all({event}, word, text)

    def _tell_all(self, events: set[str], word: str, text: str) -> None:
        if self._messenger is not None:
            body = f"{redact(text)[:LONGEST_TEXT]}\nrun {self._run} on {socket.gethostname()}"
            self._messenger.send(Message(frozenset(events), f"{self._place} {word}", body))

    def _report_failures(self) -> None:
        if self._messenger is not None:
            for each in self._messenger.failures():
                self._observer.warned(
                    "a notification was not delivered", to=each.to, about=each.event, why=each.why
                )
