"""What the gateway says, turned into what the run does about it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

from runner.core.errors import GatewayError
from runner.core.pacing.rate import LONGEST_OBEYED_S
from runner.core.records.run_record import SessionClose, TimelineEventKind
from runner.core.timestamps import timestamp
from runner.core.transfer.message import Reply, Stray, harmless, seconds_text
from runner.core.transfer.outcome import ExitCode
from runner.core.transfer.states import Event
from runner.engine.rules import RunContext
from runner.engine.transfer_worker import TransferWorker
from runner.ports import Note, Observer, SessionLost, SessionOpened

MOST_NOTES = 1000
"""Stray frames and unclaimed replies that the audit log keeps, each kind; the rest are counted."""

_PLURAL = {"stray frame": "stray frames", "unclaimed reply": "unclaimed replies"}


class GatewayEvents:
    """Implements `ports.GatewayListener` for one run."""

    def __init__(
        self,
        shop: RunContext,
        worker: TransferWorker,
        background: asyncio.TaskGroup,
        observer: Observer,
    ) -> None:
        self._shop = shop
        self._worker = worker
        self._background = background
        self._observer = observer
        self._noted = dict.fromkeys(_PLURAL, 0)
        self._totalled = dict.fromkeys(_PLURAL, MOST_NOTES)

    def replied(self, reply: Reply) -> None:
        """Hand a reply to whoever waits for it."""
        self._shop.pending_replies.replied(reply)

    def strayed(self, stray: Stray) -> None:
        """Keep a note of a frame that answers nothing."""
        self._note("stray frame", why=stray.why, text=stray.text)

    def session_opened(self, opened: SessionOpened) -> None:
        """Note that frames may leave."""
        metrics = self._shop.metrics
        metrics.sessions_opened += 1
        metrics.tls = opened.tls
        clock = self._shop.clock
        metrics.add_event(
            TimelineEventKind.OPENED, clock.now(), clock.wall(), value=opened.generation
        )
        self.keep(Note.SESSION_OPENED, generation=opened.generation, tls=opened.tls)
        self._observer.noticed(
            "session opened", generation=opened.generation, tls=opened.tls or "plain loopback"
        )

    def session_lost(self, lost: SessionLost) -> None:
        """Put in doubt what was in flight on the session."""
        metrics, clock = self._shop.metrics, self._shop.clock
        metrics.closes.append(SessionClose(timestamp(clock.wall()), lost.code, lost.reason))
        turn = TimelineEventKind.CLOSED if lost.ours else TimelineEventKind.LOST
        metrics.add_event(turn, clock.now(), clock.wall(), code=lost.code, reason=lost.reason)
        self._shop.pending_replies.session_lost(lost)
        details = {"generation": lost.generation, "code": lost.code, "reason": lost.reason}
        self._total()
        self.keep(Note.SESSION_CLOSED, **details)
        if lost.ours:
            self._observer.noticed("session closed", **details)
        else:
            self._shop.admission.circuit.unanswered()
            self._observer.warned("session lost; dialling again", **details)

    def gave_up(self, error: Exception) -> None:
        """End the run: there will be no further session."""
        code = ExitCode.STOPPED if isinstance(error, GatewayError) else ExitCode.BUG
        self._shop.stop_signal.set(code, str(error), error)

    def slowed(self, why: str) -> None:
        """Halve the pace."""
        self._shop.admission.slow(self._shop.clock.now(), why)
        self._observer.warned("slowing down", why=why)

    def paused(self, wait_s: float, why: str) -> None:
        """Let nothing leave for a while, or end the run if that is too long."""
        if wait_s > LONGEST_OBEYED_S:
            self._shop.stop_signal.set(
                ExitCode.STOPPED,
                f"the gateway asks to wait {seconds_text(wait_s)} ({why}); try after that",
            )
        else:
            self._shop.admission.silence(wait_s, why)

    def unclaimed(self, reply: Reply) -> None:
        """Take a reply that nobody waits for: a positive one settles its transfer, ever so late."""
        positive = self._shop.rules.classify(reply) is Event.ACCEPTED
        settled = self._worker.settle_late(reply) if positive else None
        if settled is not None:
            self._begin(settled)
            self._observer.warned("a late reply settles a transfer", message_id=reply.message_id)
            return
        self._note(
            "unclaimed reply",
            message_id=reply.message_id,
            status=reply.status,
            text=_text_of(reply),
        )
        if positive:  # however many strangers came before: it always settles
            self._begin(self._settle_history(reply))

    async def _settle_history(self, reply: Reply) -> None:
        if await self._worker.settle_history(reply):
            self._observer.warned(
                "a late reply settles an earlier transfer", message_id=reply.message_id
            )

    def _note(self, event: str, **fields: Any) -> None:
        """Keep a note, up to a bound."""
        self._noted[event] += 1
        if self._noted[event] <= MOST_NOTES:
            self.keep(event, **fields)

    def _total(self) -> None:
        """Keep how many there were of what the notes leave out; a run's session ends last."""
        for event, count in self._noted.items():
            if count > self._totalled[event]:
                self._totalled[event] = count
                self.keep(_PLURAL[event], count=count)

    def keep(self, event: str, **fields: Any) -> None:
        """Put an event of the run into the audit log."""
        self._begin(self._recorded(Note(event, self._shop.clock.wall(), fields)))

    async def _recorded(self, note: Note) -> None:
        await self._shop.journal.record(note)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._background.create_task(self._shop.stop_signal.guard(work))


def _text_of(reply: Reply) -> str:
    """Return what was read of a reply, cut to what a note keeps."""
    fields = reply._asdict().items()
    said = {name: value for name, value in fields if value is not None and value is not False}
    return harmless(json.dumps(said, ensure_ascii=False))
