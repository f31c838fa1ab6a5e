"""The way of one transfer: looked up, given its turn, delivered, and again where that is due."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any

from runner.core.errors import GatewayError, LookUpFailed, LookUpUnanswered
from runner.core.transfer.canonical_form import same_destination
from runner.core.transfer.lookup_verdict import Interaction, LookupVerdict, judge_lookup
from runner.core.transfer.message import Reply
from runner.core.transfer.outcome import ExitCode
from runner.core.transfer.plan import PlannedRow
from runner.core.transfer.reasons import WORDS, Code, code_of_reply
from runner.core.transfer.states import FINAL, Event, State
from runner.engine.active_transfer import ActiveTransfer, EventDetails
from runner.engine.delivery import FRESH_S, MessageSender
from runner.engine.pending_replies import PendingReply
from runner.engine.rollout import is_failure
from runner.engine.rules import RunContext
from runner.ports import Doubt


class TransferWorker:
    """Carries transfers, many at a time, each along the same way."""

    def __init__(self, shop: RunContext) -> None:
        self._shop = shop
        self._sender = MessageSender(shop)
        self._looks_first = shop.rules.looks_first
        # By the ids of their deliveries, transfers that are under way or in doubt.
        self._by_message: dict[str, ActiveTransfer] = {}
        self._looking_back = asyncio.Lock()
        self._first_id: int | None = None  # of the transfers that this run took up
        self._said_yes: dict[int, str] = {}  # by lineage: what came late for an earlier run's id

    async def take_up(self, row: PlannedRow) -> ActiveTransfer:
        """Return a planned row as a transfer that is carried from here on."""
        transfer_id = self._shop.journal.new_transfer_id()
        transfer = ActiveTransfer(row, transfer_id, row.lineage or transfer_id)
        if row.lineage is not None:
            transfer.message_ids |= await self._shop.journal.message_ids(row.lineage)
            self._remember(transfer)  # a late yes to an earlier run's delivery stops the next one
            await self._heed_earlier_yes(transfer)
        self._first_id = self._first_id or transfer_id
        return transfer

    def take_back(self, doubt: Doubt, began: float) -> ActiveTransfer:
        """Return a doubt of the journal as a transfer; `began` is when this process did."""
        standing = doubt.standing
        transfer = ActiveTransfer(
            standing.row, standing.transfer_id, standing.lineage, standing.state, standing.version
        )
        transfer.message_ids |= doubt.message_ids
        transfer.deliveries = standing.n
        transfer.media_index = min(doubt.intent.media_index, len(standing.row.media) - 1)
        transfer.last, transfer.left_at, transfer.notified = doubt.intent, began, doubt.notified
        transfer.is_counted = False
        self._remember(transfer)
        return transfer

    async def carry(self, transfer: ActiveTransfer) -> None:
        """Bring a transfer to its outcome, into doubt, or to where it has to wait (`wait_s`)."""
        while transfer.state is State.READY and not (
            transfer.wait_s or self._shop.stop_signal.is_set
        ):
            if not await self._seated(transfer, State.READY):
                continue  # stopped, or settled meanwhile
            if transfer.tries >= self._shop.rules.policy.retry.attempts:
                code = Code.RETRIES_USED_UP
                details = EventDetails(reason=WORDS[code], reason_code=code)
                await self._shop.recorder.enter(transfer, Event.EXHAUSTED, details)
            else:
                await self._attempt(transfer)
        if (
            transfer.state in FINAL
            and not transfer.is_settling
            and not _may_be_contradicted(transfer)
        ):
            self._forget(transfer)

    async def carry_on(self, transfer: ActiveTransfer) -> None:
        """Wait as long as is due and carry, until the outcome, a doubt, or the run's end."""
        while transfer.state is State.READY and not self._shop.stop_signal.is_set:
            wait_s, transfer.wait_s = transfer.wait_s, 0.0
            if wait_s:
                await self._shop.stop_signal.sleep(wait_s)
            await self.carry(transfer)

    async def repeat(self, transfer: ActiveTransfer) -> None:
        """Send a doubt's last message again, the same id and bytes, when its turn comes."""
        if not await self._seated(transfer, State.UNKNOWN):
            return
        try:
            pending_reply = await self._in_turn(transfer, State.UNKNOWN, repeat=True)
            if pending_reply is not None:
                await self._await_answer(transfer, pending_reply)
        finally:
            if transfer.outcome is not None:
                self._shop.seats.release(transfer)

    def backoff_s(self, transfer: ActiveTransfer) -> float:
        """Return the wait before a transfer's next delivery."""
        return self._sender.backoff_s(transfer)

    def settle_late(self, reply: Reply) -> Coroutine[Any, Any, None] | None:
        """Settle a transfer by a positive reply that nobody waited for; None: it settles none."""
        transfer = self._by_message.get(reply.message_id)
        settled = None if transfer is None else self._accept_late(transfer, reply)
        if transfer is None or settled is None:
            return None
        transfer.is_settling = True
        return self._forget_after(settled, transfer)

    async def settle_history(self, reply: Reply) -> bool:
        """Settle likewise a transfer that this run does not carry, or no more."""
        if reply.message_id in self._by_message:
            return (
                False  # a repeated reply; what the first one settled is on its way to the journal
            )
        async with self._looking_back:  # a doubled reply finds what the first one has settled
            return await self._settle_standing(reply)

    async def _heed_earlier_yes(self, transfer: ActiveTransfer) -> None:
        """Settle a transfer whose lineage was said to be carried out before it was taken up."""
        message_id = self._said_yes.get(transfer.lineage)
        if message_id is not None and transfer.state is State.READY:
            code = Code.LATE_REPLY
            details = EventDetails(message_id=message_id, reason=WORDS[code], reason_code=code)
            await self._shop.recorder.enter(transfer, Event.SEEN, details)

    async def _settle_standing(self, reply: Reply) -> bool:
        standing = await self._shop.journal.find(reply.message_id)
        if standing is None:
            return False
        if (taken_up := self.settle_late(reply)) is not None:  # meanwhile
            await taken_up
            return True
        transfer = ActiveTransfer(
            standing.row, standing.transfer_id, standing.lineage, standing.state, standing.version
        )
        transfer.is_counted = self._first_id is not None and transfer.transfer_id >= self._first_id
        transfer.counted = transfer.outcome
        transfer.code = standing.code
        transfer.is_failure = transfer.is_counted and is_failure(transfer)
        settled = self._accept_late(transfer, reply)
        if settled is None:
            return False
        self._said_yes[standing.lineage] = reply.message_id
        self._say_carried_out(standing.row, reply.message_id)
        await settled
        return True

    def _say_carried_out(self, row: PlannedRow, message_id: str) -> None:
        """Say loudly what overrides an earlier outcome, a person's word perhaps."""
        self._shop.observer.warned(
            "an earlier run's delivery was carried out after all",
            key=row.key,
            interaction_id=row.interaction_id,
            message_id=message_id,
        )

    # Before a delivery

    async def _seated(self, transfer: ActiveTransfer, before: State) -> bool:
        """Wait for a seat; False: the run is stopped, or the transfer is not `before` any more."""
        seats = self._shop.seats
        if not await seats.take(transfer):
            return False
        if transfer.state is not before:  # settled meanwhile, before it had the seat
            seats.release(transfer)
        return transfer.state is before

    async def _attempt(self, transfer: ActiveTransfer) -> None:
        if self._must_see(transfer.row) or transfer.message_ids:
            async with self._shop.admission.preparing:
                pending_reply = None
                if await self._is_fit(transfer):
                    pending_reply = await self._in_turn(transfer, State.READY)
        else:
            pending_reply = await self._in_turn(transfer, State.READY)
        if pending_reply is not None:
            await self._await_answer(transfer, pending_reply)

    async def _is_fit(self, transfer: ActiveTransfer) -> bool:
        """Look the interaction up; True: a delivery may follow."""
        try:
            seen = await self._looked_up(transfer.row)
        except LookUpUnanswered as error:
            return await self._waits_unseen(transfer, error)
        except GatewayError as error:
            return await self._goes_unseen(transfer, error)
        if seen is None:
            return False  # the run was stopped meanwhile
        transfer.seen, transfer.seen_at = seen, self._shop.clock.now()
        transfer.unseen, transfer.unseen_since = 0, None
        return await self._judge(transfer, seen)

    async def _waits_unseen(self, transfer: ActiveTransfer, error: LookUpUnanswered) -> bool:
        """Let a transfer wait for an outage to end; True: it needs no look-up.

        An outage fails no transfer. Where look-ups of others are answered for as long as
        `circuit_breaker.give_up`, and this one's never is, it is no outage.
        """
        if not self._must_see(transfer.row):
            return True
        now, look_ups = self._shop.clock.now(), self._shop.admission.look_ups
        look_ups.unanswered(error.tries)
        transfer.unseen += 1
        if transfer.unseen_since is None:
            transfer.unseen_since = now
        give_up_s = self._shop.rules.policy.circuit_breaker.give_up_s
        is_alone = look_ups.was_answered_since(transfer.unseen_since) and not look_ups.is_open
        if is_alone and now - transfer.unseen_since >= give_up_s:
            return await self._goes_unseen(transfer, error)
        transfer.wait_s = self._sender.backoff_s(transfer, failures=transfer.unseen)
        return False

    def _must_see(self, row: PlannedRow) -> bool:
        """Tell whether a delivery needs a look-up before it.

        What this run's gateway itself said was not carried out, stands without being looked at.
        What became of an earlier run's delivery may be known from a person alone.
        """
        return self._looks_first or row.lineage is not None

    async def _goes_unseen(self, transfer: ActiveTransfer, error: GatewayError) -> bool:
        """Tell whether a delivery may follow though the look-up came to nothing."""
        if not self._must_see(transfer.row):
            return True
        if self._looks_first and not isinstance(error, LookUpFailed):
            self._shop.stop_signal.set(ExitCode.STOPPED, str(error), error)
        elif transfer.state is State.READY:
            reason = f"the look-up failed: {error.what}"
            details = EventDetails(reason=reason, reason_code=Code.LOOK_UP_FAILED)
            await self._shop.recorder.enter(transfer, Event.EXHAUSTED, details)
        return False

    async def _looked_up(self, row: PlannedRow) -> Interaction | None:
        """Return what a look-up saw; None: the run was stopped meanwhile.

        Look-ups lag behind: that an interaction is where it was before this history moved it
        elsewhere is believed at a second look.
        """
        shop = self._shop
        seen = await self._looked_up_once(row)
        is_there = seen is not None and same_destination(seen.destination_uri, row.destination_uri)
        if row.was_elsewhere and is_there:
            await shop.stop_signal.sleep(shop.rules.visible_s)
            seen = await self._looked_up_once(row)
        return seen

    async def _looked_up_once(self, row: PlannedRow) -> Interaction | None:
        """Look up, once the circuit lets it, if anything waits for it."""
        stop_signal, look_ups = self._shop.stop_signal, self._shop.admission.look_ups
        if self._must_see(row) and not await look_ups.admits():
            return None
        with look_ups.looking():
            try:
                seen = await stop_signal.unless_set(self._shop.gateway.look_up(row.interaction_id))
            except LookUpUnanswered:
                raise
            except LookUpFailed:
                look_ups.answered()
                raise
        if seen is not None:
            look_ups.answered()
        return seen

    async def _judge(self, transfer: ActiveTransfer, seen: Interaction) -> bool:
        sight, reason = judge_lookup(
            seen,
            destination_uri=transfer.row.destination_uri,
            message_ids=transfer.message_ids,
            preflight=self._shop.rules.policy.preflight,
            sent_before=transfer.row.lineage is not None,
            found_at=transfer.row.found_at,
        )
        event = sight.event
        if event is not None and transfer.state is State.READY:
            message_id = seen.last_transfer_id if sight is LookupVerdict.OURS else None
            if message_id is not None and transfer.row.lineage is not None:
                self._say_carried_out(transfer.row, message_id)
            details = EventDetails(message_id=message_id, reason=reason, reason_code=sight.code)
            await self._shop.recorder.enter(transfer, event, details)
        return event is None

    async def _is_still_fit(self, transfer: ActiveTransfer) -> bool:
        """Look again if the transfer's turn came late."""
        assert transfer.seen_at is not None  # noqa: S101 - it was looked at
        if self._shop.clock.now() - transfer.seen_at <= FRESH_S:
            return True
        if self._shop.admission.look_ups.is_open and self._must_see(transfer.row):
            transfer.wait_s = self.backoff_s(
                transfer
            )  # not here: a turn is not to be held for so long
            return False
        return await self._is_fit(transfer)

    # The delivery

    async def _in_turn(
        self, transfer: ActiveTransfer, before: State, *, repeat: bool = False
    ) -> PendingReply | None:
        """Wait for the transfer's turn and send it if it is still `before`; None: not sent."""
        admission, kbps = (
            self._shop.admission,
            transfer.row.media[transfer.media_index].bandwidth_kbps,
        )
        if not await admission.turn(kbps):
            return None
        pending_reply = None
        try:
            fit = repeat or transfer.seen_at is None or await self._is_still_fit(transfer)
            if fit and transfer.state is before:  # nothing settled it while it was looked up
                transfer.slot_kbps = kbps
                pending_reply = await self._sender.send(transfer, repeat=repeat)
                self._remember(transfer)
            else:
                admission.forgo()
        finally:
            if pending_reply is None:
                admission.leave(kbps)
        return pending_reply

    async def _await_answer(self, transfer: ActiveTransfer, pending_reply: PendingReply) -> None:
        try:
            await self._sender.await_answer(transfer, pending_reply)
        finally:
            self._shop.admission.leave(transfer.slot_kbps)

    def _remember(self, transfer: ActiveTransfer) -> None:
        for message_id in transfer.message_ids:
            self._by_message[message_id] = transfer

    def _forget(self, transfer: ActiveTransfer) -> None:
        for message_id in transfer.message_ids:
            self._by_message.pop(message_id, None)

    async def _forget_after(self, settled: Awaitable[None], transfer: ActiveTransfer) -> None:
        """Keep a transfer in mind until the journal has it: a doubled reply must not settle twice."""
        await settled
        self._forget(transfer)

    def _accept_late(self, transfer: ActiveTransfer, reply: Reply) -> Awaitable[None] | None:
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
        return self._shop.recorder.enter(transfer, Event.ACCEPTED, details)

    def _latency_ms(self, transfer: ActiveTransfer, reply: Reply) -> float | None:
        """Return how long a late reply took; None: it answers no last delivery of this run."""
        last = transfer.last
        if last is None or last.message_id != reply.message_id or not transfer.tries:
            return None
        assert transfer.left_at is not None  # noqa: S101 - it was tried
        return round((self._shop.clock.now() - transfer.left_at) * 1000, 3)


def _may_be_contradicted(transfer: ActiveTransfer) -> bool:
    """Tell whether a late yes to an earlier run's delivery would have to settle this transfer too.

    (Its own deliveries' ids lead to it by the journal; the earlier ones lead to their own transfer.)
    """
    return transfer.row.lineage is not None and transfer.state is not State.TRANSFERRED
