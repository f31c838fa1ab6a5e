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

    async def send(self, transfer: ActiveTransfer, *, repeat: bool = False) -> PendingReply | None:
        """Make an intent durable and write its frame; None: certainly not written.

        The transfer has its turn; the caller gives the slot back.
        """
        built_at = self._shop.clock.now()
        try:
            intent = self._repeated(transfer) if repeat else self._fresh(transfer)
        except Unfit as error:
            self._shop.admission.forgo()
            details = EventDetails(reason=str(error), reason_code=Code.MESSAGE_UNFIT)
            await self._shop.recorder.enter(transfer, Event.DENIED, details)
            return None
        pending_reply = self._shop.pending_replies.expect(
            intent.message_id, self._shop.gateway.generation
        )
        transfer.message_ids.add(intent.message_id)
        transfer.deliveries = intent.n
        during = State.RESENDING if repeat else State.SENDING
        event = Event.REPEATED if repeat else Event.INTENT
        await self._shop.recorder.intend(transfer, event, intent)
        self._shop.admission.committed_in(self._shop.clock.now() - built_at)
        request = Request(intent.message_id, intent.text, built_at)
        if await self._shop.admission.write(
            request, pending_reply, lambda: self._is_wanted(transfer, during)
        ):
            transfer.tries += 1
            transfer.left_at = pending_reply.sent_at
            return pending_reply
        self._shop.pending_replies.forget(pending_reply)
        details = _about(intent, WORDS[Code.NOT_SENT], Code.NOT_SENT)
        await self._shop.recorder.enter(transfer, Event.WITHDRAWN, details)
        return None

    def _is_wanted(self, transfer: ActiveTransfer, during: State) -> bool:
        """Tell whether a frame whose token is granted is still to leave."""
        known = during is State.SENDING or self._shop.clock.uptime() <= transfer.repeatable_until
        return transfer.state is during and known

    async def await_answer(self, transfer: ActiveTransfer, pending_reply: PendingReply) -> None:
        """Wait for what comes of a frame that was written, and record it."""
        assert transfer.last is not None  # noqa: S101 - it was sent
        intent = transfer.last
        answer = await self._shop.pending_replies.answer(pending_reply)
        self._shop.metrics.frame_answered()
        details = self._details(intent, pending_reply, answer)
        if isinstance(answer, NoReply):
            if answer.timed_out:
                self._shop.admission.circuit.unanswered()
            await self._shop.recorder.enter(transfer, Event.LOST, details)
            return
        event = self._shop.rules.classify(answer, repeat=transfer.state is State.RESENDING)
        if event is not Event.WITHDRAWN:
            self._shop.admission.circuit.answered()
        if event is Event.LIMITED:
            self._slow_down(pending_reply, answer)
        further = self._after(transfer, event, answer)
        await self._shop.recorder.enter(transfer, event, details, further)

    def _fresh(self, transfer: ActiveTransfer) -> Intent:
        shop = self._shop
        wall, message_id = shop.clock.wall(), shop.randomness.new_id()
        text = self._composed(transfer, message_id, timestamp(wall))
        baseline = self._baseline(transfer)
        hand_over = SendClocks(
            wall,
            shop.clock.boot,
            shop.clock.uptime(),
            baseline.date_s if baseline is not None else None,
        )
        return Intent(
            transfer.deliveries + 1, message_id, transfer.media_index, text, hand_over, baseline
        )

    def _composed(self, transfer: ActiveTransfer, message_id: str, at: str) -> str:
        row, media = transfer.row, transfer.row.media[transfer.media_index]
        draft = Draft(message_id, row.interaction_id, row.destination_uri, media, at, transfer.seen)
        text = self._shop.compose(draft)
        if (fault := self._shop.find_fault(text, media)) is not None:
            raise Unfit(f"the message fails format verification: {fault}")
        return text

    def _repeated(self, transfer: ActiveTransfer) -> Intent:
        assert transfer.last is not None  # noqa: S101 - a doubt has a delivery
        return transfer.last._replace(n=transfer.deliveries + 1)

    def _baseline(self, transfer: ActiveTransfer) -> Baseline | None:
        if transfer.seen is None or transfer.seen_at is None:
            return None
        fresh = self._shop.clock.now() - transfer.seen_at <= FRESH_S
        return Baseline.of(transfer.seen) if fresh else None

    def _details(
        self, intent: Intent, pending_reply: PendingReply, answer: Reply | NoReply
    ) -> EventDetails:
        assert pending_reply.sent_at is not None  # noqa: S101 - only what left is answered
        assert pending_reply.answered_at is not None  # noqa: S101 - set with the answer
        since_s = self._shop.clock.now() - pending_reply.sent_at
        sent_at = self._shop.clock.wall() - since_s
        if isinstance(answer, NoReply):
            return _about(intent, answer.reason, answer.code, sent_at=sent_at)
        return EventDetails(
            intent.n,
            intent.message_id,
            sent_at,
            latency_ms=round((pending_reply.answered_at - pending_reply.sent_at) * 1000, 3),
            status=answer.status if answer.status is not None else str(answer.code),
            reason=answer.reason or answer.status or f"code {answer.code}",
            media=answer.media,
            correlation_id=answer.correlation_id,
            reason_code=(
                Code.NOT_SENT if answer.unsent else code_of_reply(answer.status, answer.code)
            ),
        )

    def _slow_down(self, pending_reply: PendingReply, answer: Reply) -> None:
        assert pending_reply.sent_at is not None  # noqa: S101 - only what left is answered
        self._shop.metrics.throttled += 1
        self._shop.admission.slow(pending_reply.sent_at)
        wait_s = answer.retry_after_s
        if wait_s is None:
            return
        if wait_s > LONGEST_OBEYED_S:
            self._shop.stop_signal.set(
                ExitCode.STOPPED,
                f"the gateway asks to wait {seconds_text(wait_s)}, longer than the {LONGEST_OBEYED_S:g} s"
                " that are waited; run apply again after that",
            )
        else:
            self._shop.admission.silence(wait_s, "retry_after")

    def _after(self, transfer: ActiveTransfer, event: Event, answer: Reply) -> Event | None:
        """Prepare the next delivery, or return the event that ends the transfer without one."""
        if event is Event.ACCEPTED:
            return None
        if transfer.state not in {State.SENDING, State.RESENDING}:
            return None  # settled meanwhile
        if event is Event.UNSUITED:
            transfer.media_index += 1
            transfer.tries = 0
            return None if transfer.media_index < len(transfer.row.media) else Event.DENIED
        if event is Event.WITHDRAWN and answer.status is None:
            transfer.tries -= 1  # nobody refused it, and nobody heard of it
        if event in {Event.LIMITED, Event.WITHDRAWN} and transfer.state is State.SENDING:
            if transfer.tries >= self._shop.rules.policy.retry.attempts:
                return Event.EXHAUSTED
            transfer.wait_s = answer.retry_after_s or self.backoff_s(transfer)
        return None

    def backoff_s(self, transfer: ActiveTransfer, failures: int | None = None) -> float:
        """Return the wait before a transfer's next delivery, or after `failures` look-ups."""
        retry = self._shop.rules.policy.retry
        n = transfer.tries if failures is None else failures
        return backoff_s(retry, max(1, n), jitter=self._shop.randomness.jitter())


def _about(
    intent: Intent, reason: str, code: Code, *, sent_at: float | None = None
) -> EventDetails:
    return EventDetails(intent.n, intent.message_id, sent_at, reason=reason, reason_code=code)
