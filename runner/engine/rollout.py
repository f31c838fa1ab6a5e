"""Decides how far a run goes: wave by wave, up to a number of failures, inside its window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runner.core.frozen import frozen
from runner.core.gates import UNCONDITIONAL, WaveConditions
from runner.core.manifest.model import Policy
from runner.core.manifest.quantity import Amount
from runner.core.number_text import was_or_were
from runner.core.pacing.batch_so_far import BatchSoFar, between
from runner.core.pacing.waves import batch_ends, conditions_of, most_failures, most_failures_of_wave
from runner.core.transfer.outcome import Outcome
from runner.engine.active_transfer import ActiveTransfer
from runner.engine.failure_seats import FailureSeats
from runner.engine.metrics import RunMetrics
from runner.engine.plan_reader import FIRST_TURN
from runner.engine.stop import StopSignal
from runner.ports import Clock

NEXT = "read the reasons in the report, fix what they name, then run apply again"


@frozen
class Wave:
    """One wave of a run; a batch without waves is one that has no number."""

    end: int  # transfers that this run has begun by its end, those of earlier waves included
    size: int  # transfers that this run is to send of it
    number: int | None = None  # from 1
    of: int = 1
    most_failures: int | None = None  # None: its failures do not matter but to the whole
    conditions: WaveConditions = UNCONDITIONAL  # what stands before it
    whole: int = 0  # transfers of it, those of earlier runs included
    failed: int = 0  # of it, in earlier runs
    has_begun: bool = False  # in an earlier run: what stood before it is through

    def __str__(self) -> str:
        return f"wave {self.number} of {self.of}"


def is_failure(transfer: ActiveTransfer) -> bool:
    """Return whether a transfer counts as failed: not if it failed before with the same code."""
    if transfer.outcome is None or not transfer.outcome.is_failure:
        return False
    return not transfer.row.failed_as or transfer.row.failed_as != transfer.code


class Rollout:
    """Counts outcomes as they come, and stops the run where the policy wants it."""

    def __init__(
        self,
        policy: Policy,
        total: int,
        failed_before: int,
        stop_signal: StopSignal,
        metrics: RunMetrics,
        *,
        clock: Clock,
        seats: FailureSeats,
        so_far: BatchSoFar | None = None,
    ) -> None:
        """Name the collaborators; `total` and `failed_before` are of what this run is to send.

        `so_far` is where the batch stands that earlier runs began.
        """
        self._policy = policy
        self._to_send = total
        if so_far is not None and not so_far.total:
            so_far = None  # the batch had nothing but doubts
        self._so_far = so_far
        if so_far is not None:
            total, failed_before = so_far.total, so_far.failed_before
        self._total = total
        self._failed_before = failed_before
        self._stop_signal = stop_signal
        self._metrics = metrics
        self._clock = clock
        self._seats = seats
        self._all_failed = len(so_far.failed) if so_far is not None else 0
        self._taken_over: list[ActiveTransfer] = []  # doubts of the batch that earlier runs left
        self._most_failures = most_failures(policy.max_failures, total=total)
        self._wave = Wave(total, total, whole=total)
        self._after = FIRST_TURN  # the wave's rows come behind it
        self._failed = 0  # in this wave
        self._was_open: float | None = None  # when the windows were last seen to be open
        self._surely_open = (0.0, 0.0)  # from and before which the recurring windows are open
        seats.failures(self._all_failed)

    def waves(self, *, doubts: int = 0) -> list[Wave]:
        """Return the waves, in order; without any in the policy, the batch is one.

        What was rejected or failed before waits for all others nevertheless. Waves that earlier runs
        finished are left out; the one that they were in goes on. Where nothing is to be sent but
        `doubts` of earlier runs, they are a wave behind the conditions of the first.
        """
        policy = self._policy
        if not self._total and doubts and policy.wave_conditions:
            before, *_ = conditions_of(policy.waves, policy.wave_conditions, doubts, 0)
            return [Wave(0, doubts, 1, conditions=before)]
        ends = batch_ends(policy.waves, self._total, self._failed_before)
        if not ends:
            others = self._total - self._failed_before
            return self._counted([Wave(end, 0) for end in sorted({others, self._total} - {0})])
        conditions = conditions_of(
            policy.waves, policy.wave_conditions, self._total, self._failed_before
        )
        waves = self._counted(
            [
                Wave(end, 0, number, len(ends), 0 if number < len(ends) else None, before)
                for number, (end, before) in enumerate(zip(ends, conditions, strict=True), 1)
            ]
        )
        return [self._with_limit(wave) for wave in waves]

    def _counted(self, waves: Sequence[Wave]) -> list[Wave]:
        """Return waves, whose ends are the batch's, with what this run is to send of each."""
        so_far, found, begin, given = self._so_far, list[Wave](), 0, 0
        handed = UNCONDITIONAL
        for wave in waves:
            end, counted = wave.end, replace(wave, size=wave.end - begin, whole=wave.end - begin)
            if so_far is not None:
                counted = replace(
                    counted,
                    size=between(so_far.left, begin, end),
                    failed=between(so_far.failed, begin, end),
                    has_begun=0 < (wave.number or 0) <= so_far.waves_begun,
                )
            begin, given = end, given + counted.size
            is_last_begun = so_far is not None and wave.number == so_far.waves_begun
            before = handed.handed_over(wave.conditions)
            if counted.size or is_last_begun or wave.number is None:
                found.append(replace(counted, end=given, conditions=before))
                handed = UNCONDITIONAL
            elif not counted.has_begun:  # its rows were carried out otherwise
                handed = before
        return found

    def allow(self, limit: Amount | None) -> None:
        """Put another `max_failures` in force; stop the run if more have failed already."""
        self._policy = replace(self._policy, max_failures=limit)
        self._most_failures = most_failures(limit, total=self._total)
        self._wave = self._with_limit(self._wave)
        self._seats.allow(self._most_failures)
        self._check_failures()

    def in_window(self) -> bool:
        """Return whether frames may leave by the wall clock as it stands; if not, stop the run."""
        window, windows = self._policy.window, self._policy.windows
        if window is None and not windows:
            return True
        wall = self._clock.wall()
        begin, end = self._surely_open
        if begin <= wall < end and (window is None or window.is_open(wall)):
            return True
        why = self._policy.why_shut(wall, self._was_open)
        if why is not None:
            self._stop_signal.set_by_rule(why)
            return False
        self._was_open = wall
        if windows:  # each frame asks: clocks of zones are not read for every one
            self._surely_open = wall, windows.unchanged_until(wall)
        return True

    def may_begin(self) -> bool:
        """Return whether anything can be sent now; a run that only looks at doubts always can."""
        return not self._to_send or self.in_window()

    def watch_window(self) -> None:
        """Stop the run if the window is shut while transfers wait for their turn."""
        if self._to_send > sum(self._metrics.outcomes.values()) + self._metrics.in_flight:
            self.in_window()

    def begin(self, wave: Wave, *, after: tuple[bool, int]) -> None:
        """Begin a wave: the rows whose turn comes after `after`."""
        self._wave, self._after, self._failed = self._with_limit(wave), after, wave.failed
        self._check_failures()

    def take_over(self, transfer: ActiveTransfer) -> bool:
        """Count a doubt that an earlier run left among the batch's; False: it is not of the batch."""
        so_far = self._so_far
        if so_far is None or transfer.transfer_id not in so_far.in_doubt:
            return False
        transfer.is_of_batch = True
        transfer.counted = transfer.outcome
        self._taken_over.append(transfer)
        return True

    def goes_on(self) -> bool:
        """Return whether the next wave may begin, once this one is final or in doubt.

        If not, the run is stopped. Failures have stopped it before: they are not waited for.
        """
        doubts = self._metrics.outcomes[Outcome.IN_DOUBT]
        doubts += sum(each.outcome is Outcome.IN_DOUBT for each in self._taken_over)
        if doubts and not self._stop_signal.is_set and self._wave.most_failures is not None:
            self._stop_signal.set_by_rule(
                f"{self._wave} was not healthy: {doubts:,} of its {self._wave.whole:,} in doubt;"
                " the rest was not begun: settle what is in doubt, then run apply again"
            )
        return not self._stop_signal.is_set

    def settled(self, transfer: ActiveTransfer) -> None:
        """Count a transfer's new outcome; stop the run if too many failed."""
        was_failure, transfer.is_failure = transfer.is_failure, is_failure(transfer)
        change = transfer.is_failure - was_failure
        if transfer.row.turn > self._after:
            self._failed += change
        self._all_failed += change
        self._seats.failures(self._all_failed)
        if change > 0:
            self._check_failures()

    def _check_failures(self) -> None:
        """Stop the run if too many failed, in the batch or in this wave."""
        failed, most = self._all_failed, self._most_failures
        if most is not None and failed > most:
            self._stop_signal.set_by_rule(
                f"{failed:,} of the {self._total:,} transfers to be sent in this {self._scope}"
                f" {was_or_were(failed)} rejected or failed, above max_failures ({self._limit(most)}); nothing further"
                f" was sent: {NEXT}"
            )
        elif self._wave.most_failures is not None and self._failed > self._wave.most_failures:
            self._stop_signal.set_by_rule(self._unhealthy())

    def _limit(self, most: int) -> str:
        """Return `max_failures` with the number that a share stands for: `5% = 2`."""
        given = str(self._policy.max_failures)
        return given if given == str(most) else f"{given} = {most:,}"

    @property
    def _scope(self) -> str:
        return "run" if self._so_far is None else "batch"

    def _with_limit(self, wave: Wave) -> Wave:
        """Return a wave with the failures that `max_failures` allows it."""
        if wave.most_failures is None:
            return wave
        limit = self._policy.max_failures
        most = most_failures_of_wave(limit, size=wave.whole, total=self._total)
        return replace(wave, most_failures=most)

    def _unhealthy(self) -> str:
        wave, limit = self._wave, self._policy.max_failures
        by = (
            "no max_failures is given" if limit is None else f"max_failures is {limit} of the batch"
        )
        return (
            f"{wave} was not healthy: {self._failed:,} of its {wave.whole:,} rejected or failed,"
            f" at most {wave.most_failures:,} may ({by}); the rest was not begun: {NEXT}"
        )
