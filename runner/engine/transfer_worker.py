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
        self._deliverer = MessageSender(shop)
        self._looks_first = shop.rules.looks_first
        # By the ids of their deliveries, transfers that are under way or in doubt.
        self._by_message: dict[str, ActiveTransfer] = {}
        self._looking_back = asyncio.Lock()
        self._first_id: int | None = None  # of the transfers that this run took up
        self._said_yes: dict[int, str] = {}  # by lineage: what came late for an earlier run's id

    async def take_up(self, row: PlannedRow) -> ActiveTransfer:
        """Return a planned row as a transfer that is carried from here on."""
        transfer_id = self._shop.journal.new_transfer_id()
        live = ActiveTransfer(row, transfer_id, row.lineage or transfer_id)
        if row.lineage is not None:
            live.message_ids |= await self._shop.journal.message_ids(row.lineage)
            self._remember(live)  # a late yes to an earlier run's delivery stops the next one
            await self._heed_earlier_yes(live)
        self._first_id = self._first_id or transfer_id
        return live

    def take_back(self, doubt: Doubt, began: float) -> ActiveTransfer:
        """Return a doubt of the journal as a transfer; `began` is when this process did."""
        standing = doubt.standing
        live = ActiveTransfer(
            standing.row, standing.transfer_id, standing.lineage, standing.state, standing.version
        )
        live.message_ids |= doubt.message_ids
        live.deliveries = standing.n
        live.media_index = min(doubt.intent.media_index, len(standing.row.media) - 1)
        live.last, live.left_at, live.notified = doubt.intent, began, doubt.notified
        live.is_counted = False
        self._remember(live)
        return live

    async def carry(self, live: ActiveTransfer) -> None:
        """Bring a transfer to its outcome, into doubt, or to where it has to wait (`wait_s`)."""
        while live.state is State.READY and not (live.wait_s or self._shop.halt.is_set):
            if not await self._seated(live, State.READY):
                continue  # stopped, or settled meanwhile
            if live.tries >= self._shop.rules.policy.retry.attempts:
                code = Code.RETRIES_USED_UP
                told = EventDetails(reason=WORDS[code], reason_code=code)
                await self._shop.recorder.enter(live, Event.EXHAUSTED, told)
            else:
                await self._attempt(live)
        if live.state in FINAL and not live.is_settling and not _may_be_contradicted(live):
            self._forget(live)

    async def carry_on(self, live: ActiveTransfer) -> None:
        """Wait as long as is due and carry, until the outcome, a doubt, or the run's end."""
        while live.state is State.READY and not self._shop.halt.is_set:
            wait_s, live.wait_s = live.wait_s, 0.0
            if wait_s:
                await self._shop.halt.rest(wait_s)
            await self.carry(live)

    async def repeat(self, live: ActiveTransfer) -> None:
        """Send a doubt's last message again, the same id and bytes, when its turn comes."""
        if not await self._seated(live, State.UNKNOWN):
            return
        try:
            waiter = await self._in_turn(live, State.UNKNOWN, repeat=True)
            if waiter is not None:
                await self._await_answer(live, waiter)
        finally:
            if live.outcome is not None:
                self._shop.seats.release(live)

    def backoff_s(self, live: ActiveTransfer) -> float:
        """Return the wait before a transfer's next delivery."""
        return self._deliverer.backoff_s(live)

    def settle_late(self, reply: Reply) -> Coroutine[Any, Any, None] | None:
        """Settle a transfer by a positive reply that nobody waited for; None: it settles none."""
        live = self._by_message.get(reply.message_id)
        settled = None if live is None else self._accept_late(live, reply)
        if live is None or settled is None:
            return None
        live.is_settling = True
        return self._forget_after(settled, live)

    async def settle_history(self, reply: Reply) -> bool:
        """Settle likewise a transfer that this run does not carry, or no more."""
        if reply.message_id in self._by_message:
            return (
                False  # a repeated reply; what the first one settled is on its way to the journal
            )
        async with self._looking_back:  # a doubled reply finds what the first one has settled
            return await self._settle_standing(reply)

    async def _heed_earlier_yes(self, live: ActiveTransfer) -> None:
        """Settle a transfer whose lineage was said to be carried out before it was taken up."""
        message_id = self._said_yes.get(live.lineage)
        if message_id is not None and live.state is State.READY:
            code = Code.LATE_REPLY
            told = EventDetails(message_id=message_id, reason=WORDS[code], reason_code=code)
            await self._shop.recorder.enter(live, Event.SEEN, told)

    async def _settle_standing(self, reply: Reply) -> bool:
        standing = await self._shop.journal.find(reply.message_id)
        if standing is None:
            return False
        if (taken_up := self.settle_late(reply)) is not None:  # meanwhile
            await taken_up
            return True
        live = ActiveTransfer(
            standing.row, standing.transfer_id, standing.lineage, standing.state, standing.version
        )
        live.is_counted = self._first_id is not None and live.transfer_id >= self._first_id
        live.counted = live.outcome
        live.code = standing.code
        live.is_failure = live.is_counted and is_failure(live)
        settled = self._accept_late(live, reply)
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

    async def _seated(self, live: ActiveTransfer, before: State) -> bool:
        """Wait for a seat; False: the run is stopped, or the transfer is not `before` any more."""
        seats = self._shop.seats
        if not await seats.take(live):
            return False
        if live.state is not before:  # settled meanwhile, before it had the seat
            seats.release(live)
        return live.state is before

    async def _attempt(self, live: ActiveTransfer) -> None:
        if self._must_see(live.row) or live.message_ids:
            async with self._shop.gate.preparing:
                waiter = None
                if await self._is_fit(live):
                    waiter = await self._in_turn(live, State.READY)
        else:
            waiter = await self._in_turn(live, State.READY)
        if waiter is not None:
            await self._await_answer(live, waiter)

    async def _is_fit(self, live: ActiveTransfer) -> bool:
        """Look the interaction up; True: a delivery may follow."""
        try:
            seen = await self._looked_up(live.row)
        except LookUpUnanswered as error:
            return await self._waits_unseen(live, error)
        except GatewayError as error:
            return await self._goes_unseen(live, error)
        if seen is None:
            return False  # the run was stopped meanwhile
        live.seen, live.seen_at = seen, self._shop.clock.now()
        live.unseen, live.unseen_since = 0, None
        return await self._judge(live, seen)

    async def _waits_unseen(self, live: ActiveTransfer, error: LookUpUnanswered) -> bool:
        """Let a transfer wait for an outage to end; True: it needs no look-up.

        An outage fails no transfer. Where look-ups of others are answered for as long as
        `circuit_breaker.give_up`, and this one's never is, it is no outage.
        """
        if not self._must_see(live.row):
            return True
        now, look_ups = self._shop.clock.now(), self._shop.gate.look_ups
        look_ups.unanswered(error.tries)
        live.unseen += 1
        if live.unseen_since is None:
            live.unseen_since = now
        give_up_s = self._shop.rules.policy.circuit_breaker.give_up_s
        is_alone = look_ups.was_answered_since(live.unseen_since) and not look_ups.is_open
        if is_alone and now - live.unseen_since >= give_up_s:
            return await self._goes_unseen(live, error)
        live.wait_s = self._deliverer.backoff_s(live, failures=live.unseen)
        return False

    def _must_see(self, row: PlannedRow) -> bool:
        """Tell whether a delivery needs a look-up before it.

        What this run's gateway itself said was not carried out, stands without being looked at.
        What became of an earlier run's delivery may be known from a person alone.
        """
        return self._looks_first or row.lineage is not None

    async def _goes_unseen(self, live: ActiveTransfer, error: GatewayError) -> bool:
        """Tell whether a delivery may follow though the look-up came to nothing."""
        if not self._must_see(live.row):
            return True
        if self._looks_first and not isinstance(error, LookUpFailed):
            self._shop.halt.stop(ExitCode.STOPPED, str(error), error)
        elif live.state is State.READY:
            reason = f"the look-up failed: {error.what}"
            told = EventDetails(reason=reason, reason_code=Code.LOOK_UP_FAILED)
            await self._shop.recorder.enter(live, Event.EXHAUSTED, told)
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
            await shop.halt.rest(shop.rules.visible_s)
            seen = await self._looked_up_once(row)
        return seen

    async def _looked_up_once(self, row: PlannedRow) -> Interaction | None:
        """Look up, once the circuit lets it, if anything waits for it."""
        halt, look_ups = self._shop.halt, self._shop.gate.look_ups
        if self._must_see(row) and not await look_ups.admits():
            return None
        with look_ups.looking():
            try:
                seen = await halt.unless_set(self._shop.gateway.look_up(row.interaction_id))
            except LookUpUnanswered:
                raise
            except LookUpFailed:
                look_ups.answered()
                raise
        if seen is not None:
            look_ups.answered()
        return seen

    async def _judge(self, live: ActiveTransfer, seen: Interaction) -> bool:
        sight, reason = judge_lookup(
            seen,
            destination_uri=live.row.destination_uri,
            message_ids=live.message_ids,
            preflight=self._shop.rules.policy.preflight,
            sent_before=live.row.lineage is not None,
            found_at=live.row.found_at,
        )
        event = sight.event
        if event is not None and live.state is State.READY:
            message_id = seen.last_transfer_id if sight is LookupVerdict.OURS else None
            if message_id is not None and live.row.lineage is not None:
                self._say_carried_out(live.row, message_id)
            told = EventDetails(message_id=message_id, reason=reason, reason_code=sight.code)
            await self._shop.recorder.enter(live, event, told)
        return event is None

    async def _is_still_fit(self, live: ActiveTransfer) -> bool:
        """Look again if the transfer's turn came late."""
        assert live.seen_at is not None  # noqa: S101 - it was looked at
        if self._shop.clock.now() - live.seen_at <= FRESH_S:
            return True
        if self._shop.gate.look_ups.is_open and self._must_see(live.row):
            live.wait_s = self.backoff_s(live)  # not here: a turn is not to be held for so long
            return False
        return await self._is_fit(live)

    # The delivery

    async def _in_turn(
        self, live: ActiveTransfer, before: State, *, repeat: bool = False
    ) -> PendingReply | None:
        """Wait for the transfer's turn and send it if it is still `before`; None: not sent."""
        gate, kbps = self._shop.gate, live.row.media[live.media_index].bandwidth_kbps
        if not await gate.turn(kbps):
            return None
        waiter = None
        try:
            fit = repeat or live.seen_at is None or await self._is_still_fit(live)
            if fit and live.state is before:  # nothing settled it while it was looked up
                live.slot_kbps = kbps
                waiter = await self._deliverer.send(live, repeat=repeat)
                self._remember(live)
            else:
                gate.forgo()
        finally:
            if waiter is None:
                gate.leave(kbps)
        return waiter

    async def _await_answer(self, live: ActiveTransfer, waiter: PendingReply) -> None:
        try:
            await self._deliverer.await_answer(live, waiter)
        finally:
            self._shop.gate.leave(live.slot_kbps)

    def _remember(self, live: ActiveTransfer) -> None:
        for message_id in live.message_ids:
            self._by_message[message_id] = live

    def _forget(self, live: ActiveTransfer) -> None:
        for message_id in live.message_ids:
            self._by_message.pop(message_id, None)

    async def _forget_after(self, settled: Awaitable[None], live: ActiveTransfer) -> None:
        """Keep a transfer in mind until the journal has it: a doubled reply must not settle twice."""
        await settled
        self._forget(live)

    def _accept_late(self, live: ActiveTransfer, reply: Reply) -> Awaitable[None] | None:
        if live.state is State.TRANSFERRED:
            return None
        told = EventDetails(
            message_id=reply.message_id,
            status=reply.status,
            reason=reply.reason or reply.status,
            latency_ms=self._latency_ms(live, reply),
            media=reply.media,
            correlation_id=reply.correlation_id,
            reason_code=code_of_reply(reply.status, reply.code),
        )
        return self._shop.recorder.enter(live, Event.ACCEPTED, told)

    def _latency_ms(self, live: ActiveTransfer, reply: Reply) -> float | None:
        """Return how long a late reply took; None: it answers no last delivery of this run."""
        last = live.last
        if last is None or last.message_id != reply.message_id or not live.tries:
            return None
        assert live.left_at is not None  # noqa: S101 - it was tried
        return round((self._shop.clock.now() - live.left_at) * 1000, 3)


def _may_be_contradicted(live: ActiveTransfer) -> bool:
    """Tell whether a late yes to an earlier run's delivery would have to settle this transfer too.

    (Its own deliveries' ids lead to it by the journal; the earlier ones lead to their own transfer.)
    """
    return live.row.lineage is not None and live.state is not State.TRANSFERRED
