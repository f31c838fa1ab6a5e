"""Changes the state of transfers, and with it the journal, the callbacks and the counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from runner.core.records.recent_failures import RecentFailure
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.states import Event
from runner.engine.active_transfer import ActiveTransfer, EventDetails
from runner.engine.callback_factory import CallbackFactory
from runner.engine.failure_seats import FailureSeats
from runner.engine.metrics import RunMetrics
from runner.ports import Clock, Intent, Journal, Note, Notification


class Recorder:
    """Changes transfers; nothing else does."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        metrics: RunMetrics,
        callbacks: CallbackFactory,
        *,
        settled: Callable[[ActiveTransfer], None],
        seats: FailureSeats,
    ) -> None:
        self._journal = journal
        self._settled = settled
        self._seats = seats
        self._clock = clock
        self._metrics = metrics
        self._callbacks = callbacks

    def intend(self, transfer: ActiveTransfer, event: Event, intent: Intent) -> Awaitable[None]:
        """Take the step that begins a delivery; await it before the frame leaves."""
        transfer.last = intent
        return self._journal.record(transfer.enter(event, self._clock.wall(), intent=intent))

    def enter(
        self,
        transfer: ActiveTransfer,
        event: Event,
        details: EventDetails,
        further: Event | None = None,
    ) -> Awaitable[None]:
        """Take a step, and one that follows from it at once, in one transaction.

        A new outcome's callbacks are stored in the same transaction; a doubt's only once
        everything was tried (`leave_in_doubt`).
        """
        wall, before = self._clock.wall(), transfer.outcome
        entries = [transfer.enter(event, wall, details)]
        if further is not None:
            entries.append(transfer.enter(further, wall, details._replace(n=None)))
        after = transfer.outcome
        if (transfer.is_counted or transfer.is_of_batch) and after is not transfer.counted:
            if transfer.is_counted:
                self._metrics.settled(self._clock.now(), after, transfer.counted)
            self._settled(transfer)
            transfer.counted = after
        if after is not None:
            self._seats.release(transfer)
        if details.latency_ms is not None:
            self._metrics.latencies_ms.append(details.latency_ms)
        if after is not None and after.needs_attention and after is not before:
            self._metrics.recent_failures.append(
                RecentFailure(wall, str(after), transfer.row.key, details.reason)
            )
        if after is not before and after not in {None, Outcome.IN_DOUBT}:
            assert after is not None  # noqa: S101 - for the type checker
            owed = self._callbacks.about(
                transfer.row, after, details.reason, details.latency_ms, transfer.begun_by
            )
            if owed:
                entries[-1] = entries[-1]._replace(notifications=owed)
        return self._journal.record(*entries)

    def leave_in_doubt(self, transfer: ActiveTransfer, reason: str) -> Awaitable[None]:
        """Record that a doubt stays one, and why; its callbacks report it once."""
        owed: tuple[Notification, ...] = ()
        if not transfer.notified:
            owed = self._callbacks.about(
                transfer.row, Outcome.IN_DOUBT, reason, None, transfer.begun_by
            )
            transfer.notified = True
        fields = {
            "key": transfer.row.key,
            "interaction_id": transfer.row.interaction_id,
            "reason": reason,
        }
        note = Note("stays in doubt", self._clock.wall(), fields, transfer.transfer_id, owed)
        return self._journal.record(note)
