"""Looks an interaction up before a delivery, and decides whether the delivery may follow."""

from __future__ import annotations

from runner.core.errors import GatewayError, LookUpFailed, LookUpForbidden, LookUpUnanswered
from runner.core.exit_code import ExitCode
from runner.core.transfer.canonical_form import same_destination
from runner.core.transfer.lookup_verdict import Interaction, LookupVerdict, judge_lookup
from runner.core.transfer.reasons import WORDS, Code
from runner.core.transfer.rows import PlannedRow
from runner.core.transfer.states import Event, State
from runner.engine.active_transfer import ActiveTransfer, EventDetails
from runner.engine.circuit_breaker import LookUpCircuit
from runner.engine.late_replies import LateReplies
from runner.engine.message_sender import FRESH_S
from runner.engine.recorder import Recorder
from runner.engine.rules import Randomness, Rules
from runner.engine.stop import StopSignal
from runner.ports import Clock, Gateway


class PreDeliveryCheck:
    """Decides by a look-up whether a delivery may follow; look-ups wait while their circuit is open."""

    def __init__(
        self,
        *,
        gateway: Gateway,
        circuit: LookUpCircuit,
        recorder: Recorder,
        late_replies: LateReplies,
        rules: Rules,
        randomness: Randomness,
        clock: Clock,
        stop_signal: StopSignal,
    ) -> None:
        self._gateway = gateway
        self._circuit = circuit
        self._recorder = recorder
        self._late_replies = late_replies
        self._rules = rules
        self._randomness = randomness
        self._clock = clock
        self._stop_signal = stop_signal

    def must_look(self, row: PlannedRow) -> bool:
        """Return whether a delivery needs a look-up before it.

        A refusal that this run read from the gateway needs no confirmation. The outcome of an earlier
        run's delivery may rest on a person's word alone. Where an interaction is expected, only a
        look-up shows whether it is there.
        """
        is_expected = row.expected_destination_uri is not None
        return self._rules.looks_first or is_expected or row.lineage is not None

    async def allows(self, transfer: ActiveTransfer) -> bool:
        """Look the interaction up; True: a delivery may follow."""
        try:
            seen = await self._looked_up(transfer.row)
        except LookUpUnanswered as error:
            return await self._waits_unseen(transfer, error)
        except LookUpForbidden as error:
            return await self._goes_hidden(transfer, error)
        except GatewayError as error:
            return await self._goes_unseen(transfer, error)
        if seen is None:
            return False  # the run was stopped meanwhile
        transfer.seen, transfer.seen_at = seen, self._clock.now()
        transfer.unseen, transfer.unseen_since = 0, None
        return await self._judge(transfer, seen)

    async def still_allows(self, transfer: ActiveTransfer) -> bool:
        """Look again if the transfer's turn came late."""
        assert transfer.seen_at is not None  # noqa: S101 - it was looked at
        if self._clock.now() - transfer.seen_at <= FRESH_S:
            return True
        if self._circuit.is_open and self.must_look(transfer.row):
            # Not waited for here: a slot is not to be held for so long.
            transfer.wait_s = self._rules.backoff_s(transfer.tries, self._randomness)
            return False
        return await self.allows(transfer)

    async def _waits_unseen(self, transfer: ActiveTransfer, error: LookUpUnanswered) -> bool:
        """Let a transfer wait for an outage to end; True: it needs no look-up.

        An outage fails no transfer. If look-ups of others have been answered for as long as
        `circuit_breaker.give_up` and this one's never, the fault lies with this transfer.
        """
        if not self.must_look(transfer.row):
            return True
        now = self._clock.now()
        self._circuit.unanswered(error.tries)
        transfer.unseen += 1
        if transfer.unseen_since is None:
            transfer.unseen_since = now
        give_up_s = self._rules.policy.circuit_breaker.give_up_s
        is_alone = (
            self._circuit.was_answered_since(transfer.unseen_since) and not self._circuit.is_open
        )
        if is_alone and now - transfer.unseen_since >= give_up_s:
            return await self._goes_unseen(transfer, error)
        transfer.wait_s = self._rules.backoff_s(transfer.unseen, self._randomness)
        return False

    async def _goes_hidden(self, transfer: ActiveTransfer, error: LookUpForbidden) -> bool:
        """Reject a transfer whose interaction alone may not be seen; True: it needs no look-up.

        As long as no look-up has shown anything, the client may lack the right: the transfer waits
        once for what others are shown, and if that is nothing either, the run ends.
        """
        if not self.must_look(transfer.row):
            return True
        if not self._circuit.has_shown and not transfer.unseen:
            transfer.unseen += 1
            transfer.wait_s = self._rules.backoff_s(transfer.unseen, self._randomness)
        elif not self._circuit.has_shown:
            return await self._goes_unseen(transfer, error)
        elif transfer.state is State.READY:
            code = Code.INTERACTION_HIDDEN
            details = EventDetails(reason=WORDS[code], reason_code=code)
            await self._recorder.enter(transfer, Event.DENIED, details)
        return False

    async def _goes_unseen(self, transfer: ActiveTransfer, error: GatewayError) -> bool:
        """Return whether a delivery may follow though the look-up failed."""
        if not self.must_look(transfer.row):
            return True
        if self._rules.looks_first and not isinstance(error, LookUpFailed):
            self._stop_signal.set(ExitCode.STOPPED, str(error), error)
        elif transfer.state is State.READY:
            reason = f"the look-up failed: {error.what}"
            details = EventDetails(reason=reason, reason_code=Code.LOOK_UP_FAILED)
            await self._recorder.enter(transfer, Event.EXHAUSTED, details)
        return False

    async def _looked_up(self, row: PlannedRow) -> Interaction | None:
        """Return what a look-up saw; None: the run was stopped meanwhile.

        Look-ups lag behind: that an interaction is where it was before this history moved it
        elsewhere is believed at a second look.
        """
        seen = await self._looked_up_once(row)
        is_there = seen is not None and same_destination(seen.destination_uri, row.destination_uri)
        if row.was_elsewhere and is_there:
            await self._stop_signal.sleep(self._rules.visible_s)
            seen = await self._looked_up_once(row)
        return seen

    async def _looked_up_once(self, row: PlannedRow) -> Interaction | None:
        """Look up; where a delivery depends on it, wait until the circuit admits it."""
        if self.must_look(row) and not await self._circuit.admits():
            return None
        with self._circuit.looking():
            seen = await self._stop_signal.unless_set(self._gateway.look_up(row.interaction_id))
        if seen is not None:
            self._circuit.showed()
        return seen

    async def _judge(self, transfer: ActiveTransfer, seen: Interaction) -> bool:
        verdict, reason = judge_lookup(
            seen,
            destination_uri=transfer.row.destination_uri,
            message_ids=transfer.message_ids,
            preflight=self._rules.policy.preflight,
            sent_before=transfer.row.lineage is not None,
            found_at=transfer.row.found_at,
            expected_destination_uri=transfer.row.expected_destination_uri,
        )
        event = verdict.event
        if event is not None and transfer.state is State.READY:
            message_id = seen.last_transfer_id if verdict is LookupVerdict.CARRIED_OUT else None
            if message_id is not None and transfer.row.lineage is not None:
                self._late_replies.report_carried_out(transfer.row, message_id)
            details = EventDetails(message_id=message_id, reason=reason, reason_code=verdict.code)
            await self._recorder.enter(transfer, event, details)
        return event is None
