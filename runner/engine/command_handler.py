"""Carries out operators' commands: journals each, acts, and answers.

See operations.md, "Control of a running batch".
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from runner.core import next_steps
from runner.core.control import (
    Bounds,
    Command,
    CommandName,
    Pause,
    changed,
    command_of,
    controls_at_start,
    parse_command,
)
from runner.core.errors import CommandRefused, StorageError
from runner.core.exit_code import ExitCode
from runner.core.manifest.quantity import rate_text
from runner.core.number_text import duration
from runner.core.pacing.batch_so_far import GivenBefore
from runner.core.records.run_record import DecisionRecord, TimelineEventKind
from runner.core.timestamps import timestamp
from runner.engine.admission import Admission
from runner.engine.audit_notes import AuditNotes
from runner.engine.metrics import RunMetrics
from runner.engine.rollout import Rollout
from runner.engine.stop import StopSignal
from runner.engine.wave_gatekeeper import WaveGatekeeper
from runner.ports import Clock, Gateway, Journal, Note, Observer, Progress, RequestLimited
from runner.ports.control import ControlAnswer, ControlRequest, Requester

ANSWERS_KEPT = 1000
"""Answers that are kept for repeats of a command."""

ENDING = "this run is ending, and one that goes on with the batch keeps to it"

OPERATOR = "operator"
"""The holder of an operator's pause."""


class CommandHandler:
    """Implements `ports.control.Handler` for one run; commands are carried out one at a time."""

    def __init__(
        self,
        bounds: Bounds,
        *,
        gateway: Gateway,
        journal: Journal,
        clock: Clock,
        observer: Observer,
        metrics: RunMetrics,
        admission: Admission,
        rollout: Rollout,
        gatekeeper: WaveGatekeeper,
        notes: AuditNotes,
        stop_signal: StopSignal,
        progress: Callable[[], Progress],
        journal_name: str | None = None,
    ) -> None:
        self._bounds = bounds
        self._gateway = gateway
        self._journal = journal
        self._clock = clock
        self._observer = observer
        self._metrics = metrics
        self._admission = admission
        self._rollout = rollout
        self._gatekeeper = gatekeeper
        self._notes = notes
        self._stop_signal = stop_signal
        self._progress = progress
        self._journal_name = journal_name  # as commands name it
        self._controls = controls_at_start(bounds)
        self._one_at_a_time = asyncio.Lock()
        self._answers: OrderedDict[tuple[Requester, str], ControlAnswer] = OrderedDict()
        self._decisions: list[DecisionRecord] = []
        self._closed = False

    async def handle(self, request: ControlRequest, who: Requester) -> ControlAnswer:
        """Carry a command out; a repeat of its id returns the first answer."""
        try:
            command = parse_command(request.command, request.value, request.for_, request.reason)
        except ValueError as error:
            return ControlAnswer(str(error), is_done=False)
        if command.changes_nothing:
            return ControlAnswer("", self.state())
        key = (who, request.id)
        async with self._one_at_a_time:
            if key not in self._answers:
                self._answers[key] = await self._carry_out(command, who, request.id)
                if len(self._answers) > ANSWERS_KEPT:
                    self._answers.popitem(last=False)
            return self._answers[key]

    def restore(self, given: GivenBefore) -> None:
        """Put a command in force again that was given to an earlier run of the batch.

        A pause for a time lasts as long as it was given for, from now on. What a limit of this run
        does not allow any more is left out; an answer to a confirmation is asked for anew.
        """
        try:
            command = command_of(given.text, given.why)
            if command.name is CommandName.STOP:
                why = "" if given.why is None else f": {given.why}"
                self._stop_signal.set_by_rule(
                    f"stopped by {given.who}{why}; run apply again to go on"
                )
            elif command.name is not CommandName.CONTINUE:
                self._put_in_force(command, given.who)
        except (ValueError, CommandRefused):
            return
        self._decisions.append(DecisionRecord(given.at, given.who, given.text, given.why))

    def note_restored(self) -> None:
        """Write down a rate and a pause that hold on, for who follows this run by its own events."""
        rate_per_s = self._controls.limits.rate_per_s
        if rate_per_s != self._bounds.limits.rate_per_s:
            self._notes.add(Note.RATE_RESTORED, rate_per_s=rate_per_s)
        if not self.is_paused:
            return
        pauses = (each for each in reversed(self._decisions) if each.what.startswith("pause"))
        if (given := next(pauses, None)) is not None:
            fields = {"who": given.who, "what": given.what, "why": given.why, "since": given.at}
            self._notes.add(Note.PAUSE_RESTORED, **fields)

    @property
    def is_paused(self) -> bool:
        """Whether an operator's pause is in force."""
        return self._controls.pause is not None

    def close(self) -> None:
        """Refuse commands from now on: the run sends nothing further."""
        self._closed = True

    def watch(self) -> None:
        """End a pause whose time is over; stop the run if one has held for too long."""
        pause, now = self._controls.pause, self._clock.now()
        if pause is None or self._stop_signal.is_set:
            return
        if pause.until <= now:
            self._controls = replace(self._controls, pause=None)
            self._admission.release(OPERATOR)
            self._observer.noticed(Note.PAUSE_ENDED)
            self._notes.add(Note.PAUSE_ENDED)
        elif now - pause.since >= self._bounds.longest_hold_s:
            self._stop_signal.set_by_rule(
                f"{pause}, and not resumed within {duration(self._bounds.longest_hold_s)}"
                " (policy.answer_timeout); run apply again to go on"
            )

    def state(self) -> Mapping[str, Any]:
        """Return the run's figures, what it waits for, and the commands given."""
        progress, limits = self._progress(), self._admission.limits
        pause, most = self._controls.pause, self._controls.max_failures
        return {
            "total": progress.total,
            "settled": progress.settled,
            "outcomes": dict(progress.outcomes),
            "sent": progress.sent,
            "under_way": progress.in_flight,
            "sent_per_s": progress.sent_per_s,
            "stage": progress.stage,
            "session": None if progress.session is None else progress.session.value,
            "stopping": self._stop_signal.reason,
            "waiting_for": progress.waiting_for,
            "paced_by": progress.paced_by,
            "command": progress.command,
            "paused": None if pause is None else str(pause),
            "confirmation": self._gatekeeper.question,
            "limits": {
                "rate": None if limits.rate_per_s is None else rate_text(limits.rate_per_s),
                "http_rate": (
                    None if limits.http_rate_per_s is None else rate_text(limits.http_rate_per_s)
                ),
                "in_flight": limits.in_flight,
                "max_failures": None if most is None else str(most),
            },
            "commands": [asdict(each) for each in self._decisions],
        }

    async def _carry_out(self, command: Command, who: Requester, id_: str) -> ControlAnswer:
        try:
            self._check(command, who)
            decision = self._decision(command.text, str(who), command.reason)
            note = Note(Note.CONTROL, self._clock.wall(), _fields(decision, who, id_))
            await self._journal.record(note)
            text = self._act(command, who)
        except CommandRefused as refused:
            self._observer.warned(
                "command refused", what=command.text, by=str(who), why=str(refused)
            )
            return ControlAnswer(str(refused), self.state(), is_done=False)
        except StorageError as error:
            self._stop_signal.set(ExitCode.STORAGE, str(error), error)
            return ControlAnswer(f"the command cannot be journalled: {error}", is_done=False)
        self._tell(decision)
        return ControlAnswer(text, self.state())

    def _check(self, command: Command, who: Requester) -> None:
        """Raise `CommandRefused` for what cannot be done now."""
        if self._closed:
            raise CommandRefused("the run has sent everything that it will send, and is ending")
        if self._stop_signal.is_set:
            raise CommandRefused(
                f"the run is stopping already, and drains: {self._stop_signal.reason}"
            )
        if command.name is CommandName.CONTINUE and self._gatekeeper.question is None:
            raise CommandRefused(
                "no confirmation waits now; a `continue` is not remembered for a later one"
            )
        if command.name is CommandName.HTTP_RATE and not isinstance(self._gateway, RequestLimited):
            raise CommandRefused("the driver cannot change its HTTP request rate during a run")
        changed(self._controls, command, self._bounds, who=str(who), now=self._clock.now())

    def _act(self, command: Command, who: Requester) -> str:
        """Put a command in force, without a suspension; return what it did, in words.

        The run may have begun to end while the command was journalled. A run that goes on with the
        batch keeps to what is journalled, so that it is in force, and no longer refused.
        """
        if command.name is CommandName.STOP:
            why = "" if command.reason is None else f": {command.reason}"
            self._stop_signal.set_by_rule(
                f"stopped by {who}{why}; what was in flight was given time to settle; run apply"
                " again to go on"
            )
            return "stopping: nothing further is sent, what is in flight settles"
        if command.name is CommandName.CONTINUE:
            self._check(command, who)  # no other run takes it for an answer
            self._gatekeeper.confirm()
            return "confirmed; the wave begins"
        pause = self._put_in_force(command, str(who))
        done = _done(command, pause, next_steps.ending(self._journal_name, CommandName.RESUME))
        return f"{done}; {ENDING}" if self._closed or self._stop_signal.is_set else done

    def _put_in_force(self, command: Command, who: str) -> Pause | None:
        """Change what is in force; return the pause. Raises `CommandRefused`."""
        before = self._controls
        after = changed(before, command, self._bounds, who=who, now=self._clock.now())
        self._controls = after
        if after.pause is None:
            self._admission.release(OPERATOR)
        else:
            self._admission.hold(OPERATOR, f"a resume ({after.pause})")
        if after.limits != before.limits:
            self._admission.limit(after.limits)
            self._limit_requests(before.limits.http_rate_per_s, after.limits.http_rate_per_s)
        if after.max_failures != before.max_failures:
            self._rollout.allow(after.max_failures)
        return after.pause

    def _limit_requests(self, before: float | None, after: float | None) -> None:
        if after is not None and after != before and isinstance(self._gateway, RequestLimited):
            self._gateway.limit_requests(after)

    def decided(self, what: str, who: str, why: str | None = None) -> Callable[[], Any]:
        """Show a decision that was made elsewhere; return what journals it."""
        decision = self._decision(what, who, why)
        self._tell(decision)
        fields = {"who": who, "what": what, "why": why}
        return partial(self._journal.record, Note(Note.CONTROL, self._clock.wall(), fields))

    def _decision(self, what: str, who: str, why: str | None) -> DecisionRecord:
        return DecisionRecord(timestamp(self._clock.wall()), who, what, why)

    def _tell(self, decision: DecisionRecord) -> None:
        """Show a decision in the log, the live view and the report's story."""
        self._decisions.append(decision)
        self._metrics.decided += 1
        why = "" if decision.why is None else f" ({decision.why})"
        self._metrics.add_event(
            TimelineEventKind.CONTROL,
            self._clock.now(),
            self._clock.wall(),
            reason=f"{decision.who}: {decision.what}{why}",
        )
        reason = {} if decision.why is None else {"why": decision.why}
        self._observer.noticed(f"control: {decision.what}", by=decision.who, **reason)


def _fields(decision: DecisionRecord, who: Requester, id_: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"who": decision.who, "what": decision.what, "why": decision.why}
    fields |= {"id": id_} if who.uid is None else {"id": id_, "uid": who.uid}
    return fields if who.login_uid is None else fields | {"login_uid": who.login_uid}


def _done(command: Command, pause: Pause | None, resume: str | None) -> str:
    match command.name:
        case CommandName.PAUSE:
            assert pause is not None  # noqa: S101 - it was made just now
            if command.value is None:
                return f"paused: no frame leaves until `{resume}`"
            return f"paused: no frame leaves for {duration(pause.until - pause.since)}"
        case CommandName.RESUME:
            return "resumed"
        case _:
            return f"{command.text} is in force"
