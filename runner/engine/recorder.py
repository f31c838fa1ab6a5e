"""Takes transfers from state to state: the journal, the callbacks and the counts go along."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from runner.core.records.recent_failures import RecentFailure
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.states import Event
from runner.engine.active_transfer import ActiveTransfer, EventDetails
from runner.engine.callback_factory import CallbackFactory
from runner.engine.metrics import RunMetrics
from runner.engine.seats import Seats
from runner.ports import Clock, Intent, Journal, Note, Notification


class Recorder:
    """The one place where transfers change."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        meter: RunMetrics,
        notices: CallbackFactory,
        *,
        settled: Callable[[ActiveTransfer], None],
        seats: Seats,
    ) -> None:
        self._journal = journal
        self._settled = settled
        self._seats = seats
        self._clock = clock
        self._meter = meter
        self._notices = notices

    def intend(self, live: ActiveTransfer, event: Event, intent: Intent) -> Awaitable[None]:
        """Take the step that begins a delivery; await it before the frame leaves."""
        live.last = intent
        return self._journal.record(live.enter(event, self._clock.wall(), intent=intent))

    def enter(
        self, live: ActiveTransfer, event: Event, told: EventDetails, further: Event | None = None
    ) -> Awaitable[None]:
        """Take a step, and one that follows from it at once, in one transaction.

        A new outcome's callbacks are owed from the same transaction on; a doubt's only once
        everything was tried (`leave_in_doubt`).
        """
        wall, before = self._clock.wall(), live.outcome
        entries = [live.enter(event, wall, told)]
        if further is not None:
            entries.append(live.enter(further, wall, told._replace(n=None)))
        after = live.outcome
        if live.is_counted and after is not live.counted:
            self._meter.settled(self._clock.now(), after, live.counted)
            self._settled(live)
            live.counted = after
        if after is not None:
            self._seats.release(live)
        if told.latency_ms is not None:
            self._meter.latencies_ms.append(told.latency_ms)
        if after is not None and after.needs_attention and after is not before:
            self._meter.troubles.append(RecentFailure(wall, str(after), live.row.key, told.reason))
        if after is not before and after not in {None, Outcome.IN_DOUBT}:
            assert after is not None  # noqa: S101 - told to the type checker
            owed = self._notices.about(live.row, after, told.reason, told.latency_ms)
            if owed:
                entries[-1] = entries[-1]._replace(notifications=owed)
        return self._journal.record(*entries)

    def leave_in_doubt(self, live: ActiveTransfer, reason: str) -> Awaitable[None]:
        """Note that a doubt stays one, and why; its callbacks are told of it once."""
        owed: tuple[Notification, ...] = ()
        if not live.notified:
            owed = self._notices.about(live.row, Outcome.IN_DOUBT, reason, None)
            live.notified = True
        fields = {"key": live.row.key, "interaction_id": live.row.interaction_id, "reason": reason}
        note = Note("stays in doubt", self._clock.wall(), fields, live.transfer_id, owed)
        return self._journal.record(note)
