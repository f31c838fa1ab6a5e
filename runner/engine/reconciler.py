"""Settles doubts as far as the gateway's promise allows, and no further (recovery.md, "In doubt")."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from runner.core.errors import GatewayError, LookUpFailed, LookUpForbidden, LookUpUnanswered
from runner.core.exit_code import ExitCode
from runner.core.frozen import frozen
from runner.core.pacing.rate import LONGEST_OBEYED_S
from runner.core.transfer.doubt_evidence import (
    Dedupes,
    Evidence,
    Expires,
    SendClocks,
    fence_is_over,
    repeatable_for_s,
    weigh,
)
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.reasons import WORDS, Code
from runner.core.transfer.states import Event, State
from runner.engine.active_transfer import ActiveTransfer, EventDetails
from runner.engine.admission import Admission
from runner.engine.recorder import Recorder
from runner.engine.rules import Randomness, Rules
from runner.engine.stop import StopSignal
from runner.engine.transfer_worker import TransferWorker
from runner.ports import Clock, Doubt, Gateway

LOOKS_AT_ONCE = 16
"""Doubts that are looked up at a time."""

SECOND_LOOK_S = 2.0
"""After which a doubt that nothing is promised about is looked at once more."""

LOOK_EVERY_S = 5.0
"""How often a move that is under way is looked at again."""

SESSION_POLL_S = 0.1

MOST_REPEATS = 20
"""Deliveries of one id in one run, to a gateway that dedupes."""


_UNDECIDED = frozenset({Evidence.UNTOUCHED, Evidence.UNDER_WAY})


@frozen
class Look:
    """The result of looking a doubt up; `seen` None: the look-up failed.

    `asked_at` is when it was asked for, by the clock: what it shows may be as old as that.
    """

    evidence: Evidence
    reason: str
    seen: Interaction | None = None
    asked_at: float = -math.inf


STOPPED = Look(Evidence.INCONCLUSIVE, "the run was stopped before it was looked up")


class Reconciler:
    """Settles a run's doubts, its own and those that earlier runs left."""

    def __init__(
        self,
        *,
        gateway: Gateway,
        worker: TransferWorker,
        admission: Admission,
        recorder: Recorder,
        rules: Rules,
        randomness: Randomness,
        clock: Clock,
        stop_signal: StopSignal,
    ) -> None:
        self._gateway = gateway
        self._circuit = admission.look_ups
        self._worker = worker
        self._admission = admission
        self._recorder = recorder
        self._rules = rules
        self._randomness = randomness
        self._clock = clock
        self._stop_signal = stop_signal
        self._began = clock.now()
        self._looking = asyncio.Semaphore(LOOKS_AT_ONCE)
        # Left in doubt by earlier runs, and whether this run's manifest lists them.
        self._left: list[tuple[ActiveTransfer, bool]] = []

    def restore(self, doubts: Sequence[Doubt]) -> list[ActiveTransfer]:
        """Track what earlier runs left in doubt, and return it: from here on a late reply settles it."""
        for doubt in doubts:
            self._left.append((self._worker.restore(doubt, self._began), doubt.listed))
        return [transfer for transfer, _ in self._left]

    async def look_up_all(self) -> list[ActiveTransfer]:
        """Look up what earlier runs left in doubt, before anything is sent.

        Returns the transfers that are still in doubt and may be sent again by this run.
        """
        looked = await asyncio.gather(
            *(self._look_up_left(transfer, listed=listed) for transfer, listed in self._left)
        )
        return [transfer for transfer in looked if transfer is not None]

    async def settle(self, transfer: ActiveTransfer) -> None:
        """Do what the promise allows until the doubt is settled, or stays one for a person."""
        while transfer.state is State.UNKNOWN and not self._stop_signal.is_set:
            await self._session_is_back()
            match self._rules.promise:
                case Dedupes() as promise:
                    reason = await self._by_repeating(transfer, promise)
                case Expires() as promise:
                    reason = await self._by_waiting(transfer, promise)
                case None:
                    reason = await self._by_looking(transfer)
            if reason is not None:
                await self._leave(transfer, reason)
                return
            if _is_cleared(transfer):
                await self._stop_signal.sleep(self._admission.retry_delay_s())
                await self._worker.process_to_end(transfer)
        await self._leave(transfer, "the run was stopped before it could be cleared up")

    async def _leave(self, transfer: ActiveTransfer, reason: str) -> None:
        if transfer.state is State.UNKNOWN:
            await self._recorder.leave_in_doubt(transfer, reason)

    async def _look_up_left(
        self, transfer: ActiveTransfer, *, listed: bool
    ) -> ActiveTransfer | None:
        look = await self._look(transfer, is_left=True)
        promise = self._rules.promise
        if promise is None and look.evidence is Evidence.UNDER_WAY:
            await self._stop_signal.sleep(SECOND_LOOK_S)
            look = await self._look(transfer, is_left=True)
        if transfer.state is not State.UNKNOWN:
            return None
        changed = look.evidence is Evidence.INCONCLUSIVE and look.seen is not None
        hopeless = promise is None or (isinstance(promise, Expires) and changed)
        if hopeless or not listed:
            await self._recorder.leave_in_doubt(transfer, look.reason)
            return None
        return transfer

    # Each way returns why the doubt stays one, or None where it is settled or to be gone on with.

    async def _by_looking(self, transfer: ActiveTransfer) -> str | None:
        look = await self._look(transfer)
        if transfer.state is State.UNKNOWN and look.evidence in _UNDECIDED:
            await self._stop_signal.sleep(SECOND_LOOK_S)
            look = await self._look(transfer)
        while look.evidence is Evidence.UNDER_WAY and self._may_yet_end(transfer):
            await self._stop_signal.sleep(LOOK_EVERY_S)
            look = await self._look(transfer)
        return look.reason

    def _may_yet_end(self, transfer: ActiveTransfer) -> bool:
        """Return whether a move that was begun may still come to its end in time."""
        assert transfer.left_at is not None  # noqa: S101 - set with the delivery
        passed_s = self._clock.now() - transfer.left_at
        is_awaited = transfer.state is State.UNKNOWN and not self._stop_signal.is_set
        return is_awaited and passed_s < self._rules.policy.outcome_timeout_s

    async def _by_repeating(self, transfer: ActiveTransfer, promise: Dedupes) -> str | None:
        look = await self._look(transfer)
        if transfer.state is not State.UNKNOWN:
            return None
        assert transfer.last is not None  # noqa: S101 - a doubt has a delivery
        left_s = repeatable_for_s(
            promise,
            transfer.last.hand_over,
            boot=self._clock.boot,
            uptime_s=self._clock.uptime(),
            gateway_date_s=look.seen.date_s if look.seen is not None else None,
        )
        transfer.repeatable_until = self._clock.uptime() + left_s
        if look.seen is None and self._may_look_again(transfer):
            await self._stop_signal.sleep(self._backoff_s(transfer))
            return None
        if (reason := _why_no_repeat(transfer, look, left_s)) is not None:
            return reason
        if transfer.repeats:
            await self._stop_signal.sleep(self._backoff_s(transfer))
        delay_s = self._admission.retry_delay_s()
        if self._repeats_until(transfer) < self._clock.now() + delay_s:
            return (
                f"sent {transfer.repeats} times again under its id without an answer; more repeats"
                " would hold up the run's end"
            )
        transfer.repeats += 1
        await self._stop_signal.sleep(delay_s)
        if transfer.state is State.UNKNOWN:
            await self._worker.repeat(transfer)
        return None

    def _repeats_until(self, transfer: ActiveTransfer) -> float:
        """Return when this run stops repeating a transfer; the next run goes on with it."""
        if transfer.repeating_since is None:
            transfer.repeating_since = self._clock.now()
        return transfer.repeating_since + self._rules.policy.circuit_breaker.give_up_s

    async def _by_waiting(self, transfer: ActiveTransfer, promise: Expires) -> str | None:
        look = await self._look(transfer)
        if transfer.state is not State.UNKNOWN:
            return None
        assert transfer.last is not None  # noqa: S101 - a doubt has a delivery
        assert transfer.left_at is not None  # noqa: S101 - set with the delivery
        if look.seen is None and self._may_look_again(transfer):
            passed_s = self._clock.now() - transfer.left_at
            await self._stop_signal.sleep(max(1.0, promise.fence_s - passed_s))
            return None
        if look.seen is None or look.evidence is Evidence.INCONCLUSIVE:
            return look.reason
        passed_s = look.asked_at - transfer.left_at
        date_s, hand_over = look.seen.date_s, transfer.last.hand_over
        if fence_is_over(promise, hand_over, gateway_date_s=date_s, passed_s=passed_s):
            if look.evidence is Evidence.UNDER_WAY:
                return look.reason
            reason = f"not carried out: {look.reason}, and its time is over"
            details = EventDetails(reason=reason, reason_code=Code.FOUND_UNTOUCHED)
            await self._recorder.enter(transfer, Event.CLEARED, details)
            return None
        return await self._until_fence(promise, hand_over, date_s, passed_s)

    def _backoff_s(self, transfer: ActiveTransfer) -> float:
        return self._rules.backoff_s(transfer.tries, self._randomness)

    def _may_look_again(self, transfer: ActiveTransfer) -> bool:
        """Return whether a look-up that failed may be made again: the run has not given up yet."""
        assert transfer.left_at is not None  # noqa: S101 - set with the delivery
        passed_s = self._clock.now() - transfer.left_at
        return passed_s < self._rules.policy.circuit_breaker.give_up_s

    async def _until_fence(
        self, promise: Expires, hand_over: SendClocks, date_s: float | None, passed_s: float
    ) -> str | None:
        wait_s = _until_fence_s(promise, hand_over, gateway_date_s=date_s, passed_s=passed_s)
        if isinstance(wait_s, str):
            return wait_s
        await self._stop_signal.sleep(max(1.0, wait_s))
        return None

    async def _look(self, transfer: ActiveTransfer, *, is_left: bool = False) -> Look:
        """Look a doubt up; positive evidence settles it at once. `is_left`: by an earlier run.

        Look-ups lag behind: that an interaction is where it was before this history moved it
        elsewhere is believed at a second look.
        """
        look = await self._look_once(transfer, is_left=is_left)
        carried_out, by_id = look.evidence is Evidence.CARRIED_OUT, _ours(transfer, look.seen)
        if carried_out and by_id is None and transfer.row.was_elsewhere:
            await self._stop_signal.sleep(self._rules.visible_s)
            look = await self._look_once(transfer, is_left=is_left)
        if look.evidence is Evidence.CARRIED_OUT and transfer.state is State.UNKNOWN:
            details = EventDetails(
                message_id=_ours(transfer, look.seen),
                reason=f"carried out: {look.reason}",
                reason_code=Code.FOUND_CARRIED_OUT,
            )
            await self._recorder.enter(transfer, Event.SEEN, details)
        return look

    async def _look_once(self, transfer: ActiveTransfer, *, is_left: bool) -> Look:
        async with self._looking:
            if is_left and self._circuit.is_open and not self._rules.looks_first:
                return _failed("the gateway's REST side answers none")
            if is_left and not await self._circuit.admits():
                return STOPPED
            asked_at = self._clock.now()
            try:
                seen = await self._seen(transfer.row.interaction_id, is_left=is_left)
            except LookUpFailed as error:
                return _failed(error.what)
            except GatewayError as error:
                self._stop_signal.set(ExitCode.STOPPED, str(error), error)
                return _failed(error.what)
        if seen is None:
            return STOPPED
        evidence, reason = weigh(
            seen,
            baseline=transfer.last.baseline if transfer.last is not None else None,
            destination_uri=transfer.row.destination_uri,
            message_ids=transfer.message_ids,
        )
        return Look(evidence, reason, seen, asked_at)

    async def _seen(self, interaction_id: str, *, is_left: bool) -> Interaction | None:
        """Look an interaction up; None: the run was stopped meanwhile. Raises what `look_up` raises.

        Only what earlier runs left is waited for, so only that counts for the circuit.
        """
        look_up = self._gateway.look_up(interaction_id)
        try:
            with self._circuit.looking(is_admitted=is_left):
                seen = await self._stop_signal.unless_set(look_up)
        except LookUpForbidden as error:  # whether others are, their look-ups show
            refusal = WORDS[Code.INTERACTION_HIDDEN]
            return Interaction(interaction_id, found=True, date_s=error.date_s, refusal=refusal)
        except LookUpUnanswered as error:
            if is_left:
                self._circuit.unanswered(error.tries)
            raise
        if seen is not None:
            self._circuit.showed()
        return seen

    async def _session_is_back(self) -> None:
        while self._gateway.generation is None and not self._stop_signal.is_set:
            await self._stop_signal.sleep(SESSION_POLL_S)


def _failed(what: str) -> Look:
    return Look(Evidence.INCONCLUSIVE, f"the look-up failed: {what}")


def _why_no_repeat(transfer: ActiveTransfer, look: Look, left_s: float) -> str | None:
    """Return why a delivery must not be sent again under its id, or None if it may."""
    if look.seen is not None and look.seen.date_s is None:
        return (
            f"the gateway's look-ups have no Date, so the age of its id is unknown; {look.reason}"
        )
    if left_s < 0:
        return f"too late to send it again under its id; {look.reason}"
    if transfer.repeats >= MOST_REPEATS:
        return f"sent {transfer.repeats} times again under its id without an answer"
    return None


def _until_fence_s(
    promise: Expires, hand_over: SendClocks, *, gateway_date_s: float | None, passed_s: float
) -> float | str:
    """Return the seconds until a fence may be over, or in words why this run cannot wait for it."""
    if gateway_date_s is None:
        return "the gateway's look-ups have no Date, so its fence cannot be judged"
    by_gateway_s = hand_over.timestamp_s + promise.fence_s - gateway_date_s
    if by_gateway_s > promise.fence_s + LONGEST_OBEYED_S:
        return (
            f"its fence is over in {by_gateway_s:.0f} s, because it was stamped by a clock that"
            " ran ahead of the gateway's; run apply again after that"
        )
    if passed_s > promise.fence_s + LONGEST_OBEYED_S:
        return (
            "the gateway's time stands still, or is that of a copy: its look-ups have an old Date, so"
            " its fence cannot be judged"
        )
    return max(promise.fence_s - passed_s, by_gateway_s)


def _is_cleared(transfer: ActiveTransfer) -> bool:
    return transfer.state is State.READY


def _ours(transfer: ActiveTransfer, seen: Interaction | None) -> str | None:
    found = seen.last_transfer_id if seen is not None else None
    return found if found in transfer.message_ids else None
