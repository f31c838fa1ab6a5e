"""Settles transfers by positive replies that no delivery waits for any more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from runner.core.transfer.message import Reply, harmless
from runner.core.transfer.reasons import WORDS, Code, code_of_reply
from runner.core.transfer.rows import PlannedRow
from runner.core.transfer.states import FINAL, Event, State
from runner.engine.active_transfer import ActiveTransfer, EventDetails
from runner.engine.audit_notes import AuditNotes
from runner.engine.recorder import Recorder
from runner.engine.rollout import is_failure
from runner.engine.rules import Rules
from runner.engine.stop import StopSignal
from runner.ports import Clock, Journal, Observer


class LateReplies:
    """Knows which transfer each delivery's id belongs to, and what late replies have settled.

    A late reply may be for a transfer that is under way, in doubt, final, or of an earlier run.
    Whichever it is, a positive reply means that the interaction was moved.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        recorder: Recorder,
        clock: Clock,
        observer: Observer,
        rules: Rules,
        notes: AuditNotes,
        stop_signal: StopSignal,
        background: asyncio.TaskGroup,
        answered: Callable[[], None],
    ) -> None:
        """Name the collaborators; `answered` is called when a delivery was carried out."""
        self._journal = journal
        self._recorder = recorder
        self._clock = clock
        self._observer = observer
        self._rules = rules
        self._notes = notes
        self._stop_signal = stop_signal
        self._background = background
        self._answered = answered
        # By the ids of their deliveries, transfers that are under way or in doubt.
        self._transfers: dict[str, ActiveTransfer] = {}
        self._searching = asyncio.Lock()
        self._first_id: int | None = None  # of the transfers that this run took up
        self._accepted: dict[int, str] = {}  # by lineage, the id of an earlier run's delivery

    async def track_planned(self, transfer: ActiveTransfer) -> None:
        """Track a transfer of the plan; settle it if its lineage had a late reply already."""
        lineage = transfer.row.lineage
        if lineage is not None:
            transfer.message_ids |= await self._journal.message_ids(lineage)
            self.track(transfer)  # a late reply to an earlier run's delivery stops the next one
            await self._settle_by_earlier(transfer)
        self._first_id = self._first_id or transfer.transfer_id

    def track(self, transfer: ActiveTransfer) -> None:
        """Let replies to any of a transfer's deliveries settle it from now on."""
        for message_id in transfer.message_ids:
            self._transfers[message_id] = transfer

    def untrack(self, transfer: ActiveTransfer) -> None:
        """Forget a transfer that is final, unless a late reply could still contradict it.

        Replies to its own deliveries are found in the journal from now on.
        """
        if transfer.state in FINAL and not transfer.is_settling and not _is_of_lineage(transfer):
            self._forget(transfer)

    def receive(self, reply: Reply) -> None:
        """Receive a reply that no delivery waits for: a positive one settles its transfer.

        Every other is noted in the audit log, up to a bound.
        """
        is_positive = self._rules.classify(reply) is Event.ACCEPTED
        settling = self._settle_tracked(reply) if is_positive else None
        if is_positive:
            self._answered()
        if settling is not None:
            self._begin(settling)
            self._observer.warned("a late reply settles a transfer", message_id=reply.message_id)
            return
        self._notes.add_bounded(
            "unclaimed reply",
            message_id=reply.message_id,
            status=reply.status,
            text=_text_of(reply),
        )
        if is_positive:  # whatever the number of notes: it always settles
            self._begin(self._settle_recorded(reply))

    def report_carried_out(self, row: PlannedRow, message_id: str) -> None:
        """Warn of what overrides an earlier outcome, which a person may have decided."""
        self._observer.warned(
            "an earlier run's delivery was carried out after all",
            key=row.key,
            interaction_id=row.interaction_id,
            message_id=message_id,
        )

    def _begin(self, settling: Coroutine[Any, Any, None]) -> None:
        self._background.create_task(self._stop_signal.guard(lambda: settling))

    async def _settle_by_earlier(self, transfer: ActiveTransfer) -> None:
        message_id = self._accepted.get(transfer.lineage)
        if message_id is not None and transfer.state is State.READY:
            code = Code.LATE_REPLY
            details = EventDetails(message_id=message_id, reason=WORDS[code], reason_code=code)
            await self._recorder.enter(transfer, Event.SEEN, details)

    def _settle_tracked(self, reply: Reply) -> Coroutine[Any, Any, None] | None:
        """Settle a tracked transfer at once; return what completes it. None: it settles none."""
        transfer = self._transfers.get(reply.message_id)
        recorded = None if transfer is None else self._accept(transfer, reply)
        if transfer is None or recorded is None:
            return None
        transfer.is_settling = True
        return self._forget_after(recorded, transfer)

    async def _settle_recorded(self, reply: Reply) -> None:
        """Settle a transfer that only the journal knows: an earlier run's, or one that is final."""
        if reply.message_id in self._transfers:
            return  # repeated, and what the first one settled is on its way to the journal
        async with self._searching:  # a doubled reply finds what the first one has settled
            is_settled = await self._settle_found(reply)
        if is_settled:
            self._observer.warned(
                "a late reply settles an earlier transfer", message_id=reply.message_id
            )

    async def _settle_found(self, reply: Reply) -> bool:
        found = await self._journal.find(reply.message_id)
        if found is None:
            return False
        if (settling := self._settle_tracked(reply)) is not None:  # taken up meanwhile
            await settling
            return True
        transfer = ActiveTransfer(
            *(found.row, found.transfer_id, found.lineage, found.state, found.version),
            begun_by=found.begun_by,
        )
        transfer.is_counted = self._first_id is not None and found.transfer_id >= self._first_id
        transfer.counted = transfer.outcome
        transfer.code = found.code
        transfer.is_failure = transfer.is_counted and is_failure(transfer)
        recorded = self._accept(transfer, reply)
        if recorded is None:
            return False
        self._accepted[found.lineage] = reply.message_id
        self.report_carried_out(found.row, reply.message_id)
        await recorded
        return True

    def _accept(self, transfer: ActiveTransfer, reply: Reply) -> Awaitable[None] | None:
        if transfer.state is State.TRANSFERRED:
            return None
        details = EventDetails(
            message_id=reply.message_id,
            status=reply.status,
            reason=reply.reason or reply.status,
            latency_ms=self._latency_ms(transfer, reply),
            media=reply.media,
            correlation_id=reply.correlation_id,
            reason_code=code_of_reply(reply.status, reply.code),
        )
        return self._recorder.enter(transfer, Event.ACCEPTED, details)

    def _latency_ms(self, transfer: ActiveTransfer, reply: Reply) -> float | None:
        """Return how long the reply took; None unless it answers this run's last delivery."""
        last = transfer.last
        if last is None or last.message_id != reply.message_id or not transfer.tries:
            return None
        assert transfer.left_at is not None  # noqa: S101 - it was tried
        return round((self._clock.now() - transfer.left_at) * 1000, 3)

    async def _forget_after(self, recorded: Awaitable[None], transfer: ActiveTransfer) -> None:
        """Track a transfer until the journal has it: a doubled reply must not settle it twice."""
        await recorded
        self._forget(transfer)

    def _forget(self, transfer: ActiveTransfer) -> None:
        for message_id in transfer.message_ids:
            self._transfers.pop(message_id, None)


def _is_of_lineage(transfer: ActiveTransfer) -> bool:
    """Return whether a late reply to an earlier run's delivery would have to settle this transfer too.

    The ids of its own deliveries lead to it through the journal; the earlier ones lead to their own
    transfer.
    """
    return transfer.row.lineage is not None and transfer.state is not State.TRANSFERRED


def _text_of(reply: Reply) -> str:
    """Return what was read of a reply, cut to what a note keeps."""
    fields = reply._asdict().items()
    known = {name: value for name, value in fields if value is not None and name != "event"}
    return harmless(json.dumps(known, ensure_ascii=False))
