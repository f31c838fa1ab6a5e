"""Sends transfers: looks each up, waits for a slot, sends it, and does so again where that is due.

A transfer takes what it needs in one order, and waits for none of it while it has what comes later:

1. its place and its turn at its destination (`destinations`); a doubt has kept its place
2. a seat (`failure_seats`)
3. a place for its look-up (`Preparation`)
4. a slot (`Admission.acquire`), which answers and time-outs free
5. its frame's token (`Admission.write`), which time grants

So no transfers can wait for each other. A retry that still has its seat asks for its turn without
waiting; if it does not get it, it gives its seat back and waits beside. A worker that waits for its
next row (`PlanReader.next`) has none of these, and what waits beside needs no worker.
"""

from __future__ import annotations

from runner.core.transfer.reasons import WORDS, Code
from runner.core.transfer.rows import PlannedRow
from runner.core.transfer.states import Event, State
from runner.engine.active_transfer import ActiveTransfer, EventDetails
from runner.engine.admission import Admission, Preparation
from runner.engine.destinations import Destinations
from runner.engine.failure_seats import FailureSeats
from runner.engine.late_replies import LateReplies
from runner.engine.message_sender import MessageSender
from runner.engine.pre_delivery_check import PreDeliveryCheck
from runner.engine.recorder import Recorder
from runner.engine.rules import Rules
from runner.engine.stop import StopSignal
from runner.ports import Doubt, Journal


class TransferWorker:
    """Sends many transfers at a time, each by the same steps."""

    def __init__(
        self,
        *,
        journal: Journal,
        late_replies: LateReplies,
        seats: FailureSeats,
        destinations: Destinations,
        check: PreDeliveryCheck,
        admission: Admission,
        sender: MessageSender,
        recorder: Recorder,
        rules: Rules,
        stop_signal: StopSignal,
    ) -> None:
        self._journal = journal
        self._late_replies = late_replies
        self._seats = seats
        self._destinations = destinations
        self._check = check
        self._admission = admission
        self._sender = sender
        self._recorder = recorder
        self._rules = rules
        self._stop_signal = stop_signal

    async def start(self, row: PlannedRow) -> ActiveTransfer:
        """Return a planned row as a transfer of this run."""
        transfer_id = self._journal.new_transfer_id()
        transfer = ActiveTransfer(row, transfer_id, row.lineage or transfer_id)
        await self._late_replies.track_planned(transfer)
        return transfer

    def restore(self, doubt: Doubt, began: float) -> ActiveTransfer:
        """Return a doubt of the journal as a transfer; `began` is when this process began."""
        found = doubt.standing
        transfer = ActiveTransfer(
            *(found.row, found.transfer_id, found.lineage, found.state, found.version),
            begun_by=found.begun_by,
        )
        transfer.message_ids |= doubt.message_ids
        transfer.deliveries = found.n
        transfer.media_index = min(doubt.intent.media_index, len(found.row.media) - 1)
        transfer.last, transfer.left_at, transfer.notified = doubt.intent, began, doubt.notified
        transfer.is_counted = False
        self._late_replies.track(transfer)
        return transfer

    async def process(self, transfer: ActiveTransfer) -> None:
        """Bring a transfer to its outcome, into doubt, or to where it has to wait (`wait_s`)."""
        while transfer.state is State.READY and not (transfer.wait_s or self._stop_signal.is_set):
            if transfer.tries >= self._rules.policy.retry.attempts:
                await self._exhaust(transfer)
            elif not self._destinations.enter(transfer):
                transfer.wait_s = self._destinations.retry_in_s(transfer)
                self._seats.release(transfer)
            else:
                try:
                    if await self._seated(transfer, State.READY):
                        await self._deliver(transfer)
                finally:
                    self._destinations.leave(transfer)
        self._destinations.unreserve(transfer)
        self._late_replies.untrack(transfer)

    async def process_to_end(self, transfer: ActiveTransfer) -> None:
        """Wait as long as is due and process, until the outcome, a doubt, or the run's end."""
        while self._goes_on(transfer):
            await self.process_again(transfer)

    async def process_again(self, transfer: ActiveTransfer) -> None:
        """Wait as long as is due, and process once more."""
        wait_s, transfer.wait_s = transfer.wait_s, 0.0
        if wait_s:
            await self._stop_signal.sleep(wait_s)
        await self.process(transfer)

    def _goes_on(self, transfer: ActiveTransfer) -> bool:
        """Return whether a transfer may still be sent in this run."""
        if transfer.state is not State.READY or self._stop_signal.is_set:
            return False
        return not self._destinations.gave_up(transfer.row.destination_uri)

    async def repeat(self, transfer: ActiveTransfer) -> None:
        """Send a doubt's last message again, the same id and bytes, when its turn comes."""
        try:
            if not await self._entered(transfer):
                return
            if not await self._seated(transfer, State.UNKNOWN):
                return
            slot = await self._admission.acquire(_bandwidth_kbps(transfer))
            if slot is None:
                return
            with slot:
                if transfer.state is not State.UNKNOWN:
                    return  # settled meanwhile
                pending_reply = await self._sender.send(transfer, slot, repeat=True)
                self._late_replies.track(transfer)
                if pending_reply is not None:
                    await self._sender.await_answer(transfer, pending_reply)
        finally:
            self._destinations.turn_back(transfer)
            if transfer.outcome is not None:
                self._seats.release(transfer)

    async def _entered(self, transfer: ActiveTransfer) -> bool:
        """Wait for a doubt's turn at its destination; False: it does not come in this run."""
        uri = transfer.row.destination_uri
        while transfer.state is State.UNKNOWN and not self._stop_signal.is_set:
            if self._destinations.gave_up(uri):
                break
            if self._destinations.enter(transfer):
                return True
            await self._stop_signal.sleep(self._destinations.retry_in_s(transfer))
        self._destinations.stop_waiting(transfer)
        return False

    async def _seated(self, transfer: ActiveTransfer, before: State) -> bool:
        """Wait for a seat; False: the run is stopped, or the transfer is not `before` any more."""
        if not await self._seats.take(transfer):
            return False
        if transfer.state is not before:  # settled meanwhile, before it had the seat
            self._seats.release(transfer)
        return transfer.state is before

    async def _exhaust(self, transfer: ActiveTransfer) -> None:
        """Fail a transfer whose tries are used up."""
        if await self._seated(transfer, State.READY):
            code = Code.RETRIES_USED_UP
            details = EventDetails(reason=WORDS[code], reason_code=code)
            await self._recorder.enter(transfer, Event.EXHAUSTED, details)

    async def _deliver(self, transfer: ActiveTransfer) -> None:
        """Look the interaction up if that is due, and send the transfer once if it is fit."""
        is_due = self._check.must_look(transfer.row) or bool(transfer.message_ids)
        with Preparation(self._admission.preparing) as preparation:
            if is_due:
                await preparation.begin()
                if not await self._check.allows(transfer):
                    return
            slot = await self._admission.acquire(_bandwidth_kbps(transfer))
            if slot is None:
                return
            with slot:
                if transfer.seen_at is not None and not await self._check.still_allows(transfer):
                    return
                if transfer.state is not State.READY or self._seats.gives_up(transfer):
                    return  # settled meanwhile, or its turn comes later
                if not self._destinations.is_open(transfer):
                    return  # its destination is full by now: its turn comes later
                pending_reply = await self._sender.send(transfer, slot)
                self._late_replies.track(transfer)
                preparation.end()  # another transfer may be looked up
                if pending_reply is not None:
                    await self._sender.await_answer(transfer, pending_reply)


def _bandwidth_kbps(transfer: ActiveTransfer) -> float:
    return transfer.row.media[transfer.media_index].bandwidth_kbps
