"""One delivery: its intent made durable, its frame written, its answer recorded."""

from __future__ import annotations

from runner.core.pacing.rate import LONGEST_OBEYED_S, backoff_s
from runner.core.timestamps import timestamp
from runner.core.transfer.evidence import Baseline, SendClocks
from runner.core.transfer.message import Draft, Reply, Request, Unfit, seconds_text
from runner.core.transfer.outcome import ExitCode
from runner.core.transfer.reasons import WORDS, Code, code_of_reply
from runner.core.transfer.states import Event, State
from runner.engine.active_transfer import ActiveTransfer, EventDetails
from runner.engine.pending_replies import NoReply, PendingReply
from runner.engine.rules import RunContext
from runner.ports import Intent

FRESH_S = 5.0
"""How old a look-up may be when an intent relies on it."""


class MessageSender:
    """Delivers a transfer once: anew, or (`repeat`) under the id and the bytes of the last time."""

    def __init__(self, shop: RunContext) -> None:
        self._shop = shop

    async def send(self, live: ActiveTransfer, *, repeat: bool = False) -> PendingReply | None:
        """Make an intent durable and write its frame; None: certainly not written.

        The transfer has its turn; the caller gives the slot back.
        """
        built_at = self._shop.clock.now()
        try:
            intent = self._repeated(live) if repeat else self._fresh(live)
        except Unfit as error:
            self._shop.gate.forgo()
            told = EventDetails(reason=str(error), reason_code=Code.MESSAGE_UNFIT)
            await self._shop.recorder.enter(live, Event.DENIED, told)
            return None
        waiter = self._shop.desk.expect(intent.message_id, self._shop.gateway.generation)
        live.message_ids.add(intent.message_id)
        live.deliveries = intent.n
        during = State.RESENDING if repeat else State.SENDING
        event = Event.REPEATED if repeat else Event.INTENT
        await self._shop.recorder.intend(live, event, intent)
        self._shop.gate.committed_in(self._shop.clock.now() - built_at)
        request = Request(intent.message_id, intent.text, built_at)
        if await self._shop.gate.write(request, waiter, lambda: self._is_wanted(live, during)):
            live.tries += 1
            live.left_at = waiter.sent_at
            return waiter
        self._shop.desk.forget(waiter)
        told = _about(intent, WORDS[Code.NOT_SENT], Code.NOT_SENT)
        await self._shop.recorder.enter(live, Event.WITHDRAWN, told)
        return None

    def _is_wanted(self, live: ActiveTransfer, during: State) -> bool:
        """Tell whether a frame whose token is granted is still to leave."""
        known = during is State.SENDING or self._shop.clock.uptime() <= live.repeatable_until
        return live.state is during and known

    async def await_answer(self, live: ActiveTransfer, waiter: PendingReply) -> None:
        """Wait for what comes of a frame that was written, and record it."""
        assert live.last is not None  # noqa: S101 - it was sent
        intent = live.last
        answer = await self._shop.desk.answer(waiter)
        self._shop.meter.frame_answered()
        told = self._told(intent, waiter, answer)
        if isinstance(answer, NoReply):
            if answer.timed_out:
                self._shop.gate.circuit.unanswered()
            await self._shop.recorder.enter(live, Event.LOST, told)
            return
        event = self._shop.rules.classify(answer, repeat=live.state is State.RESENDING)
        if event is not Event.WITHDRAWN:
            self._shop.gate.circuit.answered()
        if event is Event.LIMITED:
            self._slow_down(waiter, answer)
        further = self._after(live, event, answer)
        await self._shop.recorder.enter(live, event, told, further)

    def _fresh(self, live: ActiveTransfer) -> Intent:
        shop = self._shop
        wall, message_id = shop.clock.wall(), shop.chance.new_id()
        text = self._composed(live, message_id, timestamp(wall))
        baseline = self._baseline(live)
        hand_over = SendClocks(
            wall,
            shop.clock.boot,
            shop.clock.uptime(),
            baseline.date_s if baseline is not None else None,
        )
        return Intent(live.deliveries + 1, message_id, live.media_index, text, hand_over, baseline)

    def _composed(self, live: ActiveTransfer, message_id: str, at: str) -> str:
        row, media = live.row, live.row.media[live.media_index]
        draft = Draft(message_id, row.interaction_id, row.destination_uri, media, at, live.seen)
        text = self._shop.compose(draft)
        if (fault := self._shop.find_fault(text, media)) is not None:
            raise Unfit(f"the message fails format verification: {fault}")
        return text

    def _repeated(self, live: ActiveTransfer) -> Intent:
        assert live.last is not None  # noqa: S101 - a doubt has a delivery
        return live.last._replace(n=live.deliveries + 1)

    def _baseline(self, live: ActiveTransfer) -> Baseline | None:
        if live.seen is None or live.seen_at is None:
            return None
        fresh = self._shop.clock.now() - live.seen_at <= FRESH_S
        return Baseline.of(live.seen) if fresh else None

    def _told(self, intent: Intent, waiter: PendingReply, answer: Reply | NoReply) -> EventDetails:
        assert waiter.sent_at is not None  # noqa: S101 - only what left is answered
        assert waiter.answered_at is not None  # noqa: S101 - set with the answer
        since_s = self._shop.clock.now() - waiter.sent_at
        sent_at = self._shop.clock.wall() - since_s
        if isinstance(answer, NoReply):
            return _about(intent, answer.reason, answer.code, sent_at=sent_at)
        return EventDetails(
            intent.n,
            intent.message_id,
            sent_at,
            latency_ms=round((waiter.answered_at - waiter.sent_at) * 1000, 3),
            status=answer.status if answer.status is not None else str(answer.code),
            reason=answer.reason or answer.status or f"code {answer.code}",
            media=answer.media,
            correlation_id=answer.correlation_id,
            reason_code=(
                Code.NOT_SENT if answer.unsent else code_of_reply(answer.status, answer.code)
            ),
        )

    def _slow_down(self, waiter: PendingReply, answer: Reply) -> None:
        assert waiter.sent_at is not None  # noqa: S101 - only what left is answered
        self._shop.meter.throttled += 1
        self._shop.gate.slow(waiter.sent_at)
        wait_s = answer.retry_after_s
        if wait_s is None:
            return
        if wait_s > LONGEST_OBEYED_S:
            self._shop.halt.stop(
                ExitCode.STOPPED,
                f"the gateway asks to wait {seconds_text(wait_s)}, longer than the {LONGEST_OBEYED_S:g} s"
                " that are waited; run apply again after that",
            )
        else:
            self._shop.gate.silence(wait_s, "retry_after")

    def _after(self, live: ActiveTransfer, event: Event, answer: Reply) -> Event | None:
        """Prepare the next delivery, or return the event that ends the transfer without one."""
        if event is Event.ACCEPTED:
            return None
        if live.state not in {State.SENDING, State.RESENDING}:
            return None  # settled meanwhile
        if event is Event.UNSUITED:
            live.media_index += 1
            live.tries = 0
            return None if live.media_index < len(live.row.media) else Event.DENIED
        if event is Event.WITHDRAWN and answer.status is None:
            live.tries -= 1  # nobody refused it, and nobody heard of it
        if event in {Event.LIMITED, Event.WITHDRAWN} and live.state is State.SENDING:
            if live.tries >= self._shop.rules.policy.retry.attempts:
                return Event.EXHAUSTED
            live.wait_s = answer.retry_after_s or self.backoff_s(live)
        return None

    def backoff_s(self, live: ActiveTransfer, failures: int | None = None) -> float:
        """Return the wait before a transfer's next delivery, or after `failures` look-ups."""
        retry = self._shop.rules.policy.retry
        n = live.tries if failures is None else failures
        return backoff_s(retry, max(1, n), jitter=self._shop.chance.jitter())


def _about(
    intent: Intent, reason: str, code: Code, *, sent_at: float | None = None
) -> EventDetails:
    return EventDetails(intent.n, intent.message_id, sent_at, reason=reason, reason_code=code)
