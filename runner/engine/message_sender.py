"""Sends one delivery: makes its intent durable, writes its frame, records its answer."""

from __future__ import annotations

from collections.abc import Callable

from runner.core.exit_code import ExitCode
from runner.core.manifest.media import MediaMatrix
from runner.core.pacing.pace_left import RETRY_AFTER
from runner.core.pacing.rate import LONGEST_OBEYED_S
from runner.core.timestamps import timestamp
from runner.core.transfer.doubt_evidence import Baseline, SendClocks
from runner.core.transfer.message import (
    Compose,
    Draft,
    Message,
    Reply,
    Request,
    Unfit,
    seconds_text,
)
from runner.core.transfer.reasons import WORDS, Code, code_of_reply
from runner.core.transfer.states import Event, State
from runner.engine.active_transfer import ActiveTransfer, EventDetails
from runner.engine.admission import Admission, Slot
from runner.engine.destinations import Destinations
from runner.engine.metrics import RunMetrics
from runner.engine.pending_replies import NoReply, PendingReplies, PendingReply
from runner.engine.recorder import Recorder
from runner.engine.rules import Randomness, Rules
from runner.engine.stop import StopSignal
from runner.ports import Clock, Gateway, Intent

FRESH_S = 5.0
"""How old a look-up may be when an intent relies on it."""


class MessageSender:
    """Sends a transfer's next message, or (`repeat`) its last one again: same id, same bytes.

    `find_fault` verifies a message's format; it returns None for a message without fault.
    """

    def __init__(
        self,
        *,
        gateway: Gateway,
        admission: Admission,
        destinations: Destinations,
        pending_replies: PendingReplies,
        recorder: Recorder,
        metrics: RunMetrics,
        rules: Rules,
        randomness: Randomness,
        clock: Clock,
        stop_signal: StopSignal,
        compose: Compose,
        find_fault: Callable[[Message, MediaMatrix], str | None],
    ) -> None:
        self._gateway = gateway
        self._admission = admission
        self._destinations = destinations
        self._pending_replies = pending_replies
        self._recorder = recorder
        self._metrics = metrics
        self._rules = rules
        self._randomness = randomness
        self._clock = clock
        self._stop_signal = stop_signal
        self._compose = compose
        self._find_fault = find_fault

    async def send(
        self, transfer: ActiveTransfer, slot: Slot, *, repeat: bool = False
    ) -> PendingReply | None:
        """Make an intent durable and write its frame; None: certainly not written."""
        built_at = self._clock.now()
        try:
            intent, message = self._repeated(transfer) if repeat else self._fresh(transfer)
        except Unfit as error:
            details = EventDetails(reason=str(error), reason_code=Code.MESSAGE_UNFIT)
            await self._recorder.enter(transfer, Event.DENIED, details)
            return None
        pending_reply = self._pending_replies.expect(intent.message_id, self._gateway.generation)
        transfer.message_ids.add(intent.message_id)
        transfer.deliveries = intent.n
        during = State.RESENDING if repeat else State.SENDING
        event = Event.REPEATED if repeat else Event.INTENT
        await self._recorder.intend(transfer, event, intent)
        self._admission.note_commit_time(self._clock.now() - built_at)
        request = Request(intent.message_id, message, built_at)
        if await self._admission.write(
            slot,
            request,
            pending_reply,
            lambda: self._is_wanted(transfer, during),
            lambda: self._destinations.may_leave(transfer),
        ):
            self._destinations.left(transfer)
            transfer.tries += 1
            transfer.left_at = pending_reply.sent_at
            return pending_reply
        self._pending_replies.forget(pending_reply)
        details = _details_of(intent, WORDS[Code.NOT_SENT], Code.NOT_SENT)
        await self._recorder.enter(transfer, Event.WITHDRAWN, details)
        return None

    def _is_wanted(self, transfer: ActiveTransfer, during: State) -> bool:
        """Return whether a frame whose token is granted is still to be written."""
        if transfer.state is not during or not self._destinations.is_open(transfer):
            return False
        return during is State.SENDING or self._clock.uptime() <= transfer.repeatable_until

    async def await_answer(self, transfer: ActiveTransfer, pending_reply: PendingReply) -> None:
        """Wait for what comes of a frame that was written, and record it."""
        assert transfer.last is not None  # noqa: S101 - it was sent
        intent = transfer.last
        answer = await self._pending_replies.answer(pending_reply)
        self._metrics.frame_answered()
        details = self._details(intent, pending_reply, answer)
        if isinstance(answer, NoReply):
            if answer.timed_out:
                self._admission.circuit.unanswered()
            await self._recorder.enter(transfer, Event.LOST, details)
            return
        event = self._rules.classify(answer, repeat=transfer.state is State.RESENDING)
        if event is not Event.WITHDRAWN:
            self._admission.circuit.answered()
        if event is Event.LIMITED:
            self._slow_down(pending_reply, answer)
        further = self._after(transfer, event, answer)
        await self._recorder.enter(transfer, event, details, further)

    def _fresh(self, transfer: ActiveTransfer) -> tuple[Intent, Message]:
        wall, message_id = self._clock.wall(), self._randomness.new_id()
        message = self._composed(transfer, message_id, timestamp(wall))
        baseline = self._baseline(transfer)
        hand_over = SendClocks(
            wall,
            self._clock.boot,
            self._clock.uptime(),
            baseline.date_s if baseline is not None else None,
        )
        n, text = transfer.deliveries + 1, message.text
        return Intent(n, message_id, transfer.media_index, text, hand_over, baseline), message

    def _composed(self, transfer: ActiveTransfer, message_id: str, at: str) -> Message:
        row, media = transfer.row, transfer.row.media[transfer.media_index]
        draft = Draft(message_id, row.interaction_id, row.destination_uri, media, at, transfer.seen)
        message = self._compose(draft)
        if (fault := self._find_fault(message, media)) is not None:
            raise Unfit(f"the message fails format verification: {fault}")
        return message

    def _repeated(self, transfer: ActiveTransfer) -> tuple[Intent, Message]:
        assert transfer.last is not None  # noqa: S101 - a doubt has a delivery
        intent = transfer.last._replace(n=transfer.deliveries + 1)
        return intent, Message(intent.text)

    def _baseline(self, transfer: ActiveTransfer) -> Baseline | None:
        if transfer.seen is None or transfer.seen_at is None:
            return None
        fresh = self._clock.now() - transfer.seen_at <= FRESH_S
        return Baseline.of(transfer.seen) if fresh else None

    def _details(
        self, intent: Intent, pending_reply: PendingReply, answer: Reply | NoReply
    ) -> EventDetails:
        assert pending_reply.sent_at is not None  # noqa: S101 - only what left is answered
        assert pending_reply.answered_at is not None  # noqa: S101 - set with the answer
        since_s = self._clock.now() - pending_reply.sent_at
        sent_at = self._clock.wall() - since_s
        if isinstance(answer, NoReply):
            return _details_of(intent, answer.reason, answer.code, sent_at=sent_at)
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
        self._metrics.throttled += 1
        self._admission.lower_rate(pending_reply.sent_at)
        wait_s = answer.retry_after_s
        if wait_s is None:
            return
        if wait_s > LONGEST_OBEYED_S:
            self._stop_signal.set(
                ExitCode.STOPPED,
                f"the gateway asks to wait {seconds_text(wait_s)}, longer than the {LONGEST_OBEYED_S:g} s"
                " that are waited; run apply again after that",
            )
        else:
            self._admission.hold_off(wait_s, RETRY_AFTER)

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
            transfer.tries -= 1  # the gateway neither refused it nor learnt of it
        if event in {Event.LIMITED, Event.WITHDRAWN} and transfer.state is State.SENDING:
            if transfer.tries >= self._rules.policy.retry.attempts:
                return Event.EXHAUSTED
            transfer.wait_s = answer.retry_after_s or self._rules.backoff_s(
                transfer.tries, self._randomness
            )
        return None


def _details_of(
    intent: Intent, reason: str, code: Code, *, sent_at: float | None = None
) -> EventDetails:
    return EventDetails(intent.n, intent.message_id, sent_at, reason=reason, reason_code=code)
