"""The way of one transfer: looked up, given its turn, journalled, written, answered, settled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from runner.core.errors import GatewayError, LookUpFailed
from runner.core.manifest import Policy
from runner.core.message import Reply, Request, build_text
from runner.core.outcome import ExitCode
from runner.core.pacing import LONGEST_OBEYED_S, backoff_s
from runner.core.plan import PlannedRow
from runner.core.sight import Interaction, Sight, judge_sight
from runner.core.timestamps import timestamp
from runner.core.transfer import FINAL, Event, State, classify
from runner.engine.desk import Desk, NoReply, Waiter
from runner.engine.gate import Gate
from runner.engine.halt import Halt
from runner.engine.live import Live, Told
from runner.engine.meter import Meter
from runner.engine.notices import Notices
from runner.ports import Clock, Gateway, Intent, Journal

FRESH_S = 5.0
"""How old a look-up may be when its transfer's intent is made."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What every transfer of a run is carried with."""

    gateway: Gateway
    journal: Journal
    clock: Clock
    gate: Gate
    desk: Desk
    meter: Meter
    halt: Halt
    notices: Notices
    policy: Policy
    jitter: Callable[[], float]  # uniform in [0, 1)
    new_id: Callable[[], str]  # random UUIDs


class Carrier:
    """Carries transfers, many at a time, each along the same way."""

    def __init__(self, workshop: Workshop) -> None:
        self._shop = workshop
        # of transfers under way or in doubt: the transfer and the delivery's number
        self._by_message: dict[str, tuple[Live, int]] = {}

    async def carry(self, row: PlannedRow) -> None:
        """Bring one transfer to its outcome, or as far as the run gets before it is stopped."""
        live = await self._take_up(row)
        while live.state is State.READY and not self._shop.halt.is_set:
            async with self._shop.gate.preparing:
                waiter = await self._send(live) if await self._is_fit(live) else None
            if waiter is not None:
                await self._await_answer(live, waiter)
            if live.state is State.READY and live.wait_s > 0:
                wait_s, live.wait_s = live.wait_s, 0.0
                await self._shop.halt.rest(wait_s)
        if live.state in FINAL:
            self._let_go(live)

    def settle_late(self, reply: Reply) -> Awaitable[None] | None:
        """Settle a transfer by a positive reply that nobody waited for; None: it settles none."""
        found = self._by_message.get(reply.message_id)
        if found is None:
            return None
        live, n = found
        return self._accept_late(live, n, reply)

    async def settle_history(self, reply: Reply) -> bool:
        """Settle a transfer of an earlier run, or an earlier part of this one, likewise."""
        standing = await self._shop.journal.find(reply.message_id)
        if standing is None:
            return False
        live = Live(
            standing.row, standing.transfer_id, standing.lineage, standing.state, standing.version
        )
        settled = self._accept_late(live, standing.n, reply)
        if settled is None:
            return False
        await settled
        return True

    def _accept_late(self, live: Live, n: int, reply: Reply) -> Awaitable[None] | None:
        if live.state is State.TRANSFERRED:
            return None
        told = Told(
            n=n,
            message_id=reply.message_id,
            status=reply.status,
            reason=f"{reply.reason or reply.status} (a late reply)",
            media=reply.media,
        )
        return self._enter(live, Event.ACCEPTED, told)

    async def _take_up(self, row: PlannedRow) -> Live:
        transfer_id = self._shop.journal.new_transfer_id()
        live = Live(row, transfer_id, row.lineage or transfer_id)
        if row.lineage is not None:
            live.message_ids |= await self._shop.journal.message_ids(row.lineage)
        return live

    def _let_go(self, live: Live) -> None:
        for message_id in live.message_ids:
            self._by_message.pop(message_id, None)

    # Before a delivery

    async def _is_fit(self, live: Live) -> bool:
        """Look the interaction up where that is due; True: a delivery may follow."""
        if not (self._shop.policy.preflight or live.message_ids):
            return True
        try:
            seen = await self._shop.gateway.look_up(live.row.interaction_id)
        except LookUpFailed as error:
            return await self._without_look_up(live, error)
        except GatewayError as error:
            self._shop.halt.stop(ExitCode.STOPPED, str(error), error)
            return False
        live.observed_at = self._shop.clock.now()
        return await self._judge(live, seen)

    async def _without_look_up(self, live: Live, error: LookUpFailed) -> bool:
        if not self._shop.policy.preflight:
            return True  # a definite "not carried out" stands without being looked at
        await self._enter(live, Event.EXHAUSTED, Told(reason=f"the look-up failed: {error.what}"))
        return False

    async def _judge(self, live: Live, seen: Interaction) -> bool:
        sight, reason = judge_sight(
            seen,
            destination_uri=live.row.destination_uri,
            message_ids=live.message_ids,
            preflight=self._shop.policy.preflight,
        )
        event = sight.event
        if event is not None and live.state is State.READY:
            message_id = seen.last_transfer_id if sight is Sight.OURS else None
            await self._enter(live, event, Told(message_id=message_id, reason=reason))
        return event is None

    # The delivery

    async def _send(self, live: Live) -> Waiter | None:
        """Wait for the transfer's turn and deliver it; None: certainly nothing was sent."""
        if not await self._shop.gate.turn():
            return None
        waiter = None
        try:
            waiter = await self._deliver(live)
        finally:
            if waiter is None:
                self._shop.gate.leave()
        return waiter

    async def _deliver(self, live: Live) -> Waiter | None:
        """Make an intent durable and write its frame; None: certainly not written."""
        if live.state is not State.READY or not await self._is_still_fit(live):
            self._shop.gate.forgo()
            return None
        waiter, request = await self._intend(live)
        if await self._shop.gate.write(request, waiter, lambda: live.state is State.SENDING):
            live.tries += 1
            return waiter
        self._shop.desk.forget(waiter)
        await self._enter(live, Event.WITHDRAWN, _about(live, waiter, reason="not sent"))
        return None

    async def _is_still_fit(self, live: Live) -> bool:
        """Look again if the transfer's turn came late."""
        if live.observed_at is None or self._shop.clock.now() - live.observed_at <= FRESH_S:
            return True
        return await self._is_fit(live)

    async def _await_answer(self, live: Live, waiter: Waiter) -> None:
        try:
            answer = await self._shop.desk.answer(waiter)
            self._shop.meter.frame_answered()
            await self._settle(live, waiter, answer)
        finally:
            self._shop.gate.leave()

    async def _intend(self, live: Live) -> tuple[Waiter, Request]:
        shop = self._shop
        built_at, wall = shop.clock.now(), shop.clock.wall()
        message_id = shop.new_id()
        text = build_text(
            message_id=message_id,
            interaction_id=live.row.interaction_id,
            destination_uri=live.row.destination_uri,
            media=live.row.media[live.media_index],
            timestamp=timestamp(wall),
        )
        waiter = shop.desk.expect(message_id, shop.gateway.generation)
        live.message_ids.add(message_id)
        live.deliveries += 1
        self._by_message[message_id] = live, live.deliveries
        intent = Intent(live.deliveries, message_id, live.media_index, text)
        await shop.journal.record(live.enter(Event.INTENT, wall, intent=intent))
        shop.gate.committed_in(shop.clock.now() - built_at)
        return waiter, Request(message_id, text, built_at)

    # After it

    async def _settle(self, live: Live, waiter: Waiter, answer: Reply | NoReply) -> None:
        told = self._told(live, waiter, answer)
        if isinstance(answer, NoReply):
            await self._enter(live, Event.LOST, told)
            return
        event = classify(answer.status, answer.code)
        if event is Event.LIMITED:
            self._slow_down(waiter, answer)
        further = self._after(live, event, answer)
        await self._enter(live, event, told, further)

    def _told(self, live: Live, waiter: Waiter, answer: Reply | NoReply) -> Told:
        assert waiter.sent_at is not None  # noqa: S101 - only what left is answered
        assert waiter.answered_at is not None  # noqa: S101 - set with the answer
        since_s = self._shop.clock.now() - waiter.sent_at
        about = _about(live, waiter, sent_at=self._shop.clock.wall() - since_s)
        if isinstance(answer, NoReply):
            return replace(about, reason=answer.reason)
        return replace(
            about,
            latency_ms=round((waiter.answered_at - waiter.sent_at) * 1000, 3),
            status=answer.status if answer.status is not None else str(answer.code),
            reason=answer.reason or answer.status or f"code {answer.code}",
            media=answer.media,
        )

    def _slow_down(self, waiter: Waiter, answer: Reply) -> None:
        assert waiter.sent_at is not None  # noqa: S101 - only what left is answered
        self._shop.meter.throttled += 1
        self._shop.gate.slow(waiter.sent_at)
        wait_s = answer.retry_after_s
        if wait_s is None:
            return
        if wait_s > LONGEST_OBEYED_S:
            self._shop.halt.stop(
                ExitCode.STOPPED,
                f"the gateway asks to wait {wait_s:g} s, longer than the {LONGEST_OBEYED_S:g} s"
                " that are waited; run apply again after that",
            )
        else:
            self._shop.gate.silence(wait_s, "retry_after")

    def _after(self, live: Live, event: Event, answer: Reply) -> Event | None:
        """Prepare the next delivery, or return the event that ends the transfer without one."""
        if event is Event.UNSUITED:
            live.media_index += 1
            live.tries = 0
            if live.media_index < len(live.row.media):
                return None
            return Event.DENIED
        if event is Event.LIMITED:
            if live.tries >= self._shop.policy.retry.attempts:
                return Event.EXHAUSTED
            live.wait_s = answer.retry_after_s or backoff_s(
                self._shop.policy.retry, live.tries, jitter=self._shop.jitter()
            )
        return None

    def _enter(
        self, live: Live, event: Event, told: Told, further: Event | None = None
    ) -> Awaitable[None]:
        """Take the steps and record them in one transaction, with the callbacks they call for."""
        wall = self._shop.clock.wall()
        before = live.outcome
        entries = [live.enter(event, wall, told)]
        if further is not None:
            entries.append(live.enter(further, wall, replace(told, n=None)))
        after = live.outcome
        if after is not before:
            self._shop.meter.settled(self._shop.clock.now(), after, before)
            if after is not None:
                told_of = self._shop.notices.about(live.row, after, told.reason, told.latency_ms)
                entries[-1] = replace(entries[-1], notifications=told_of)
        return self._shop.journal.record(*entries)


def _about(
    live: Live, waiter: Waiter, *, sent_at: float | None = None, reason: str | None = None
) -> Told:
    return Told(n=live.deliveries, message_id=waiter.message_id, sent_at=sent_at, reason=reason)
